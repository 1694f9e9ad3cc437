"""The operators of Vertex AI's jobs on a real local Vertex AI: what a task returns, leaves behind and stops."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from google.cloud import aiplatform_v1 as vertex

from flightdeck_triggers.vertex_board import VertexBoard, VertexConnection
from flightdeck_triggers.vertex_state import VertexStateTrigger
from include.jobs.identity import TaskIdentity
from include.jobs.vertex import BatchPredictionOperator, CustomTrainingOperator
from include.jobs.vertex_identity import TASK_LABEL, task_label
from include.jobs.vertex_kinds import CUSTOM
from include.jobs.vertex_model import UploadModelOperator
from include.jobs.vertex_reaper import reap_vertex
from tests.contract.gcp.local_vertex import (
    BUCKET,
    ENTRY_IMAGE,
    PARENT,
    PROJECT,
    REGION,
    SERVING_IMAGE,
    LocalVertex,
    Storage,
    state_of,
)
from tests.contract.gcp.serving_programs import model_that_adds
from tests.contract.gcp.test_vertex_attempts import RAISES, SAVES, WAITS, request
from tests.contract.local_cloud import until

if TYPE_CHECKING:
    from pathlib import Path

DEPLOYMENT = "operators"


@pytest.fixture(autouse=True)
def _deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_FLIGHTDECK_DEPLOYMENT", DEPLOYMENT)


class Counts(grpc.UnaryUnaryClientInterceptor):
    """Remembers the methods that were called."""

    def __init__(self) -> None:
        """Begin with none."""
        self.methods: list[str] = []

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """Let a call pass."""
        self.methods.append(str(client_call_details.method).rpartition("/")[2])
        return continuation(client_call_details, request)


@dataclass(frozen=True)
class LocalConnection(VertexConnection):
    """A connection to the local Vertex AI without TLS."""

    address: str = ""

    def client(self) -> Any:
        """Return a client of the local server."""
        channel = grpc.insecure_channel(self.address, options=[("grpc.enable_http_proxy", 0)])
        return vertex.JobServiceClient(transport=vertex.JobServiceClient.get_transport_class("grpc")(channel=channel))


def trigger(local: LocalVertex, arguments: dict[str, Any]) -> VertexStateTrigger:
    """Return a trigger of these arguments that reaches the local server."""

    class LocalTrigger(VertexStateTrigger):
        def connection(self) -> VertexConnection:
            return LocalConnection("local", (), REGION, local.address)

    return LocalTrigger(**arguments)


def context(task_id: str, state: str = "running", max_tries: int = 3) -> Any:
    """Return what a task's context says of it."""
    instance = SimpleNamespace(dag_id="a_dag", run_id="a_run", task_id=task_id, map_index=-1, max_tries=max_tries)
    instance.get_task_states = lambda **_: {"a_run": {task_id: state}}
    return {"ti": instance}


def operator(
    local: LocalVertex,
    storage: Storage,
    wanted: dict[str, Any],
    base: type[Any] = CustomTrainingOperator,
    **changed: Any,
) -> Any:
    """Return an operator that reaches the local servers."""

    class Local(base):  # type: ignore[misc] # whichever operator is tested
        def open_client(self) -> Any:
            return local.jobs

        def open_storage(self) -> Any:
            return storage.client

    arguments = {"max_runtime_seconds": 60, "poll_interval": 0.1, "deferrable": False, **changed}
    return Local(task_id=wanted["display_name"], request=wanted, project_id=PROJECT, region=REGION, **arguments)


def jobs(local: LocalVertex, name: str) -> list[Any]:
    """Return the custom jobs of a task, the oldest first."""
    task = TaskIdentity(DEPLOYMENT, "a_dag", "a_run", name, -1)
    return CUSTOM.labelled(local.jobs, PARENT, TASK_LABEL, task_label(task))


def deferred(task: Any, name: str) -> TaskDeferred:
    """Execute a task until it defers."""
    with pytest.raises(TaskDeferred) as raised:
        task.execute(context(name))
    return raised.value


async def first(one: VertexStateTrigger) -> Any:
    """Return the payload of a trigger's event."""
    async for event in one.run():
        return event.payload
    return None


def test_a_task_that_waits_in_the_worker(local: LocalVertex, storage: Storage) -> None:
    """It returns the job's record; its retry returns the same, and there is one job."""
    wanted = request("in-worker", SAVES)
    result = operator(local, storage, wanted).execute(context("in-worker"))
    assert b"fitted" == storage.get(f"{result['artifacts']['model'].removeprefix(f'gs://{BUCKET}/')}/model")
    assert {**result, "adopted": True} == operator(local, storage, wanted).execute(context("in-worker"))
    assert [result["arn"]] == [job.name for job in jobs(local, "in-worker")]


