"""Serves a script-mode model by SageMaker's hosting contract: GET /ping, POST /invocations. Runs in a job.

Purpose: what stands between a batch transform (or an endpoint) and the handlers of the user's inference script:
`model_fn(model_dir)`, then either `transform_fn(model, body, content_type, accept)` or `input_fn(body, content_type)`,
`predict_fn(data, model)`, `output_fn(prediction, accept)`. Handlers return bytes, str, or (body, content type).

How it works: run as a file by the job's own interpreter, standard library only. It loads the model, binds a free port
on 127.0.0.1 and writes its number to the file descriptor that it was given; the server needs no polling.

What it does not do: more than one worker, the toolkit's encoders beyond JSON and CSV, multi-model serving.
"""

import importlib.util
import json
import os
import sys
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

JSON, CSV = "application/json", "text/csv"
UNSUPPORTED_MEDIA_TYPE, NOT_ACCEPTABLE = 415, 406


class ContentTypeError(Exception):
    """The default handlers do not know a content type."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Handlers:
    """The user's functions with the toolkit's defaults where one is missing."""

    def __init__(self, module: ModuleType, model_dir: str) -> None:
        self._module = module
        if not hasattr(module, "model_fn"):
            message = f"{module.__file__} defines no model_fn(model_dir)"
            raise SystemExit(message)
        self._model = module.model_fn(model_dir)

    def answer(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        """Return the body and the content type of the answer to one request."""
        if hasattr(self._module, "transform_fn"):
            result = self._module.transform_fn(self._model, body, content_type, accept)
        else:
            data = getattr(self._module, "input_fn", default_input)(body, content_type)
            prediction = getattr(self._module, "predict_fn", default_predict)(data, self._model)
            result = getattr(self._module, "output_fn", default_output)(prediction, accept)
        payload, kind = result if isinstance(result, tuple) else (result, accept)
        return payload if isinstance(payload, bytes) else str(payload).encode(), kind


def default_input(body: bytes, content_type: str) -> Any:
    """Return rows of numbers from CSV, or the value of JSON."""
    kind = content_type.partition(";")[0].strip()
    if kind == JSON:
        return json.loads(body)
    if kind == CSV:
        return [[float(cell) for cell in line.split(",")] for line in body.decode().splitlines() if line.strip()]
    raise ContentTypeError(UNSUPPORTED_MEDIA_TYPE, f"no input_fn, and the default one does not read {content_type!r}")


def default_predict(data: Any, model: Any) -> Any:
    """Return the model's own prediction."""
    return model.predict(data)


def default_output(prediction: Any, accept: str) -> tuple[str, str]:
    """Return the prediction as JSON or CSV."""
    values = prediction.tolist() if hasattr(prediction, "tolist") else prediction
    kind = accept.partition(";")[0].strip()
    if kind in {JSON, "*/*", ""}:
        return json.dumps(values), JSON
    if kind == CSV:
        rows = (row if isinstance(row, (list, tuple)) else [row] for row in values)
        return "".join(",".join(map(str, row)) + "\n" for row in rows), CSV
    raise ContentTypeError(NOT_ACCEPTABLE, f"no output_fn, and the default one does not write {accept!r}")


def load_script(base: str) -> ModuleType:
    """Return the inference script as a module; its folder is importable."""
    program = os.environ.get("SAGEMAKER_PROGRAM", "inference.py")
    candidates = [Path(base, "code", program), Path(base, "model", "code", program), Path(base, "model", program)]
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        tried = ", ".join(str(path) for path in candidates)
        message = f"no inference script: SAGEMAKER_PROGRAM is {program!r}, tried {tried}"
        raise SystemExit(message)
    sys.path.insert(0, str(found.parent))
    spec = importlib.util.spec_from_file_location(found.stem, found)
    if spec is None or spec.loader is None:
        message = f"{found} is not a Python file"
        raise SystemExit(message)
    module = importlib.util.module_from_spec(spec)
    sys.modules[found.stem] = module
    spec.loader.exec_module(module)
    return module


class RequestHandler(BaseHTTPRequestHandler):
    """The two routes of the hosting contract."""

    protocol_version = "HTTP/1.1"
    handlers: Handlers

    def do_GET(self) -> None:
        """Answer the health check."""
        self._send(200 if self.path == "/ping" else 404, b"", "text/plain")

    def do_POST(self) -> None:
        """Answer an invocation."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content_type = self.headers.get("Content-Type") or JSON
        accept = self.headers.get("Accept") or JSON
        try:
            payload, kind = self.handlers.answer(body, content_type, accept)
        except ContentTypeError as error:
            self._send(error.status, str(error).encode(), "text/plain")
        except Exception:  # noqa: BLE001 - whatever the user's handler raises is the answer
            trace = traceback.format_exc()
            print(trace, flush=True)  # noqa: T201 - the job's log
            self._send(500, trace.encode(), "text/plain")
        else:
            self._send(200, payload, kind)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Keep the job's log for what the script says."""

    def _send(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until killed: `model_server.py <base folder> <file descriptor for the port>`."""
    base, ready = sys.argv[1], int(sys.argv[2])
    RequestHandler.handlers = Handlers(load_script(base), str(Path(base, "model")))
    server = ThreadingHTTPServer(("127.0.0.1", 0), RequestHandler)
    with os.fdopen(ready, "w") as pipe:
        pipe.write(f"{server.server_port}\n")
    server.serve_forever()


if __name__ == "__main__":
    main()
