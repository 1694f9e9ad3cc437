"""What every suite stands on: where the jobs' environments are cached, and an Airflow home that is nobody's."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent

# Set before anything imports Airflow, which makes its home at import.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="flightdeck-airflow-")
os.environ.setdefault("LOCALCLOUD_ENVIRONMENTS", str(PROJECT / ".local" / "environments"))

pytest_plugins = ["tests.required", "tests.coverage_page", "tests.report", "tests.airflow_matrix"]
