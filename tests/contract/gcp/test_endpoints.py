"""Endpoints: models are deployed as real containers, share traffic and answer."""

import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from google.api import httpbody_pb2
from google.api_core import exceptions
from google.cloud import aiplatform_v1 as vertex
from google.protobuf import json_format, struct_pb2

from tests.contract.gcp.conftest import StartVertex
from tests.contract.gcp.local_vertex import PARENT, LocalVertex, Storage
from tests.contract.gcp.serving_programs import model_that_adds
from tests.contract.local_cloud import is_alive, until

MACHINE = {"machine_spec": {"machine_type": "n1-standard-2"}, "min_replica_count": 1, "max_replica_count": 1}


def endpoints_of(local: LocalVertex) -> Any:
    """Return EndpointService."""
    return local.client(vertex.EndpointServiceClient)


def create(local: LocalVertex, name: str = "endpoint", **fields: Any) -> str:
    """Create an endpoint; return its name."""
    made = endpoints_of(local).create_endpoint(parent=PARENT, endpoint={"display_name": name, **fields})
    return str(made.result(timeout=20).name)


def deploy(local: LocalVertex, endpoint: str, model: str, split: dict[str, int] | None = None, **fields: Any) -> str:
    """Deploy a model; return the deployed model's id."""
    deployed = {"model": model, "dedicated_resources": MACHINE, **fields}
    operation = endpoints_of(local).deploy_model(
        endpoint=endpoint, deployed_model=deployed, traffic_split={"0": 100} if split is None else split
    )
    return str(operation.result(timeout=30).deployed_model.id)


def value(content: Any) -> struct_pb2.Value:
    """Return content as a protocol buffer's Value."""
    return json_format.ParseDict(content, struct_pb2.Value())


def predict(local: LocalVertex, endpoint: str, *instances: Any, parameters: Any = None) -> Any:
    """Ask an endpoint."""
    sent = [value(item) for item in instances]
    given = None if parameters is None else value(parameters)
    client = local.client(vertex.PredictionServiceClient)
    return client.predict(endpoint=endpoint, instances=sent, parameters=given, timeout=90)


def process_of(local: LocalVertex, endpoint: str, deployed: str, replica: int = 0) -> int:
    """Return the newest process of a deployed model's replica."""
    folder = local.root / "logs" / "vertex" / endpoint.rsplit("/", 1)[1]
    text = Path(folder / f"{deployed}-replica-{replica}.log").read_text(encoding="utf-8")
    return int([line for line in text.splitlines() if line.startswith("loaded")][-1].split()[2])


@pytest.mark.executes(
    "EndpointService.CreateEndpoint",
    "EndpointService.DeployModel",
    "PredictionService.Predict",
    "ModelService.UploadModel",
)
def test_an_endpoint_answers(local: LocalVertex, storage: Storage) -> None:
    """A deployed model answers with predictions; the answer and the resources tell which model it was."""
    endpoint, model = create(local), model_that_adds(local, storage)
    deployed = deploy(local, endpoint, model)
    answer = predict(local, endpoint, {"x": 1}, [2], parameters={"times": 2})
    assert [2.0, 3.0] == list(answer.predictions)
    assert (deployed, model, "1", "adds-0.5") == (
        answer.deployed_model_id,
        answer.model,
        answer.model_version_id,
        answer.model_display_name,
    )
    found = endpoints_of(local).get_endpoint(name=endpoint)
    assert ({deployed: 100}, [deployed]) == (dict(found.traffic_split), [item.id for item in found.deployed_models])
    kept = local.client(vertex.ModelServiceClient).get_model(name=model)
    assert [(endpoint, deployed)] == [(item.endpoint, item.deployed_model_id) for item in kept.deployed_models]
    with pytest.raises(exceptions.FailedPrecondition, match="is deployed"):
        local.client(vertex.ModelServiceClient).delete_model(name=model).result(timeout=10)


