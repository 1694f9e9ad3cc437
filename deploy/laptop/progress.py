"""What the demo shows while it runs: lines that stay, and on a terminal one line that changes.

What it does not do: decide what is worth showing.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDTH = 118


class Progress:
    """Lines on a stream, each with the seconds since the start.

    Args:
        stream: Where to; a terminal gets the changing line, a file or pipe does not.
    """

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._changing = stream.isatty()
        self._started = time.monotonic()
        self._shown = ""

    def say(self, text: str) -> None:
        """Write a line that stays."""
        self._erase()
        self._stream.write(f"{self._clock()}  {text}\n")
        self._stream.flush()

    def now(self, text: str) -> None:
        """Show what is happening at the moment."""
        if not self._changing or text == self._shown:
            return
        self._erase()
        self._shown = text
        self._stream.write(f"{self._clock()}  {text}"[:_WIDTH])
        self._stream.flush()

    def table(self, title: str, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
        """Write a table; columns are as wide as they need to be."""
        self._erase()
        widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [header, *rows]
        ]
        rule = "  ".join("-" * width for width in widths)
        self._stream.write(
            "\n".join(["", title, "", lines[0].rstrip(), rule, *(line.rstrip() for line in lines[1:]), ""])
        )
        self._stream.flush()

    def note(self, text: str) -> None:
        """Write a line without the time."""
        self._erase()
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def _erase(self) -> None:
        if self._shown:
            self._stream.write("\r\x1b[2K")
            self._shown = ""

    def _clock(self) -> str:
        seconds = int(time.monotonic() - self._started)
        return f"{seconds // 60:2d}:{seconds % 60:02d}"
