"""A task's jobs on a real local Vertex AI: found, adopted, refused, passed over or created, and how they end."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.api_core.exceptions import ServiceUnavailable
from google.cloud import aiplatform_v1 as vertex

from include.core.errors import ArtifactError, RemoteJobFailed, RemoteJobInterrupted, RequestConflict, RequestRefused
from include.jobs.identity import TaskIdentity
from include.jobs.vertex_attempts import VertexAttempt, VertexAttempts
from include.jobs.vertex_completion import VertexCompletion
from include.jobs.vertex_identity import TASK_LABEL, task_label, task_of_labels
from include.jobs.vertex_kinds import CUSTOM
from tests.contract.gcp.local_vertex import BUCKET, PARENT, LocalVertex, Storage, python, spec, state_of
from tests.contract.local_cloud import until

SAVES = """
import os
folder = os.environ["AIP_MODEL_DIR"].replace("gs://", "/gcs/")
os.makedirs(folder, exist_ok=True)
open(os.path.join(folder, "model"), "w").write("fitted")
"""
SAVES_NOTHING = "print('done, it says')\n"
RAISES = "for line in range(30):\n    print('line', line)\nraise ValueError('one class only')\n"
WAITS = "import time; print('waiting', flush=True); time.sleep(600)"


class LosesTheAnswer(grpc.UnaryUnaryClientInterceptor):
    """A connection that breaks once, after the server has done what it was asked for."""

    def __init__(self, method: str) -> None:
        """Break at the first call of a method."""
        self._method = method
        self.lost: list[str] = []

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """Let the call happen, and lose what came back."""
        call = continuation(client_call_details, request)
        if not self.lost and str(client_call_details.method).endswith(self._method):
            self.lost.append(call.result().name)
            message = "the connection broke"
            raise ServiceUnavailable(message)  # type: ignore[no-untyped-call] # Google's
        return call


def task(name: str) -> TaskIdentity:
    """Return a task instance of that name."""
    return TaskIdentity("contract", "a_dag", "manual__2013-04-01T00:00:00+00:00", name, -1)


def request(name: str, script: str, **changed: Any) -> dict[str, Any]:
    """Return a request of a custom job that runs a script."""
    job_spec = spec(python(script), base_output_directory={"output_uri_prefix": f"gs://{BUCKET}/attempts"}, **changed)
    return {"display_name": name, "job_spec": job_spec, "labels": {"team": "a"}}


def attempts(
    local: LocalVertex, storage: Storage, wanted: dict[str, Any], turn: int = 2, client: Any = None
) -> VertexAttempts:
    """Return the jobs of the task that is called as the request's name says."""
    return VertexAttempts(
        client or local.jobs,
        PARENT,
        CUSTOM,
        wanted,
        task(wanted["display_name"]),
        turn=turn,
        completion=completion(storage),
    )


def completion(storage: Storage) -> VertexCompletion:
    """Return the judge of custom jobs."""
    return VertexCompletion(CUSTOM, lambda: storage.client)


def seen(attempt: VertexAttempt) -> tuple[int, bool]:
    """Return which attempt it is, and whether it was adopted."""
    return attempt.number, attempt.adopted


def jobs(local: LocalVertex, name: str) -> list[Any]:
    """Return the jobs of a task, the oldest first."""
    return CUSTOM.labelled(local.jobs, PARENT, TASK_LABEL, task_label(task(name)))


def finished(local: LocalVertex, attempt: VertexAttempt) -> Any:
    """Wait for a job's end."""
    return local.finished(attempt.job)


def cancel(local: LocalVertex, attempt: VertexAttempt) -> None:
    """Cancel a job and wait for its end."""
    local.jobs.cancel_custom_job(name=attempt.name)
    assert "CANCELLED" == state_of(finished(local, attempt))


def test_a_running_job_of_the_same_request_is_adopted(local: LocalVertex, storage: Storage) -> None:
    """Who asks again gets the job that runs."""
    asked = attempts(local, storage, request("adopts", WAITS))
    first, second = asked.find_or_create(), asked.find_or_create()
    assert [(1, False), (1, True)] == [seen(first), seen(second)]
    assert [first.name] == [job.name for job in jobs(local, "adopts")]
    assert [first.name] == asked.stop()
    assert "CANCELLED" == state_of(finished(local, first))


def test_a_creation_whose_answer_is_lost(local: LocalVertex, storage: Storage) -> None:
    """The retry finds the job that the broken call created, and no second one is there."""
    breaks = LosesTheAnswer("CreateCustomJob")
    channel = grpc.intercept_channel(
        grpc.insecure_channel(local.address, options=[("grpc.enable_http_proxy", 0)]), breaks
    )
    transport = vertex.JobServiceClient.get_transport_class("grpc")(channel=channel)
    client = vertex.JobServiceClient(transport=transport)
    asked = attempts(local, storage, request("lost", WAITS), client=client)
    with pytest.raises(ServiceUnavailable, match="the connection broke"):
        asked.find_or_create()
    retried = asked.find_or_create()
    assert (1, True) == seen(retried)
    assert breaks.lost == [retried.name] == [job.name for job in jobs(local, "lost")]
    cancel(local, retried)
    channel.close()


