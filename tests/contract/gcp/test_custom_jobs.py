"""Custom jobs: what a program of a worker pool meets, and what the API tells of the job."""

import io
import json
import tarfile
import time
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import aiplatform_v1 as vertex

from tests.contract.gcp.conftest import StartVertex
from tests.contract.gcp.local_vertex import (
    BUCKET,
    CLIENT_IMAGE,
    ENTRY_IMAGE,
    PARENT,
    PLAIN_IMAGE,
    LocalVertex,
    Storage,
    pool,
    python,
    spec,
    state_of,
)
from tests.contract.local_cloud import is_alive, until

WAITS = "import os, time; print('at', os.getpid(), flush=True); time.sleep(600)"


def package(module: str) -> bytes:
    """Return a source distribution of the package `trainer` with the module `task`."""
    files = {
        "setup.py": "from setuptools import setup\nsetup(name='trainer', version='0.1', packages=['trainer'])\n",
        "trainer/__init__.py": "",
        "trainer/task.py": module,
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"trainer-0.1/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content.encode()))
    return buffer.getvalue()


def packaged(uri: str, *arguments: str, module: str = "trainer.task") -> dict[str, Any]:
    """Return a worker pool that runs a module of a package."""
    return {
        "machine_spec": {"machine_type": "n1-standard-4"},
        "replica_count": 1,
        "python_package_spec": {
            "executor_image_uri": PLAIN_IMAGE,
            "package_uris": [uri],
            "python_module": module,
            "args": list(arguments),
            "env": [{"name": "COLOUR", "value": "green"}],
        },
    }


@pytest.mark.executes("JobService.CreateCustomJob", "JobService.GetCustomJob")
def test_life_of_a_job(local: LocalVertex) -> None:
    """A job is pending when it is created, and succeeds when its program does; times and names are told."""
    created = local.run(spec(pool("true")), "trivial", labels={"team": "a"})
    job = local.finished(created)
    assert "PENDING" == state_of(created)
    assert "SUCCEEDED" == state_of(job)
    assert created.name.startswith(f"{PARENT}/customJobs/")
    assert created.create_time <= job.start_time <= job.end_time
    assert {"team": "a"} == dict(job.labels)
    assert 0 == job.error.code


def test_variables_of_a_program(local: LocalVertex) -> None:
    """A program is told its project, its job, where its outputs go and its own variables."""
    script = """
import json, os
names = ["AIP_MODEL_DIR", "AIP_CHECKPOINT_DIR", "AIP_TENSORBOARD_LOG_DIR", "CLOUD_ML_PROJECT_ID", "CLOUD_ML_JOB_ID"]
print(json.dumps({name: os.environ.get(name) for name in [*names, "OWN"]}))
"""
    output = {"output_uri_prefix": f"gs://{BUCKET}/out/"}
    job = local.run(
        spec(python(script, env=[{"name": "OWN", "value": "1"}]), base_output_directory=output), "variables"
    )
    assert "SUCCEEDED" == state_of(local.finished(job))
    told = json.loads(local.log(job)[-1])
    assert {
        "AIP_MODEL_DIR": f"gs://{BUCKET}/out/model/",
        "AIP_CHECKPOINT_DIR": f"gs://{BUCKET}/out/checkpoints/",
        "AIP_TENSORBOARD_LOG_DIR": f"gs://{BUCKET}/out/logs/",
        "CLOUD_ML_PROJECT_ID": PARENT.split("/")[1],
        "CLOUD_ML_JOB_ID": job.name.rsplit("/", 1)[1],
        "OWN": "1",
    } == told


def test_an_image_with_an_entry_point(local: LocalVertex) -> None:
    """A container without a command runs its image's entry point with the arguments."""
    job = local.run(spec(pool(image=ENTRY_IMAGE, args=["--rate", "0.1"])), "entry")
    assert "SUCCEEDED" == state_of(local.finished(job))
    assert ["entry ['--rate', '0.1']"] == local.log(job)


def test_a_python_package(local: LocalVertex, storage: Storage) -> None:
    """A package from Cloud Storage is installed, and its module runs with arguments and variables."""
    module = "import os, sys\nprint('trained', sys.argv[1:], os.environ['COLOUR'], __name__)\n"
    uri = storage.put("packages/trainer-0.1.tar.gz", package(module))
    job = local.run(spec(packaged(uri, "--rate=0.1")), "packaged")
    assert "SUCCEEDED" == state_of(done := local.finished(job)), done.error.message
    assert "trained ['--rate=0.1'] green __main__" == local.log(job)[-1]


def test_a_package_without_the_module(local: LocalVertex, storage: Storage) -> None:
    """A module that no package has fails the job, and its error says so."""
    uri = storage.put("packages/empty/trainer-0.1.tar.gz", package(""))
    job = local.finished(local.run(spec(packaged(uri, module="trainer.tusk")), "misspelt"))
    assert "FAILED" == state_of(job)
    assert 3 == job.error.code
    assert "No module named trainer.tusk" in job.error.message


def test_a_package_that_is_not_there(local: LocalVertex) -> None:
    """A package's address that leads nowhere fails the job with the address."""
    uri = f"gs://{BUCKET}/nowhere/trainer-0.1.tar.gz"
    job = local.finished(local.run(spec(packaged(uri)), "lost"))
    assert "FAILED" == state_of(job)
    assert f"{uri}: no such object or bucket" == job.error.message


def test_the_gcs_folder(local: LocalVertex, storage: Storage) -> None:
    """Below /gcs a program reads what its arguments mention, and what it writes there is in Cloud Storage."""
    uri = storage.put("folder/in/a.csv", "1,2\n")
    storage.put("folder/ink/b.csv", "3,4\n")
    script = """
import os, pathlib, sys
source = pathlib.Path(sys.argv[1].replace("gs://", "/gcs/"))
print(sorted(path.name for path in source.parent.parent.rglob("*.csv")), source.read_text().strip())
model = pathlib.Path(os.environ["AIP_MODEL_DIR"].replace("gs://", "/gcs/"))
model.mkdir(parents=True)
(model / "model.txt").write_text("weights")
"""
    output = {"output_uri_prefix": f"gs://{BUCKET}/folder/out"}
    job = local.run(spec(python(script, uri), base_output_directory=output), "folder")
    assert "SUCCEEDED" == state_of(done := local.finished(job)), done.error.message
    assert ["['a.csv'] 1,2"] == local.log(job)
    assert b"weights" == storage.get("folder/out/model/model.txt")


def test_a_bucket_that_does_not_exist(local: LocalVertex) -> None:
    """A job that leaves files for a bucket that does not exist fails, and its error names the bucket."""
    script = (
        "import pathlib; pathlib.Path('/gcs/no-such-bucket').mkdir(); pathlib.Path('/gcs/no-such-bucket/a').touch()"
    )
    job = local.finished(local.run(spec(python(script)), "no bucket"))
    assert ("FAILED", 5, "gs://no-such-bucket/a: no such object or bucket") == (
        state_of(job),
        job.error.code,
        job.error.message,
    )


@pytest.mark.verify  # imports Google's client in a job; the variables that lead it are shown always
def test_google_clients_in_a_job(local: LocalVertex, storage: Storage) -> None:
    """A program reaches the cloud that it runs in with Google's own client."""
    script = """
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
client = storage.Client(project="p", credentials=AnonymousCredentials())
client.bucket("models").blob("by-client.txt").upload_from_string("written")
"""
    job = local.run(spec(python(script, image=CLIENT_IMAGE)), "client")
    assert "SUCCEEDED" == state_of(done := local.finished(job)), done.error.message
    assert b"written" == storage.get("by-client.txt")


def test_a_program_that_raises(local: LocalVertex) -> None:
    """A failed job's error names the replica, its exit status and the end of its log."""
    job = local.finished(local.run(spec(python("print('about to')\nraise ValueError('no rows in 2013-02')")), "raises"))
    assert "FAILED" == state_of(job)
    assert 3 == job.error.code
    said = job.error.message.splitlines()
    assert "The replica workerpool0-0 exited with a non-zero status of 1. Termination reason: Error. " == said[0]
    assert "ValueError: no rows in 2013-02" in said
    assert "about to" not in said


def test_replicas_know_each_other(local: LocalVertex) -> None:
    """Every replica gets CLUSTER_SPEC with its own task, and reaches the others by it."""
    chief = """
import json, os, socket
spec = json.loads(os.environ["CLUSTER_SPEC"])
host, _, port = spec["cluster"]["workerpool0"][0].partition(":")
with socket.create_server((host, int(port))) as server:
    heard = []
    for _ in range(2):
        other, _ = server.accept()
        with other: heard.append(other.recv(100).decode())
print(sorted(heard), {name: len(found) for name, found in spec["cluster"].items()}, spec["task"])
"""
    worker = """
import json, os, socket, time
spec = json.loads(os.environ["CLUSTER_SPEC"])
host, _, port = spec["cluster"]["workerpool0"][0].partition(":")
for _ in range(200):
    try:
        with socket.create_connection((host, int(port))) as chief: chief.sendall(json.dumps(spec["task"]).encode())
        break
    except OSError: time.sleep(0.05)
"""
    job = local.run(spec(python(chief), python(worker, replicas=2)), "cluster")
    assert "SUCCEEDED" == state_of(done := local.finished(job)), done.error.message
    tasks = [json.dumps({"type": "workerpool1", "index": index}) for index in (0, 1)]
    expected = [f"{tasks} {{'workerpool0': 1, 'workerpool1': 2}} {{'type': 'workerpool0', 'index': 0}}"]
    assert expected == local.log(job)


def test_the_primary_replica_ends_the_job(local: LocalVertex) -> None:
    """A job is done when its primary replica is, though a parameter server would run for ever."""
    job = local.run(spec(python("pass"), python(WAITS)), "primary")
    assert "SUCCEEDED" == state_of(local.finished(job))
    server = next((line for line in local.log(job, "workerpool1-0") if line.startswith("at ")), "")
    assert not server or not is_alive(int(server.split()[1]))


def test_a_failing_worker_fails_the_job(local: LocalVertex) -> None:
    """A replica that fails ends the others, and the error names it."""
    job = local.finished(local.run(spec(python(WAITS), python("raise SystemExit(7)")), "failing worker"))
    assert "FAILED" == state_of(job)
    assert job.error.message.startswith("The replica workerpool1-0 exited with a non-zero status of 7.")


@pytest.mark.executes("JobService.CancelCustomJob")
def test_cancelling(local: LocalVertex) -> None:
    """A cancelled job's processes are gone; it ends as CANCELLED with code 1, and cancelling again changes nothing."""
    script = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    job = local.run(spec(python(script + WAITS)), "cancelled")
    process = int(local.log_line(job, "at ").split()[1])
    local.jobs.cancel_custom_job(name=job.name)
    done = local.finished(job)
    local.jobs.cancel_custom_job(name=job.name)
    assert ("CANCELLED", 1) == (state_of(done), done.error.code)
    assert not is_alive(process)
    assert done == local.jobs.get_custom_job(name=job.name)


@pytest.mark.verify  # needs a server of its own
def test_cancelling_before_a_slot_is_free(start_vertex: StartVertex) -> None:
    """A job that waits for its turn is cancelled without having run."""
    own = start_vertex()
    running = [own.run(spec(python(WAITS)), "runs") for _ in range(3)]
    for job in running:
        own.log_line(job, "at ")
    waiting = own.run(spec(python("print('ran')")), "waits")
    own.jobs.cancel_custom_job(name=waiting.name)
    assert "CANCELLED" == state_of(own.finished(waiting))
    assert [] == own.log(waiting)


def test_a_timeout(local: LocalVertex) -> None:
    """A job that takes longer than its timeout is ended and fails with DEADLINE_EXCEEDED."""
    job = local.finished(local.run(spec(python(WAITS), scheduling={"timeout": {"seconds": 1}}), "slow"))
    assert ("FAILED", 4) == (state_of(job), job.error.code)
    assert "The job exceeded its timeout of 1 s and was ended." == job.error.message


def test_deleting(local: LocalVertex) -> None:
    """A job that runs cannot be deleted; one that has ended can, by an operation, and is gone then."""
    job = local.run(spec(python(WAITS)), "deleted")
    local.log_line(job, "at ")
    with pytest.raises(exceptions.FailedPrecondition, match="is in state RUNNING and cannot be deleted"):
        local.jobs.delete_custom_job(name=job.name)
    local.jobs.cancel_custom_job(name=job.name)
    local.finished(job)
    local.jobs.delete_custom_job(name=job.name).result(timeout=10)
    with pytest.raises(exceptions.NotFound, match="does not exist"):
        local.jobs.get_custom_job(name=job.name)


@pytest.mark.executes("JobService.ListCustomJobs")
def test_listing(start_vertex: StartVertex) -> None:
    """Jobs are listed newest first, page by page, filtered by state, name and label."""
    own = start_vertex()
    names = ["alpha", "beta", "gamma"]
    for number, name in enumerate(names):
        own.finished(own.run(spec(pool("false" if name == "beta" else "true")), name, labels={"run": str(number)}))

    def listed(**request: Any) -> list[str]:
        return [job.display_name for job in own.jobs.list_custom_jobs({"parent": PARENT, **request})]

    assert ["gamma", "beta", "alpha"] == listed(page_size=1)
    assert ["gamma", "alpha"] == listed(filter='state="JOB_STATE_SUCCEEDED"')
    assert ["beta"] == listed(filter='labels.run="1" AND state=JOB_STATE_FAILED')
    assert ["beta", "alpha"] == listed(filter='display_name="*a" AND NOT labels.run=2')
    page = own.jobs.list_custom_jobs({"parent": PARENT, "page_size": 2})
    assert [2, 1] == [len(part.custom_jobs) for part in page.pages]
    with pytest.raises(exceptions.InvalidArgument, match="which CustomJob has not"):
        listed(filter="colour=red")
    first = own.jobs.list_custom_jobs({"parent": PARENT, "page_size": 2})
    with pytest.raises(exceptions.InvalidArgument, match="another filter"):
        listed(filter="display_name=alpha", page_token=first.next_page_token)


@pytest.mark.refuses("JobService.CreateCustomJob")
@pytest.mark.parametrize(
    ("job_spec", "said"),
    [
        (spec(), "job_spec.worker_pool_specs; Message: 1 to 4 worker pools are needed, got 0"),
        (spec(pool("true", image="gcr.io/nobody/knows:1")), "localcloud has no environment for the image"),
        (spec(pool("true", image="")), "container_spec.image_uri; Message: Required field is not set"),
        (spec(pool("true", machine="n1-tiny-4")), "Machine type 'n1-tiny-4' is not supported"),
        (spec(pool("true", replicas=2)), "The first worker pool has one replica, got 2"),
        (spec(pool()), "has no entry point here"),
    ],
)
def test_what_is_refused(local: LocalVertex, job_spec: dict[str, Any], said: str) -> None:
    """A job that cannot run is refused with INVALID_ARGUMENT; the message names the field and the rule."""
    with pytest.raises(exceptions.InvalidArgument) as refused:
        local.run(job_spec)
    assert said in refused.value.message


@pytest.mark.refuses("JobService.GetCustomJob", "JobService.CancelCustomJob")
def test_names_that_lead_nowhere(local: LocalVertex) -> None:
    """A region and a job that do not exist are not found; a method that does not exist is not implemented."""
    job = {"display_name": "x", "job_spec": spec(pool("true"))}
    with pytest.raises(exceptions.NotFound, match="mars-north1"):
        local.jobs.create_custom_job(parent="projects/p/locations/mars-north1", custom_job=job)
    with pytest.raises(exceptions.NotFound):
        local.jobs.get_custom_job(name=f"{PARENT}/customJobs/1")
    with pytest.raises(exceptions.MethodNotImplemented, match="localcloud does not implement"):
        local.jobs.create_data_labeling_job(parent=PARENT, data_labeling_job={"display_name": "x"})


def test_jobs_survive_sigkill(start_vertex: StartVertex) -> None:
    """After SIGKILL no process is left; what had ended is as it was, and what ran has failed with the reason."""
    first = start_vertex()
    done = first.finished(first.run(spec(pool("true")), "done"))
    job = first.run(spec(python(WAITS)), "killed")
    process = int(first.log_line(job, "at ").split()[1])
    first.kill()
    until(lambda: not is_alive(process), "the job's process to be gone")
    second = start_vertex()
    assert done == second.jobs.get_custom_job(name=done.name)
    killed = second.jobs.get_custom_job(name=job.name)
    assert ("FAILED", 13) == (state_of(killed), killed.error.code)
    assert "the local cloud was stopped while the job was RUNNING" in killed.error.message


def test_a_trivial_job_is_quick(local: LocalVertex) -> None:
    """Creating a job and seeing it succeed takes well below a second on a quiet machine."""
    local.finished(local.run(spec(pool("true")), "warm"))
    started = time.monotonic()
    job = local.run(spec(pool("true")), "quick")
    local.finished(job)
    assert time.monotonic() - started < 5


def test_async_clients(local: LocalVertex) -> None:
    """The asynchronous client gets the same answers."""
    import asyncio  # noqa: PLC0415 - here only

    import grpc  # noqa: PLC0415 - here only

    async def list_jobs() -> list[str]:
        channel = grpc.aio.insecure_channel(local.address, options=[("grpc.enable_http_proxy", 0)])
        transport = vertex.JobServiceAsyncClient.get_transport_class("grpc_asyncio")(channel=channel)
        client = vertex.JobServiceAsyncClient(transport=transport)
        found = [job.name async for job in await client.list_custom_jobs(parent=PARENT)]
        await channel.close()
        return found

    created = local.finished(local.run(spec(pool("true")), "seen by both"))
    assert created.name in asyncio.run(list_jobs())