def test_a_task_that_is_deferred(local: LocalVertex, storage: Storage) -> None:
    """Its trigger, stored and made again, fires at the job's end; the task goes on with the job's record."""
    task = operator(local, storage, request("deferred", SAVES), deferrable=True)
    waiting = deferred(task, "deferred")
    path, arguments = waiting.trigger.serialize()
    assert "flightdeck_triggers.vertex_state.VertexStateTrigger" == path
    event = asyncio.run(first(trigger(local, json.loads(json.dumps(arguments)))))
    assert {"status": "SUCCEEDED"} == event
    result = task.resume(context("deferred"), event, **(waiting.kwargs or {}))
    assert (jobs(local, "deferred")[0].name, 1, False) == (result["arn"], result["attempts"], result["adopted"])
    assert ["model"] == list(result["artifacts"])


def test_a_program_that_raises_fails_the_task_at_once(local: LocalVertex, storage: Storage) -> None:
    """The error is one without a retry, and holds the program's own."""
    with pytest.raises(AirflowFailException, match=r"(?s)RemoteJobFailed: .*ValueError: one class only"):
        operator(local, storage, request("fails", RAISES)).execute(context("fails"))
    assert ["FAILED"] == [state_of(job) for job in jobs(local, "fails")]


@pytest.mark.parametrize(("state", "stops"), [("failed", True), ("running", False)])
def test_a_kill_stops_the_job_only_if_a_user_ended_the_task(
    local: LocalVertex, storage: Storage, state: str, *, stops: bool
) -> None:
    """A worker that goes down leaves the job to the next try."""
    name = f"killed-{state}"
    task = operator(local, storage, request(name, WAITS), deferrable=True)
    with pytest.raises(TaskDeferred):
        task.execute(context(name, state))
    if stops:
        with pytest.raises(AirflowFailException, match="the task was ended from outside"):
            task.on_kill()
        assert "CANCELLED" == state_of(local.finished(jobs(local, name)[0]))
    else:
        task.on_kill()
        (job,) = jobs(local, name)
        assert state_of(job) in {"PENDING", "RUNNING"}
        local.jobs.cancel_custom_job(name=job.name)
        local.finished(job)


def test_a_trigger_that_is_cancelled_without_a_known_state(local: LocalVertex, storage: Storage) -> None:
    """A triggerer that goes down leaves the job alone."""
    name = "triggerer-down"
    waiting = deferred(operator(local, storage, request(name, WAITS), deferrable=True), name)

    async def cancelled() -> None:
        task = asyncio.create_task(first(trigger(local, waiting.trigger.serialize()[1])))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    (job,) = jobs(local, name)
    assert state_of(job) in {"PENDING", "RUNNING"}
    local.jobs.cancel_custom_job(name=job.name)
    local.finished(job)


def test_many_waits_cost_one_list_a_look(local: LocalVertex, storage: Storage, tmp_path: Path) -> None:
    """Six jobs that run are watched by lists alone; each end costs one call more."""
    gate = tmp_path / "gate"
    script = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.05)\n"
    names = [f"board-{number}" for number in range(6)]
    found = [deferred(operator(local, storage, request(name, script), deferrable=True), name) for name in names]
    counts = Counts()
    channel = grpc.intercept_channel(
        grpc.insecure_channel(local.address, options=[("grpc.enable_http_proxy", 0)]), counts
    )
    client = vertex.JobServiceClient(transport=vertex.JobServiceClient.get_transport_class("grpc")(channel=channel))

    async def ends() -> list[str]:
        board = VertexBoard(lambda: client)
        arguments = [waiting.trigger.serialize()[1] for waiting in found]
        waits = [board.end_of(each["noun"], each["name"], each["selection"], 0.2) for each in arguments]
        together = asyncio.gather(*waits)
        await asyncio.to_thread(until, lambda: len(counts.methods) >= 3, "three looks")
        assert {"ListCustomJobs"} == {*counts.methods}
        gate.touch()
        async with asyncio.timeout(60):
            return await together

    assert ["SUCCEEDED"] * 6 == asyncio.run(ends())
    assert 6 == counts.methods.count("GetCustomJob")
    channel.close()


def test_a_job_that_is_gone_is_noticed(local: LocalVertex) -> None:
    """One that no list shows is asked for, and its absence is told."""

    async def gone() -> str:
        board = VertexBoard(lambda: local.jobs)
        return await board.end_of("custom_job", f"{PARENT}/customJobs/404", 'labels.flightdeck_deployment="x"', 0.1)

    assert "GONE" == asyncio.run(gone())


