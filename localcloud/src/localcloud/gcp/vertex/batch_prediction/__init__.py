"""Batch prediction: a model's answers to the rows of files."""
