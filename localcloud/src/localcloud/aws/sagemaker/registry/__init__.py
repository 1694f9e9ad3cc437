"""The model registry: packages and their groups."""