def test_the_reaper_cancels_what_nobody_waits_for(local: LocalVertex, storage: Storage) -> None:
    """Of two jobs that run, the one whose task has ended is cancelled, with the reason told; the other one goes on."""
    for name in ("reaped", "kept"):
        deferred(operator(local, storage, request(name, WAITS), deferrable=True), name)

    def abandoned(task: TaskIdentity) -> str | None:
        return "its task instance is failed" if task.task == "reaped" else None

    (kept,), (reaped,) = jobs(local, "kept"), jobs(local, "reaped")
    assert [] == reap_vertex(local.jobs, PARENT, "another deployment", lambda _: "whatever")
    (found,) = reap_vertex(local.jobs, PARENT, DEPLOYMENT, abandoned)
    assert (reaped.name, ("a_dag", "a_run", "reaped", -1)) == (found.job, found.task)
    assert "CANCELLED" == state_of(local.finished(reaped))
    assert state_of(local.jobs.get_custom_job(name=kept.name)) in {"PENDING", "RUNNING"}
    local.jobs.cancel_custom_job(name=kept.name)
    local.finished(kept)


def prediction(name: str, model: str, source: str) -> dict[str, Any]:
    """Return a request of a batch prediction."""
    return {
        "display_name": name,
        "model": model,
        "input_config": {"instances_format": "jsonl", "gcs_source": {"uris": [source]}},
        "output_config": {
            "predictions_format": "jsonl",
            "gcs_destination": {"output_uri_prefix": f"gs://{BUCKET}/predictions"},
        },
        "dedicated_resources": {"machine_spec": {"machine_type": "n1-standard-2"}, "starting_replica_count": 1},
    }


def test_a_batch_prediction(local: LocalVertex, storage: Storage) -> None:
    """Its artifact is the folder of the answers; the retry takes the same one."""
    model = model_that_adds(local, storage)
    wanted = prediction("predicts", model, storage.put("operators/in.jsonl", '{"x": 1}\n{"x": 2}\n'))
    result = operator(local, storage, wanted, BatchPredictionOperator).execute(context("predicts"))
    folder = result["artifacts"]["predictions"].removeprefix(f"gs://{BUCKET}/")
    lines = storage.get(f"{folder}/prediction.results-00000-of-00001").decode().splitlines()
    assert [1.5, 2.5] == [json.loads(line)["prediction"] for line in lines]
    again = operator(local, storage, wanted, BatchPredictionOperator).execute(context("predicts"))
    assert {**result, "adopted": True} == again


def test_rows_without_an_answer_are_no_success(local: LocalVertex, storage: Storage) -> None:
    """Vertex AI calls a job of which some rows failed a success; the task does not."""
    model = model_that_adds(local, storage)
    source = storage.put("operators/broken.jsonl", '{"x": 1}\n{"x": "broken"}\n')
    wanted = {**prediction("broken", model, source), "manual_batch_tuning_parameters": {"batch_size": 1}}
    task = operator(local, storage, wanted, BatchPredictionOperator)
    with pytest.raises(AirflowFailException, match=r"ArtifactError: .*it ended as SUCCEEDED and left \d+ rows without"):
        task.execute(context("broken"))


def test_a_batch_prediction_of_a_model_that_does_not_exist(local: LocalVertex, storage: Storage) -> None:
    """The refusal is terminal and names the model."""
    wanted = prediction("refused", f"{PARENT}/models/404", f"gs://{BUCKET}/in.jsonl")
    with pytest.raises(AirflowFailException, match=r"RequestRefused: .*404"):
        operator(local, storage, wanted, BatchPredictionOperator).execute(context("refused"))


def test_a_dag_file_imports_none_of_googles_clients() -> None:
    """Nothing that costs seconds comes with the operators."""
    heavy = ("google.api_core", "google.auth", "google.cloud.", "grpc", "boto", "airflow.providers.google.c")
    code = f"import sys, include.jobs.vertex; print([each for each in sys.modules if each.startswith({heavy!r})])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == out.stdout.splitlines()[-1]


def test_a_model_is_uploaded_once(local: LocalVertex, storage: Storage) -> None:
    """A retry, and one whose first answer was lost, finds the same model; another request makes another one."""
    client = local.client(vertex.ModelServiceClient)

    class Local(UploadModelOperator):
        def open_client(self) -> Any:
            return client

    storage.put("operators/model/number.txt", "0.5")

    def uploaded(image: str) -> dict[str, str]:
        model = {
            "display_name": "Flight_Delay",
            "artifact_uri": f"gs://{BUCKET}/operators/model",
            "container_spec": {"image_uri": image},
        }
        task = Local(task_id="uploads", model=model, project_id=PROJECT, region=REGION)
        return task.execute(context("uploads"))

    first_one = uploaded(SERVING_IMAGE)
    assert [first_one, first_one] == [uploaded(SERVING_IMAGE), uploaded(SERVING_IMAGE)]
    assert first_one["model"] != uploaded(ENTRY_IMAGE)["model"]
    named = client.list_models(request={"parent": PARENT, "filter": 'display_name="Flight_Delay"'})
    assert 2 == len(list(named))
    assert ("1", f"gs://{BUCKET}/operators/model") == (
        first_one["version"],
        client.get_model(name=first_one["model"]).artifact_uri,
    )
