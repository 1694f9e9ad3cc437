"""What the training jobs of the flow run: it fits a line to the rows and leaves a model for sklearn's container.

A tuning job's trial names the strength of the penalty and gets the error back.
"""

import argparse
import os
import pathlib
import time

import hypertune
import joblib
import numpy as np
from google.cloud import storage
from sklearn.linear_model import Ridge

parser = argparse.ArgumentParser()
parser.add_argument("--data", required=True)
parser.add_argument("--penalty", type=float, default=0.0)
parser.add_argument("--after", help="the address of an object in Cloud Storage to wait for")
given = parser.parse_args()
while given.after and not storage.Blob.from_uri(given.after, storage.Client()).exists():
    time.sleep(0.2)

rows = np.loadtxt(given.data.replace("gs://", "/gcs/"), delimiter=",")
model = Ridge(alpha=given.penalty).fit(rows[:, :1], rows[:, 1])
error = float(((model.predict(rows[:, :1]) - rows[:, 1]) ** 2).mean())
print(f"penalty {given.penalty}, error {error}")
if "CLOUD_ML_TRIAL_ID" in os.environ:
    hypertune.HyperTune().report_hyperparameter_tuning_metric("mse", error, global_step=1)
folder = pathlib.Path(os.environ["AIP_MODEL_DIR"].replace("gs://", "/gcs/"))
folder.mkdir(parents=True, exist_ok=True)
joblib.dump(model, folder / "model.joblib")