def test_many_who_ask_at_once_get_one_job(local: LocalVertex, storage: Storage) -> None:
    """All of them name the oldest job; what else they created is cancelled."""
    wanted = request("races", WAITS)
    together = threading.Barrier(4)

    def ask(_: int) -> VertexAttempt:
        asked = attempts(local, storage, wanted)
        together.wait()
        return asked.find_or_create()

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ask, range(4)))
    attempts(local, storage, wanted).cancel_duplicates()
    oldest, *others = jobs(local, "races")
    assert {oldest.name} == {attempt.name for attempt in found}
    assert ["CANCELLED"] * len(others) == [state_of(local.finished(job)) for job in others]
    assert state_of(local.jobs.get_custom_job(name=oldest.name)) in {"PENDING", "RUNNING"}
    cancel(local, found[0])


def test_a_duplicate_is_cancelled_and_the_oldest_adopted(local: LocalVertex, storage: Storage) -> None:
    """Two jobs of one attempt, as the window leaves them: the older one goes on, in a folder of its own."""
    wanted = request("twice", WAITS)
    first = attempts(local, storage, wanted).find_or_create()
    labels = dict(first.job.labels)
    second = local.jobs.create_custom_job(parent=PARENT, custom_job=CUSTOM.named(wanted, "twice", labels))
    adopted = attempts(local, storage, wanted).find_or_create()
    assert (first.name, True) == (adopted.name, adopted.adopted)
    assert "CANCELLED" == state_of(local.finished(second))
    assert CUSTOM.folder(first.job) != CUSTOM.folder(second)
    cancel(local, first)


def test_a_running_job_of_another_request_is_refused(local: LocalVertex, storage: Storage) -> None:
    """The message names what differs; nothing is created."""
    running = attempts(local, storage, request("differs", WAITS, scheduling={"timeout": "600s"})).find_or_create()
    changed = request("differs", WAITS, scheduling={"timeout": "300s"})
    with pytest.raises(RequestConflict, match=r"job_spec\.scheduling\.timeout is '600s' there and '300s' here"):
        attempts(local, storage, changed).find_or_create()
    assert [running.name] == [job.name for job in jobs(local, "differs")]
    cancel(local, running)


def test_a_job_that_ended_badly_gives_way_to_the_next(local: LocalVertex, storage: Storage) -> None:
    """Failed, cancelled, and succeeded without its artifact: each asks for the next attempt, a good one is taken."""
    for number, script in enumerate((RAISES, WAITS, SAVES_NOTHING, SAVES), start=1):
        attempt = attempts(local, storage, request("ends-badly", script)).find_or_create()
        assert (number, False) == seen(attempt)
        if script == WAITS:
            cancel(local, attempt)
        finished(local, attempt)
    taken = attempts(local, storage, request("ends-badly", SAVES)).find_or_create()
    assert (4, True) == seen(taken)
    assert ["FAILED", "CANCELLED", "SUCCEEDED", "SUCCEEDED"] == [state_of(job) for job in jobs(local, "ends-badly")]


def test_a_result_is_taken_again_by_a_retry_and_passed_over_after_a_clear(local: LocalVertex, storage: Storage) -> None:
    """Clearing a task before it had its result adopts; afterwards it asks for a new job, once."""
    wanted = request("cleared", SAVES)
    job = finished(local, attempts(local, storage, wanted, turn=2).find_or_create())
    assert (1, True) == seen(attempts(local, storage, wanted, turn=3).find_or_create())
    completion(storage).hand_on(job, 3)
    assert (1, True) == seen(attempts(local, storage, wanted, turn=3).find_or_create())
    again = attempts(local, storage, wanted, turn=6).find_or_create()
    assert (2, False) == seen(again)
    assert (2, True) == seen(attempts(local, storage, wanted, turn=6).find_or_create())
    finished(local, again)


def test_a_result_of_another_request_is_passed_over(local: LocalVertex, storage: Storage) -> None:
    """What succeeded is taken for the request that it was created from, and for no other."""
    finished(local, attempts(local, storage, request("changes", SAVES)).find_or_create())
    changed = request("changes", SAVES, scheduling={"timeout": "300s"})
    found = attempts(local, storage, changed).find_or_create()
    assert (2, False) == seen(found)
    finished(local, found)


