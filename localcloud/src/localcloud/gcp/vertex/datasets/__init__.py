"""Tabular datasets."""