@pytest.mark.executes("PredictionService.RawPredict")
def test_raw_requests(local: LocalVertex, storage: Storage) -> None:
    """RawPredict hands a body of any type through, both ways."""
    endpoint = create(local)
    deploy(local, endpoint, model_that_adds(local, storage))
    body = httpbody_pb2.HttpBody(content_type="text/plain", data=b"abc")
    answer = local.client(vertex.PredictionServiceClient).raw_predict(endpoint=endpoint, http_body=body)
    assert (b"cba", "text/plain") == (answer.data, answer.content_type)


@pytest.mark.executes("EndpointService.UndeployModel", "EndpointService.UpdateEndpoint")
def test_traffic_is_shared(local: LocalVertex, storage: Storage) -> None:
    """Requests go to the deployed models by their shares, which can be changed; undeploying moves them."""
    endpoint = create(local)
    first = deploy(local, endpoint, model_that_adds(local, storage))
    second = deploy(local, endpoint, model_that_adds(local, storage, 1.5), {"0": 50, first: 50})

    def counted() -> Counter[str]:
        return Counter(predict(local, endpoint, {"x": 0}).deployed_model_id for _ in range(40))

    assert {first, second} == set(counted())
    client = endpoints_of(local)
    changed = vertex.Endpoint(name=endpoint, traffic_split={first: 0, second: 100})
    client.update_endpoint(endpoint=changed, update_mask={"paths": ["traffic_split"]})
    assert {second: 40} == counted()
    with pytest.raises(exceptions.FailedPrecondition, match="has 100 % of the Endpoint's traffic"):
        client.undeploy_model(endpoint=endpoint, deployed_model_id=second)
    process = process_of(local, endpoint, second)
    client.undeploy_model(endpoint=endpoint, deployed_model_id=second, traffic_split={first: 100}).result(timeout=20)
    assert not is_alive(process)
    assert {first: 40} == counted()


@pytest.mark.refuses("EndpointService.DeleteEndpoint", "EndpointService.UndeployModel")
def test_undeploying_and_deleting(local: LocalVertex, storage: Storage) -> None:
    """An endpoint with models is not deleted; without them it takes no requests, and can be."""
    endpoint, client = create(local), endpoints_of(local)
    deployed = deploy(local, endpoint, model_that_adds(local, storage))
    with pytest.raises(exceptions.FailedPrecondition, match="has deployed or being-deployed"):
        client.delete_endpoint(name=endpoint)
    client.undeploy_model(endpoint=endpoint, deployed_model_id=deployed).result(timeout=20)
    assert {} == dict(client.get_endpoint(name=endpoint).traffic_split)
    with pytest.raises(exceptions.FailedPrecondition, match="doesn't have any DeployedModel"):
        predict(local, endpoint, {"x": 1})
    client.delete_endpoint(name=endpoint).result(timeout=10)
    with pytest.raises(exceptions.NotFound):
        predict(local, endpoint, {"x": 1})


@pytest.mark.refuses("PredictionService.Predict")
def test_what_a_model_answers_with_an_error(local: LocalVertex, storage: Storage) -> None:
    """A predict route that answers 500 is an INTERNAL error with the container's own words."""
    endpoint = create(local)
    deploy(local, endpoint, model_that_adds(local, storage))
    with pytest.raises(exceptions.InternalServerError, match=r"answered 500.*cannot predict: broken"):
        predict(local, endpoint, {"x": "broken"})


def test_a_container_that_dies(local: LocalVertex, storage: Storage) -> None:
    """A container that dies costs one request; it is started again."""
    endpoint = create(local)
    deployed = deploy(local, endpoint, model_that_adds(local, storage))
    before = process_of(local, endpoint, deployed)
    with pytest.raises(exceptions.ServiceUnavailable):
        predict(local, endpoint, {"x": "die"})
    until(lambda: process_of(local, endpoint, deployed) != before, "the container to be started again")
    answers: list[Any] = []

    def answered() -> bool:
        try:
            answers[:] = list(predict(local, endpoint, {"x": 1}).predictions)
        except exceptions.ServiceUnavailable:
            return False
        return True

    until(answered, "an answer")
    assert [1.5] == answers


