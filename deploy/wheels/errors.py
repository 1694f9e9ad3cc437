"""What can go wrong while a wheel is rebuilt.

FlightdeckError (include.core.errors)
└── TerminalError
    └── WheelRefused  a wheel that is not the published one, or whose metadata is not what was corrected
"""

from __future__ import annotations

from include.core.errors import TerminalError


class WheelRefused(TerminalError):
    """A wheel is not the one that the correction was written for."""