def test_a_request_that_the_cloud_refuses_is_terminal(local: LocalVertex, storage: Storage) -> None:
    """No worker pools, a field that the API does not know, and no place for the output are nobody's to retry."""
    good = request("refused", SAVES)
    empty = {**good["job_spec"], "worker_pool_specs": []}
    for bad in (good | {"job_spec": empty}, good | {"unknown": 1}, good | {"job_spec": spec(python(SAVES))}):
        with pytest.raises(RequestRefused, match="the request of refused-"):
            attempts(local, storage, bad).find_or_create()
    assert [] == jobs(local, "refused")


def test_a_job_carries_its_owner(local: LocalVertex, storage: Storage) -> None:
    """The labels tell the task instance; a user's own stay."""
    attempt = attempts(local, storage, request("labelled", WAITS)).find_or_create()
    found = dict(local.jobs.get_custom_job(name=attempt.name).labels)
    assert ("a", task("labelled")) == (found["team"], task_of_labels(found))
    cancel(local, attempt)


def test_a_custom_jobs_result(local: LocalVertex, storage: Storage) -> None:
    """Artifact, resource name and billing, as the cloud describes them, in the record that every cloud's jobs have."""
    attempt = attempts(local, storage, request("trains", SAVES)).find_or_create()
    job = finished(local, attempt)
    found = completion(storage).result(job, attempts=attempt.number, adopted=attempt.adopted)
    folder = CUSTOM.folder(job)
    assert {"model": f"{folder}/model"} == found.artifacts
    assert b"fitted" == storage.get(f"{folder.removeprefix(f'gs://{BUCKET}/')}/model/model")
    assert (job.display_name, job.name, {}, 1, False) == (
        found.job_name,
        found.arn,
        found.metrics,
        found.attempts,
        found.adopted,
    )
    assert (job.end_time - job.start_time).total_seconds() == pytest.approx(found.billable_seconds, abs=1)


def test_a_success_without_its_artifact_is_none(local: LocalVertex, storage: Storage) -> None:
    """What ends as SUCCEEDED and left nothing is an error that names the place."""
    job = finished(local, attempts(local, storage, request("leaves-out", SAVES_NOTHING)).find_or_create())
    with pytest.raises(ArtifactError, match="it ended as SUCCEEDED and left nothing at gs://models/attempts/leaves-"):
        completion(storage).result(job, attempts=1, adopted=False)


def test_a_failure_tells_the_clouds_reason_and_the_end_of_the_log(local: LocalVertex, storage: Storage) -> None:
    """A program's error is terminal; the message has Vertex's code, its reason, the log's end and the log's place."""
    job = finished(local, attempts(local, storage, request("raises", RAISES)).find_or_create())
    with pytest.raises(RemoteJobFailed) as raised:
        completion(storage).result(job, attempts=1, adopted=False)
    message = str(raised.value)
    assert f"it ended as FAILED: code {job.error.code}: " in message
    assert "ValueError: one class only" in message
    assert f'resource.labels.job_id="{job.name.rpartition("/")[2]}"' in message


STATES = vertex.JobState


@pytest.mark.parametrize(
    ("state", "code", "error"),
    [
        (STATES.JOB_STATE_FAILED, 8, RemoteJobInterrupted),
        (STATES.JOB_STATE_FAILED, 13, RemoteJobInterrupted),
        (STATES.JOB_STATE_FAILED, 14, RemoteJobInterrupted),
        (STATES.JOB_STATE_FAILED, 3, RemoteJobFailed),
        (STATES.JOB_STATE_FAILED, 4, RemoteJobFailed),
        (STATES.JOB_STATE_EXPIRED, 0, RemoteJobFailed),
        (STATES.JOB_STATE_PARTIALLY_SUCCEEDED, 0, RemoteJobFailed),
        (STATES.JOB_STATE_CANCELLED, 1, RemoteJobFailed),
        (STATES.JOB_STATE_RUNNING, 0, RemoteJobInterrupted),
        (STATES.JOB_STATE_PAUSED, 0, RemoteJobInterrupted),
    ],
)
def test_the_code_decides_on_a_retry(storage: Storage, state: Any, code: int, error: type[Exception]) -> None:
    """What the cloud lacked or broke may be tried again, what the job did may not."""
    job = vertex.CustomJob(name=f"{PARENT}/customJobs/1", state=state, error={"code": code})
    with pytest.raises(error):
        completion(storage).result(job, attempts=1, adopted=False)


def test_a_job_runs_under_its_own_name(local: LocalVertex, storage: Storage) -> None:
    """Its program is alive while it is adopted, and gone when the task's jobs are stopped."""
    asked = attempts(local, storage, request("alive", WAITS))
    attempt = asked.find_or_create()
    local.log_line(attempt.job, "waiting")
    asked.find_or_create()
    asked.stop()
    assert "CANCELLED" == state_of(finished(local, attempt))
    until(lambda: asked.stop() == [], "nothing left to stop")
