"""Moves data with the provider's own operators, between the clouds and within one; prints what they answered.

Argument: a folder to write local files to. The buckets `from-s3` (AWS), `source` and `target` (Google) exist.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import gcsfs
from airflow.providers.google.cloud.hooks.gcs import GCSAsyncHook, GCSHook
from airflow.providers.google.cloud.operators.gcs import GCSDeleteObjectsOperator
from airflow.providers.google.cloud.sensors.gcs import GCSObjectExistenceSensor, GCSObjectsWithPrefixExistenceSensor
from airflow.providers.google.cloud.transfers.gcs_to_gcs import GCSToGCSOperator
from airflow.providers.google.cloud.transfers.gcs_to_local import GCSToLocalFilesystemOperator
from airflow.providers.google.cloud.transfers.local_to_gcs import LocalFilesystemToGCSOperator
from airflow.providers.google.cloud.transfers.s3_to_gcs import S3ToGCSOperator

folder = Path(sys.argv[1])
key_file = os.environ["GOOGLE_APPLICATION_CREDENTIALS"]
os.environ["AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT"] = json.dumps(
    {"conn_type": "google_cloud_platform", "extra": {"key_path": key_file}}
)
os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = "aws://"
answer: dict[str, Any] = {}


def run(operator: Any) -> Any:
    """Run an operator as a task would."""
    return operator.execute({})


# from the disk, one file and many
for name in ("a.csv", "b.csv", "c.txt"):
    (folder / name).write_text(name, encoding="utf-8")
run(LocalFilesystemToGCSOperator(task_id="one", src=str(folder / "a.csv"), dst="one/renamed.csv", bucket="source"))
run(LocalFilesystemToGCSOperator(task_id="many", src=str(folder / "*"), dst="in/", bucket="source"))

# from S3
copied = run(S3ToGCSOperator(task_id="s3", bucket="from-s3", prefix="months/", dest_gcs="gs://source/s3/"))
answer["from S3"] = sorted(copied)
answer["from S3 again"] = run(
    S3ToGCSOperator(task_id="s3_again", bucket="from-s3", prefix="months/", dest_gcs="gs://source/s3/")
)

# within Cloud Storage: one object, a wildcard, a pattern, a folder, and a move
between = {"source_bucket": "source", "destination_bucket": "target"}
run(GCSToGCSOperator(task_id="object", source_object="in/a.csv", destination_object="object/a.csv", **between))
run(GCSToGCSOperator(task_id="wildcard", source_object="in/*.csv", destination_object="wildcard/", **between))
run(
    GCSToGCSOperator(
        task_id="pattern", source_object="in/", match_glob="**/*.csv", destination_object="pattern/", **between
    )
)
run(GCSToGCSOperator(task_id="folder", source_object="s3/", destination_object="folder/", **between))
run(
    GCSToGCSOperator(
        task_id="move", source_object="one/renamed.csv", destination_object="moved.csv", move_object=True, **between
    )
)
hook = GCSHook()
hook.create_bucket(bucket_name="mirror")
hook.sync(source_bucket="target", destination_bucket="mirror", recursive=True)

# lists, sensors, deletion
answer["listed"] = hook.list("target", match_glob="**/*.csv")
answer["exists"] = GCSObjectExistenceSensor(task_id="exists", bucket="target", object="moved.csv").poke({})
answer["prefix"] = GCSObjectsWithPrefixExistenceSensor(task_id="prefix", bucket="target", prefix="none/").poke({})
run(GCSDeleteObjectsOperator(task_id="delete", bucket_name="target", prefix="pattern/"))
run(
    GCSToLocalFilesystemOperator(
        task_id="back", bucket="target", object_name="moved.csv", filename=str(folder / "back.csv")
    )
)
answer["back"] = (folder / "back.csv").read_text(encoding="utf-8")

# the hook: compositions, descriptions, preconditions by way of its client
hook.compose(bucket_name="target", source_objects=["wildcard/a.csv", "wildcard/b.csv"], destination_object="composed")
answer["composed"] = hook.download("target", "composed").decode()
answer["size"] = hook.get_size("target", "composed")


async def look() -> str:
    """Read an object as triggers do."""
    from aiohttp import ClientSession  # noqa: PLC0415 - only here

    async with ClientSession() as session:
        client = await GCSAsyncHook().get_storage_client(session)
        answer["token"] = str(await client.token.get()).startswith("localcloud.")
        await client.upload("target", "async", b"by a trigger")
        return str((await client.download("target", "async")).decode())


answer["async"] = asyncio.run(look())

# and as a file system, which Airflow's object storage uses
files = gcsfs.GCSFileSystem(token="anon")  # noqa: S106 - the name of a way to log in
with files.open("target/file", "wb") as file:
    file.write(b"by a file system")
answer["file"] = files.cat("target/file").decode()
answer["folders"] = sorted(files.ls("target"))
sys.stdout.write(json.dumps(answer) + "\n")
