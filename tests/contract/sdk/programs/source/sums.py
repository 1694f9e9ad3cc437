"""A processing script: sums the rows."""

import os
import sys
from pathlib import Path

rows = Path("/opt/ml/processing/rows/rows.csv").read_text().split()
total = sum(map(int, rows)) * int(sys.argv[sys.argv.index("--times") + 1])
Path("/opt/ml/processing/sums/sum.txt").write_text(f"{total} for {os.environ['TEAM']}")
