"""How deferred jobs learn of their ends: the trigger on a real local cloud, its calls counted by the server."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flightdeck_triggers.sagemaker_state import SageMakerStateTrigger
from localcloud.clients import client_environment
from tests.contract.inference import make_model
from tests.contract.local_cloud import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.local_cloud import LocalCloud

POLL_SECONDS = 1
WAITS = "import os, time\nwhile not os.path.exists({gate!r}): time.sleep(0.05)\n"
# Airflow's own, on the way to the connection
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def connection(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> str:
    """An Airflow connection to the local cloud."""
    values = client_environment(cloud.endpoint)
    value = {
        "conn_type": "aws",
        "login": values["AWS_ACCESS_KEY_ID"],
        "password": values["AWS_SECRET_ACCESS_KEY"],
        "extra": {"region_name": values["AWS_REGION"], "endpoint_url": values["AWS_ENDPOINT_URL"]},
    }
    monkeypatch.setenv("AIRFLOW_CONN_STATUS_BOARD", json.dumps(value))
    return "status_board"


def trigger(connection: str, job: str, kind: str = "Training", **changed: Any) -> SageMakerStateTrigger:
    """Return a trigger that waits for a job which began in the last minute."""
    now = datetime.now(UTC)
    arguments: dict[str, Any] = {
        "kind": kind,
        "name": job,
        "since": (now - timedelta(minutes=1)).isoformat(),
        "until": (now + timedelta(minutes=10)).isoformat(),
        "poll_seconds": POLL_SECONDS,
        "aws_conn_id": connection,
        "region_name": None,
        "verify": None,
        "botocore_config": {"user_agent_appid": "status-board"},
        **changed,
    }
    return SageMakerStateTrigger(**arguments)


async def events(triggers: list[SageMakerStateTrigger]) -> list[Any]:
    """Run triggers in one event loop; return the payload of each one's event."""

    async def first(one: SageMakerStateTrigger) -> Any:
        async for event in one.run():
            return event.payload
        return None

    async with asyncio.timeout(60):
        return await asyncio.gather(*(first(one) for one in triggers))


def calls(cloud: LocalCloud) -> list[str]:
    """Return the operations that the triggers asked for, by the server's log."""
    lines = (cloud.root / "requests.jsonl").read_text(encoding="utf-8").splitlines()
    requests = [json.loads(line) for line in lines]
    return [each["operation"] for each in requests if each["app"] == "status-board"]


def test_a_trigger_is_what_it_was_after_a_restart() -> None:
    """What is stored makes the same trigger again, its region, TLS and client settings included."""
    original = trigger("conn", "job", region_name="eu-west-1", verify=False, botocore_config={"read_timeout": 5})
    path, arguments = original.serialize()
    assert "flightdeck_triggers.sagemaker_state.SageMakerStateTrigger" == path
    assert (path, arguments) == SageMakerStateTrigger(**json.loads(json.dumps(arguments))).serialize()


def test_many_jobs_cost_as_many_calls_as_one(cloud: LocalCloud, connection: str, tmp_path: Path) -> None:
    """Twelve jobs that end one after the other: all ends are noticed, by listings alone, about one for each look."""
    gate = tmp_path / "gate"
    jobs = [cloud.train(f"board-{number}", WAITS.format(gate=str(gate))) for number in range(12)]
    before = len(calls(cloud))

    async def wait_and_open() -> tuple[list[Any], float]:
        began = asyncio.get_running_loop().time()
        waiting = asyncio.create_task(events([trigger(connection, job) for job in jobs]))
        await asyncio.to_thread(until, lambda: len(calls(cloud)) >= before + 3, "three looks")
        gate.touch()
        return await waiting, asyncio.get_running_loop().time() - began

    payloads, seconds = asyncio.run(wait_and_open())
    made = calls(cloud)[before:]
    assert [{"status": "Completed"}] * 12 == payloads
    assert {"ListTrainingJobs"} == {*made}
    assert len(made) <= 2 + seconds / (0.9 * POLL_SECONDS)


def test_an_end_before_anybody_waited_is_noticed_by_the_first_look(cloud: LocalCloud, connection: str) -> None:
    """A triggerer that was down for hours opens its first look back to the job's creation."""
    cloud.train("board-ended", "pass")
    cloud.finished("Training", "board-ended")
    before = len(calls(cloud))
    assert [{"status": "Completed"}] == asyncio.run(events([trigger(connection, "board-ended", poll_seconds=6)]))
    assert ["ListTrainingJobs"] == calls(cloud)[before:]


def test_a_job_that_is_gone_is_noticed(cloud: LocalCloud, connection: str, tmp_path: Path) -> None:
    """No listing shows it, so a sweep misses it among those that run, and asks for it."""
    cloud.train("board-gone", "pass")
    cloud.finished("Training", "board-gone")
    cloud.client("sagemaker").delete_training_job(TrainingJobName="board-gone")
    other = cloud.train("board-stays", WAITS.format(gate=str(tmp_path / "gate")))

    async def gone() -> Any:
        waiting = asyncio.create_task(events([trigger(connection, other, poll_seconds=0.1)]))
        payload = await events([trigger(connection, "board-gone", poll_seconds=0.1)])
        assert not waiting.done()
        (tmp_path / "gate").touch()
        return payload + await waiting

    assert [{"status": "Gone"}, {"status": "Completed"}] == asyncio.run(gone())


def test_an_endpoint_is_waited_for_until_it_is_at_rest(cloud: LocalCloud, connection: str) -> None:
    """Its creation ends InService, and by listings alone."""
    model = make_model(cloud, "board-model")
    client = cloud.client("sagemaker")
    variant = {"VariantName": "all", "ModelName": model, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    client.create_endpoint_config(EndpointConfigName="board-config", ProductionVariants=[variant])
    client.create_endpoint(EndpointName="board-endpoint", EndpointConfigName="board-config")
    before = len(calls(cloud))
    assert [{"status": "InService"}] == asyncio.run(events([trigger(connection, "board-endpoint", "Endpoint")]))
    assert {"ListEndpoints"} == {*calls(cloud)[before:]}
    assert "InService" == client.describe_endpoint(EndpointName="board-endpoint")["EndpointStatus"]
    client.delete_endpoint(EndpointName="board-endpoint")


def test_a_job_that_should_have_ended_is_overdue(cloud: LocalCloud, connection: str, tmp_path: Path) -> None:
    """The trigger fires at the time by which the job should have ended; the job runs on."""
    cloud.train("board-late", WAITS.format(gate=str(tmp_path / "gate")))
    limit = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    assert [{"overdue": limit}] == asyncio.run(events([trigger(connection, "board-late", until=limit)]))
    job = cloud.client("sagemaker").describe_training_job(TrainingJobName="board-late")
    assert "InProgress" == job["TrainingJobStatus"]
    (tmp_path / "gate").touch()
    until(lambda: cloud.finished("Training", "board-late"), "the job's end")


def test_calls_that_time_does_not_mend_reach_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails three times over for another reason than the cloud's weather ends the wait with that reason."""
    wrong = json.dumps({"conn_type": "aws", "extra": {"region_name": "not a region"}})
    monkeypatch.setenv("AIRFLOW_CONN_WRONG", wrong)
    (payload,) = asyncio.run(events([trigger("wrong", "job", poll_seconds=0.1)]))
    assert ["error"] == list(payload)
    assert "InvalidRegionError: Provided region_name 'not a region'" in payload["error"]
