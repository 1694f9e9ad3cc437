"""Runs one job the way a cloud does: private tree, own environment, process group, limits. Knows no cloud."""
