"""Models in containers of their own, behind an HTTP server."""
