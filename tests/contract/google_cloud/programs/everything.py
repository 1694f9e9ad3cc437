"""Uses the Google half as a task does, by variables alone, with nothing replaced; then tries what must be refused.

Airflow's secrets backend, which its configuration has to name, and hooks; the default credentials with a token of the
token endpoint, and the question that google-auth asks in the background. Prints what came of it as one line of JSON.
"""

import asyncio
import json
import os
import sys
import time
from typing import Any

import google.auth
import google.auth.transport.requests
import grpc
import requests
from airflow.providers.google.cloud.hooks.gcs import GCSHook
from airflow.providers.google.cloud.hooks.secret_manager import GoogleCloudSecretManagerHook
from airflow.providers.google.cloud.secrets.secret_manager import CloudSecretManagerBackend
from airflow.sdk import Connection, Variable
from google.cloud import secretmanager, storage

answer: dict[str, Any] = {}
key_file = os.environ["GOOGLE_APPLICATION_CREDENTIALS"]
os.environ["AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT"] = json.dumps(
    {"conn_type": "google_cloud_platform", "extra": {"key_path": key_file}}
)

# the default credentials: a token from the token endpoint, and what is asked in the background
credentials, project = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
credentials.refresh(google.auth.transport.requests.Request())
answer["token"] = credentials.token.startswith("localcloud.")
answer["project"] = project
session = google.auth.transport.requests.AuthorizedSession(credentials)
answer["unknown"] = session.get("https://oauth2.googleapis.com/nothing").status_code
deadline = time.monotonic() + 30
while not credentials.regional_access_boundary and time.monotonic() < deadline:
    time.sleep(0.05)
answer["boundary"] = credentials.regional_access_boundary

# Secret Manager: the client, the hook, and the backend that reads connections and variables
client = secretmanager.SecretManagerServiceClient()
for name, value in (("airflow-connections-database", "postgres://here"), ("airflow-variables-colour", "blue")):
    secret = client.create_secret(
        parent=f"projects/{project}", secret_id=name, secret={"replication": {"automatic": {}}}
    )
    client.add_secret_version(parent=secret.name, payload={"data": value.encode()})
backend = CloudSecretManagerBackend()
answer["connection"] = backend.get_conn_value("database")
answer["variable"] = backend.get_variable("colour")
answer["missing"] = [backend.get_variable("none"), backend.get_variable("not valid"), backend.get_config("none")]
answer["Airflow's own"] = [Variable.get("colour"), Connection.get("database").host]
accessed = GoogleCloudSecretManagerHook().access_secret(secret_id="airflow-variables-colour")  # noqa: S106 - its name
answer["hook"] = accessed.payload.data.decode()

# the client that triggers use


async def read() -> str:
    """Read a secret without blocking."""
    asynchronous = secretmanager.SecretManagerServiceAsyncClient()
    version = f"projects/{project}/secrets/airflow-variables-colour/versions/1"
    accessed = await asynchronous.access_secret_version(name=version)
    await asynchronous.transport.close()
    return str(accessed.payload.data.decode())


answer["asynchronous"] = asyncio.run(read())

# Cloud Storage: the client and the hook
storage.Client().create_bucket("walled")
hook = GCSHook()
hook.upload("walled", "object", data="value")
answer["object"] = hook.download("walled", "object").decode()

# and what must not be reached
try:
    session.get("https://bigquery.googleapis.com/bigquery/v2/projects")
except requests.exceptions.ProxyError as error:
    answer["refused"] = "Refused by localcloud: bigquery.googleapis.com:443 is not emulated" in str(error)
channel = grpc.secure_channel("pubsub.googleapis.com:443", grpc.ssl_channel_credentials())
try:
    channel.unary_unary("/google.pubsub.v1.Publisher/Publish")(b"", timeout=5)
except grpc.RpcError as error:
    answer["channel"] = error.code().name
sys.stdout.write(json.dumps(answer) + "\n")
