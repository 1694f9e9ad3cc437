"""The server of Google's prebuilt prediction containers, for scikit-learn and XGBoost. Runs in a job.

Purpose: what `us-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu…` does with `model.joblib`, `model.pkl` or
`model.bst`: `{"instances": [...]}` comes in, `{"predictions": [...]}` goes out.

How it works: run as a file by the job's own interpreter; the artifact lies in /opt/ml/model already. It answers at the
port and the routes of the AIP_* variables.

What it does not do: custom prediction routines, sparse instances, explanations.

Source: https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements
"""

import json
import os
import sys
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_BAD_REQUEST, _SERVER_ERROR, _NOT_FOUND = 400, 500, 404
Predict = Callable[[Any], Any]


def load(folder: Path) -> Predict:
    """Return what predicts, from the artifact's one file of a known name."""
    import numpy as np  # noqa: PLC0415 - the job's own

    booster = folder / "model.bst"
    if booster.exists():
        import xgboost  # noqa: PLC0415 - the job's own

        model = xgboost.Booster(model_file=str(booster))
        return lambda instances: model.predict(xgboost.DMatrix(np.array(instances)))
    import joblib  # noqa: PLC0415 - the job's own

    path = next(folder / name for name in ("model.joblib", "model.pkl") if (folder / name).exists())
    # as the container does: the artifact is the user's own program
    estimator = joblib.load(path)
    return lambda instances: estimator.predict(np.array(instances))


class Handler(BaseHTTPRequestHandler):
    """The two routes."""

    protocol_version = "HTTP/1.1"
    # headers and body leave as one packet; otherwise Nagle's algorithm delays the body by 40 ms
    wbufsize = -1
    disable_nagle_algorithm = True
    predict: Predict

    def do_GET(self) -> None:
        """Answer the health check."""
        self._send(200 if self.path == os.environ["AIP_HEALTH_ROUTE"] else _NOT_FOUND, {})

    def do_POST(self) -> None:
        """Answer a prediction."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path != os.environ["AIP_PREDICT_ROUTE"]:
            self._send(_NOT_FOUND, {"error": f"no route {self.path}"})
            return
        try:
            instances = json.loads(body)["instances"]
        except (ValueError, LookupError, TypeError):
            self._send(_BAD_REQUEST, {"error": 'Requests must be JSON with a list "instances"'})
            return
        try:
            found = type(self).predict(instances)
            self._send(200, {"predictions": found.tolist() if hasattr(found, "tolist") else list(found)})
        except Exception as error:  # noqa: BLE001 - whatever the model raises is the answer
            traceback.print_exc(file=sys.stdout)
            self._send(_SERVER_ERROR, {"error": f"Prediction failed: {type(error).__name__}: {error}"})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Keep the log for what the model says."""

    def _send(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until killed."""
    Handler.predict = staticmethod(load(Path(sys.argv[0]).with_name("model")))
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["AIP_HTTP_PORT"])), Handler).serve_forever()


if __name__ == "__main__":
    main()
