"""The laptop's services, left running to look around in: Airflow's pages, the local cloud, the demo's months replayed.

How it works: the months land as in the demo, each when the DAGs are quiet after the one before; when something fails
the replay ends and the services stay, to look at it. Runs in the foreground until Ctrl-C, or until ``down`` is called
elsewhere; then both services stop.

    python -m deploy.laptop.up [--cloud-port 4567] [--airflow-port 8080]
"""

from __future__ import annotations

import argparse
import sys
import time

from deploy.laptop.demo import MONTHS, run_pipeline
from deploy.laptop.errors import PipelineFailed
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
            progress.say(f"Airflow: {laptop.airflow.url}, user {USER}, password in {laptop.airflow.profile.passwords}")
            progress.say(f'the local cloud: eval "$(.venv/bin/localcloud env --root {laptop.cloud.root})"')
            progress.say("Ctrl-C or `make down` ends everything")
            try:
                run_pipeline(laptop, progress)
                progress.say(f"{MONTHS[0]} to {MONTHS[-1]} have been replayed; everything stays to be looked at")
            except PipelineFailed as error:
                progress.say(f"the replay ends here, everything stays to be looked at: {error}")
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
