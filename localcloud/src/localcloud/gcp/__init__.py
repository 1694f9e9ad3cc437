"""The laptop's Google Cloud."""
