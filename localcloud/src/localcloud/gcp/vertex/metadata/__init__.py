"""ML Metadata as far as experiments need it: contexts, executions, artifacts and how they hang together."""
