"""The laptop's services, left running to look around in: Airflow's pages, the local cloud, the demo's months landed.

How it works: runs in the foreground until Ctrl-C, or until ``down`` is called elsewhere; then both services stop.

    python -m deploy.laptop.up [--cloud-port 4567] [--airflow-port 8080]
"""

from __future__ import annotations

import argparse
import sys
import time

from deploy.laptop.cloud import s3_client
from deploy.laptop.demo import MONTHS
from deploy.laptop.landing import land
from deploy.laptop.laptop import AIRFLOW_PORT, CLOUD_PORT, dags_of, running_laptop
from deploy.laptop.profile import USER
from deploy.laptop.progress import Progress
from include.core.errors import FlightdeckError
from include.core.model_spec import load_models

_LOOK_SECONDS = 1.0


def main() -> int:
    """Run the services until somebody ends them; return the exit code."""
    parser = argparse.ArgumentParser(description="Start the local cloud and Airflow and leave them running.")
    parser.add_argument("--cloud-port", type=int, default=CLOUD_PORT)
    parser.add_argument("--airflow-port", type=int, default=AIRFLOW_PORT)
    arguments = parser.parse_args()
    progress = Progress()
    try:
        progress.say("starting the local cloud and Airflow")
        with running_laptop(cloud_port=arguments.cloud_port, airflow_port=arguments.airflow_port) as laptop:
            laptop.unpause(dags_of(spec.name for spec in load_models()))
            client = s3_client(laptop.cloud.environment)
            for month in MONTHS:
                land(client, month)
            progress.say(f"Airflow: {laptop.airflow.url}, user {USER}, password in {laptop.airflow.profile.passwords}")
            progress.say(f'the local cloud: eval "$(.venv/bin/localcloud env --root {laptop.cloud.root})"')
            progress.say(f"{MONTHS[0]} to {MONTHS[-1]} have landed; Ctrl-C or `make down` ends everything")
            while True:
                laptop.require_running()
                time.sleep(_LOOK_SECONDS)
    except FlightdeckError as error:
        progress.say(str(error))
        return 1
    except KeyboardInterrupt:
        progress.say("everything is stopped")
        return 0


if __name__ == "__main__":
    sys.exit(main())
