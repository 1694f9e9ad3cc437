"""Serves a script-mode model by SageMaker's hosting contract: GET /ping, POST /invocations. Runs in a job.

Purpose: what stands between a batch transform (or an endpoint) and the handlers of the user's inference script:
`model_fn(model_dir)`, then either `transform_fn(model, body, content_type, accept)` or `input_fn(body, content_type)`,
`predict_fn(data, model)`, `output_fn(prediction, accept)`. Handlers return bytes, str, (body, content type), or an
object like werkzeug's Response.

How it works: run as a file by the job's own interpreter; numpy and xgboost are imported when a default handler needs
them. It loads the model, binds a free port on 127.0.0.1 and writes its number to the file descriptor that it was
given; the server needs no polling. As in AWS's toolkit, the body of JSON and CSV reaches the handlers as str, any
other as bytes, and the default handlers read and write JSON, CSV and NPY (an XGBoost image's read CSV and LIBSVM).

What it does not do: more than one worker process, several models.
"""

import importlib.util
import io
import json
import os
import sys
import tempfile
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
TEXT_TYPES = {JSON, CSV}
LIBSVM = {"text/libsvm", "text/x-libsvm"}
UNSUPPORTED_MEDIA_TYPE, NOT_ACCEPTABLE = 415, 406
CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


class ContentTypeError(Exception):
    """The default handlers do not know a content type."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Reply:
    """What goes back to the client."""

    def __init__(self, result: Any, accept: str) -> None:
        """Take what a handler returned."""
        self.status = 200
        self.headers: dict[str, str] = {}
        if hasattr(result, "get_data") and hasattr(result, "headers"):
            self.body: bytes = result.get_data()
            self.content_type: str = result.headers.get("Content-Type", accept)
            self.status = result.status_code
            custom = result.headers.get(CUSTOM_ATTRIBUTES)
            if custom:
                self.headers[CUSTOM_ATTRIBUTES] = custom
            return
        payload, self.content_type = result if isinstance(result, tuple) else (result, accept)
        self.body = payload if isinstance(payload, bytes) else str(payload).encode()


class Handlers:
    """The user's functions with the toolkit's defaults where one is missing."""

    def __init__(self, module: ModuleType, model_dir: str, image: str) -> None:
        self._module = module
        self._default_input = xgboost_input if "xgboost" in image else default_input
        self._accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", JSON)
        if not hasattr(module, "model_fn"):
            message = f"{module.__file__} defines no model_fn(model_dir)"
            raise SystemExit(message)
        self._model = module.model_fn(model_dir)

    def answer(self, body: bytes, content_type: str, accept: str) -> Reply:
        """Return the answer to one request."""
        content = body.decode() if content_type in TEXT_TYPES else body
        accept = self._accept if accept in {"", "*/*"} else accept
        if hasattr(self._module, "transform_fn"):
            result = self._module.transform_fn(self._model, content, content_type, accept)
        else:
            data = getattr(self._module, "input_fn", self._default_input)(content, content_type)
            prediction = getattr(self._module, "predict_fn", default_predict)(data, self._model)
            result = getattr(self._module, "output_fn", default_output)(prediction, accept)
        return Reply(result, accept)


def default_input(content: Any, content_type: str) -> Any:
    """Return an array: numbers from JSON and CSV as float32, NPY as it is."""
    import numpy as np  # noqa: PLC0415 - only where a default handler needs it

    if content_type == JSON:
        return np.array(json.loads(content)).astype(np.float32)
    if content_type == CSV:
        return np.genfromtxt(io.StringIO(content), delimiter=",").astype(np.float32)
    if content_type == NPY:
        return np.load(io.BytesIO(content), allow_pickle=True)
    raise ContentTypeError(UNSUPPORTED_MEDIA_TYPE, f"no input_fn, and the default one does not read {content_type!r}")


def xgboost_input(content: Any, content_type: str) -> Any:
    """Return a DMatrix from CSV or LIBSVM."""
    import numpy as np  # noqa: PLC0415 - only where a default handler needs it
    import xgboost  # noqa: PLC0415 - see above

    if content_type == CSV:
        return xgboost.DMatrix(np.genfromtxt(io.StringIO(content), delimiter=",", ndmin=2))
    if content_type in LIBSVM:
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            return xgboost.DMatrix(f"{file.name}?format=libsvm")
    raise ContentTypeError(UNSUPPORTED_MEDIA_TYPE, f"no input_fn, and the default one does not read {content_type!r}")


def default_predict(data: Any, model: Any) -> Any:
    """Return the model's own prediction."""
    return model.predict(data)


def default_output(prediction: Any, accept: str) -> tuple[str | bytes, str]:
    """Return the prediction as JSON, CSV or NPY."""
    if accept == JSON:
        return json.dumps(prediction.tolist() if hasattr(prediction, "tolist") else prediction), JSON
    if accept in {CSV, NPY}:
        import numpy as np  # noqa: PLC0415 - only where a default handler needs it

        if accept == CSV:
            text = io.StringIO()
            np.savetxt(text, prediction, delimiter=",", fmt="%s")
            return text.getvalue(), CSV
        stored = io.BytesIO()
        np.save(stored, prediction)
        return stored.getvalue(), NPY
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
    # headers and body leave as one packet; otherwise Nagle's algorithm delays the body by 40 ms
    wbufsize = -1
    disable_nagle_algorithm = True
    handlers: Handlers

    def do_GET(self) -> None:
        """Answer the health check."""
        self._send(200 if self.path == "/ping" else 404, b"", "text/plain")

    def do_POST(self) -> None:
        """Answer an invocation."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content_type = self.headers.get("Content-Type") or JSON
        try:
            reply = self.handlers.answer(body, content_type, self.headers.get("Accept") or "")
        except ContentTypeError as error:
            self._send(error.status, str(error).encode(), "text/plain")
        except Exception:  # noqa: BLE001 - whatever the user's handler raises is the answer
            trace = traceback.format_exc()
            print(trace, flush=True)  # noqa: T201 - the job's log
            self._send(500, trace.encode(), "text/plain")
        else:
            self._send(reply.status, reply.body, reply.content_type, reply.headers)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Keep the job's log for what the script says."""

    def _send(self, status: int, body: bytes, content_type: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """A server whose queue of connections is not the limit of a transform's concurrency."""

    request_queue_size = 128


def main() -> None:
    """Serve until killed: `model_server.py <base folder> <file descriptor for the port> <image>`."""
    base, ready, image = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    RequestHandler.handlers = Handlers(load_script(base), str(Path(base, "model")), image)
    server = Server(("127.0.0.1", 0), RequestHandler)
    with os.fdopen(ready, "w") as pipe:
        pipe.write(f"{server.server_port}\n")
    server.serve_forever()


if __name__ == "__main__":
    main()
