"""Watching a model: how far a month's inputs drifted, how well it was foretold, and whether to train again."""
