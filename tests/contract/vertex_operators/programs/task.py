"""What the training jobs of the cases run: it trains, fails, or waits until somebody ends it.

It says its process id first, so that a test can look whether the process is gone. It may begin after
an object is there.
"""

import argparse
import json
import os
import pathlib
import time
import urllib.error
import urllib.parse
import urllib.request


def wait_for(address):
    """Wait until an object is there."""
    bucket, _, key = address.removeprefix("gs://").partition("/")
    path = f"/storage/v1/b/{bucket}/o/{urllib.parse.quote(key, safe='')}"
    while True:
        try:
            urllib.request.urlopen(os.environ["STORAGE_EMULATOR_HOST"] + path).close()  # noqa: S310 - loopback
        except urllib.error.HTTPError:
            time.sleep(0.1)
        else:
            return


def main():
    """Do what the argument says; leave a model, and a metric for a tuning job."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--act", choices=["succeeded", "failed", "cancelled"], required=True)
    parser.add_argument("--after", help="the name of an object in Cloud Storage to wait for")
    parser.add_argument("--rate", type=float, default=0.0)
    given = parser.parse_args()
    print("at", os.getpid(), flush=True)
    if given.after:
        wait_for(given.after)
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
