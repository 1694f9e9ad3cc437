"""Custom jobs: the user's own programs on worker pools."""
