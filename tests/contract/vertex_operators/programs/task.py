"""What the training jobs of the cases run: it trains, fails, or waits until somebody ends it.

It says its process id first, so that a test can look whether the process is gone.
"""

import argparse
import json
import os
import pathlib
import time


def main():
    """Do what the argument says; leave a model, and a metric for a tuning job."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--act", choices=["succeeded", "failed", "cancelled"], required=True)
    parser.add_argument("--rate", type=float, default=0.0)
    given = parser.parse_args()
    print("at", os.getpid(), flush=True)
    if given.act == "failed":
        raise ValueError("a planted failure")
    while given.act == "cancelled":
        time.sleep(1)
    folder = pathlib.Path(os.environ["AIP_MODEL_DIR"].replace("gs://", "/gcs/"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "number.txt").write_text("0.5")
    if metrics := os.environ.get("CLOUD_ML_HP_METRIC_FILE"):
        pathlib.Path(metrics).parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(metrics).write_text(json.dumps({"loss": str(given.rate)}))


main()