def test_a_model_that_cannot_start(local: LocalVertex, storage: Storage) -> None:
    """Deploying a model whose container ends fails with the end of its log, and leaves nothing."""
    endpoint = create(local)
    with pytest.raises(exceptions.FailedPrecondition, match="a negative number cannot be loaded"):
        deploy(local, endpoint, model_that_adds(local, storage, -1))
    assert [] == list(endpoints_of(local).get_endpoint(name=endpoint).deployed_models)


@pytest.mark.verify  # starts three containers
@pytest.mark.executes("EndpointService.MutateDeployedModel")
def test_replicas(local: LocalVertex, storage: Storage) -> None:
    """A deployed model has as many containers as its least number of replicas, which can be changed."""
    endpoint, client = create(local), endpoints_of(local)
    deployed = deploy(local, endpoint, model_that_adds(local, storage))
    before = process_of(local, endpoint, deployed)
    changed = {"id": deployed, "dedicated_resources": {"min_replica_count": 2, "max_replica_count": 2}}
    mask = {"paths": ["dedicated_resources.min_replica_count", "dedicated_resources.max_replica_count"]}
    client.mutate_deployed_model(endpoint=endpoint, deployed_model=changed, update_mask=mask).result(timeout=30)
    processes = {process_of(local, endpoint, deployed, replica) for replica in (0, 1)}
    assert len(processes) == 2
    assert before not in processes
    assert not is_alive(before)
    assert [1.5] == list(predict(local, endpoint, {"x": 1}).predictions)
    (found,) = client.get_endpoint(name=endpoint).deployed_models
    assert 2 == found.dedicated_resources.min_replica_count
    assert "n1-standard-2" == found.dedicated_resources.machine_spec.machine_type


@pytest.mark.verify  # needs two servers of its own; custom jobs show it always
def test_endpoints_survive_sigkill(start_vertex: StartVertex, storage: Storage) -> None:
    """After SIGKILL no container is left; the next server starts them again, and they answer."""
    first = start_vertex()
    endpoint = create(first)
    deployed = deploy(first, endpoint, model_that_adds(first, storage))
    process = process_of(first, endpoint, deployed)
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    until(lambda: not is_alive(process), "the container to be gone")
    second = start_vertex()
    assert [1.5] == list(predict(second, endpoint, {"x": 1}).predictions)


def test_updating_and_listing(local: LocalVertex) -> None:
    """An endpoint's name and labels are changed by a mask, and it is found by them."""
    client = endpoints_of(local)
    name = create(local, "before", labels={"stage": "test"})
    client.update_endpoint(
        endpoint=vertex.Endpoint(name=name, display_name="after", labels={"stage": "production"}),
        update_mask={"paths": ["display_name", "labels"]},
    )
    found = client.list_endpoints({"parent": PARENT, "filter": 'display_name="after" AND labels.stage=production'})
    assert [name] == [item.name for item in found]


@pytest.mark.refuses("EndpointService.DeployModel")
@pytest.mark.parametrize(
    ("deployed", "split", "error", "said"),
    [
        ({"model": f"{PARENT}/models/1"}, {"0": 100}, exceptions.NotFound, "does not exist"),
        ({"dedicated_resources": {}}, {"0": 100}, exceptions.InvalidArgument, "min_replica_count"),
        ({}, {"0": 90}, exceptions.InvalidArgument, "must add up to 100"),
        ({}, {"0": 50, "7": 50}, exceptions.InvalidArgument, "['7'] are not among"),
        (
            {"dedicated_resources": None, "automatic_resources": {"min_replica_count": 1}},
            {"0": 100},
            exceptions.InvalidArgument,
            "needs dedicated_resources",
        ),
    ],
)
def test_deployments_that_are_refused(
    local: LocalVertex,
    storage: Storage,
    deployed: dict[str, Any],
    split: dict[str, int],
    error: type[Exception],
    said: str,
) -> None:
    """A model that cannot be deployed is refused at once; the message says why."""
    endpoint = create(local)
    with pytest.raises(error) as refused:
        deploy(local, endpoint, deployed.pop("model", None) or model_that_adds(local, storage), split, **deployed)
    assert said in str(refused.value)
