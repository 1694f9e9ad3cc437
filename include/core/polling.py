"""How often a deferred task looks at what it waits for."""

from __future__ import annotations

import os

POLL_SECONDS = int(os.environ.get("FLIGHTDECK_POLL_SECONDS", "30"))
"""Seconds between two looks at a remote job or a feed: 30 respects the clouds' request limits; a laptop takes less."""
