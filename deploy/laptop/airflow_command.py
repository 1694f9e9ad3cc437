"""Airflow's own command line against the Airflow that `make up` runs: the same home, database, connections.

    .venv/bin/python -m deploy.laptop.airflow_command backfill create --dag-id ingest --from-date 2013-01-01 …

What it does not do: start anything, or add a command to Airflow's.
"""

from __future__ import annotations

import subprocess
import sys

from deploy.laptop.cloud import running_cloud
from deploy.laptop.laptop import AIRFLOW_PORT, FOLDER
from deploy.laptop.profile import PROJECT, Profile
from include.core.errors import FlightdeckError


def main() -> int:
    """Run the command; return its exit code, 1 when nothing runs that it could speak to."""
    try:
        cloud = running_cloud(FOLDER.with_name("cloud"))
    except FlightdeckError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    environment = Profile(FOLDER / "airflow", AIRFLOW_PORT, cloud).environment("command")
    command = [sys.executable, "-m", "airflow", *sys.argv[1:]]
    return subprocess.run(command, env=environment, cwd=PROJECT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
