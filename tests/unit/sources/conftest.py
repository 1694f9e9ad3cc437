"""Small deliveries: the first rows of a real month, as the feed would deliver them."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from include.core.months import Month

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JANUARY = Month(2013, 1)
ROWS = 200


@dataclass
class Delivery:
    """A folder as it arrives from the feed, whose tables a test may change before it is delivered."""

    folder: Path
    tables: dict[str, list[str]]

    def change(self, table: str, line: int, old: str, new: str) -> None:
        """Replace ``old`` by ``new`` in one line (1 is the header) of a table."""
        before = self.tables[table][line - 1]
        assert old in before
        self.tables[table][line - 1] = before.replace(old, new)

    def deliver(self, month: str = "2013-01") -> Path:
        """Write the files and the manifest that is right for them."""
        files = {}
        for table, lines in self.tables.items():
            content = gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0)
            (self.folder / f"{table}.csv.gz").write_bytes(content)
            files[f"{table}.csv.gz"] = {"rows": len(lines) - 1, "sha256": hashlib.sha256(content).hexdigest()}
        (self.folder / "manifest.json").write_text(json.dumps({"month": month, "files": files}))
        return self.folder


@pytest.fixture
def delivery(delivered: Callable[[Month], Path], tmp_path: Path) -> Delivery:
    """Return the first rows of January."""
    folder = tmp_path / "arrived"
    folder.mkdir()
    tables = {
        table: gzip.decompress((delivered(JANUARY) / f"{table}.csv.gz").read_bytes()).decode().splitlines()[: ROWS + 1]
        for table in ("flights", "weather")
    }
    return Delivery(folder, tables)
