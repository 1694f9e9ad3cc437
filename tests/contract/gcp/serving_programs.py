"""Prediction containers' programs and models of them, for tests."""

from typing import Any

from google.cloud import aiplatform_v1 as vertex

from tests.contract.gcp.local_vertex import BUCKET, PARENT, SERVING_IMAGE, LocalVertex, Storage

# adds the artifact's number to each instance's "x", or to its first value; obeys what an instance asks for,
# which may be to wait until the object `after` is in the model's bucket
ADDS = """
import json, os, sys, time, urllib.error, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
bucket, _, prefix = os.environ["AIP_STORAGE_URI"].removeprefix("gs://").partition("/")
def address(key):
    quoted = urllib.request.quote(key, safe="")
    return f"{os.environ['STORAGE_EMULATOR_HOST']}/storage/v1/b/{bucket}/o/{quoted}?alt=media"
with urllib.request.urlopen(address(prefix.rstrip("/") + "/number.txt")) as answer:
    number = float(answer.read())
if number < 0:
    raise SystemExit("a negative number cannot be loaded")
print("loaded", number, os.getpid(), flush=True)

def wait_for(key):
    while True:
        try:
            return urllib.request.urlopen(address(key)).close()
        except urllib.error.HTTPError:
            time.sleep(0.1)

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    def do_GET(self):
        self.answer(200 if self.path == os.environ["AIP_HEALTH_ROUTE"] else 404, b"{}")
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != os.environ["AIP_PREDICT_ROUTE"]:
            return self.answer(404, b"{}")
        if self.headers["Content-Type"] == "text/plain":
            return self.answer(200, body[::-1], "text/plain")
        request = json.loads(body)
        found = []
        for instance in request["instances"]:
            x = instance["x"] if isinstance(instance, dict) else instance[0]
            if isinstance(instance, dict) and "after" in instance:
                wait_for(instance["after"])
            if x == "broken":
                return self.answer(500, b'{"error": "cannot predict: broken"}')
            if x == "die":
                os._exit(9)
            if x == "sleep":
                time.sleep(600)
            found.append(x + number * (request.get("parameters") or {}).get("times", 1))
        self.answer(200, json.dumps({"predictions": found}).encode())
    def answer(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass

ThreadingHTTPServer(("127.0.0.1", int(os.environ["AIP_HTTP_PORT"])), Handler).serve_forever()
"""


def model_that_adds(local: LocalVertex, storage: Storage, number: float = 0.5, **container: Any) -> str:
    """Upload a model that adds a number; return its name."""
    storage.put(f"adds/{number}/number.txt", str(number))
    container = {"image_uri": SERVING_IMAGE, "command": ["python", "-c", ADDS], **container}
    model = {
        "display_name": f"adds-{number}",
        "artifact_uri": f"gs://{BUCKET}/adds/{number}",
        "container_spec": container,
    }
    made = local.client(vertex.ModelServiceClient).upload_model(parent=PARENT, model=model).result(timeout=20)
    return str(made.model)
