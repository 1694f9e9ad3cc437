"""Google Cloud on loopback: what unmodified Google clients reach by environment variables alone."""
