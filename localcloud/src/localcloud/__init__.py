"""The laptop's clouds."""
