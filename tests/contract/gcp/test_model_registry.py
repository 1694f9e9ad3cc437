"""The model registry: upload, versions, aliases, updates, export, evaluations, deletion."""

from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import aiplatform_v1 as vertex
from google.protobuf import struct_pb2

from tests.contract.gcp.conftest import StartVertex
from tests.contract.gcp.local_vertex import BUCKET, PARENT, PLAIN_IMAGE, SERVING_IMAGE, LocalVertex, Storage

SKLEARN = "us-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu.1-5:latest"


@pytest.fixture(scope="module")
def artifact(storage: Storage) -> str:
    """Return the address of an artifact."""
    storage.put("artifacts/one/weights.txt", "1 2 3")
    storage.put("artifacts/one/deep/notes.txt", "notes")
    return f"gs://{BUCKET}/artifacts/one"


def upload(
    local: LocalVertex, artifact: str, name: str = "model", *, image: str = SERVING_IMAGE, **request: Any
) -> Any:
    """Upload a model; return the operation's response."""
    model = {"display_name": name, "artifact_uri": artifact, "container_spec": {"image_uri": image}}
    model |= request.pop("model", {})
    client = local.client(vertex.ModelServiceClient)
    return client.upload_model({"parent": PARENT, "model": model, **request}).result(timeout=20)


def models_of(local: LocalVertex) -> Any:
    """Return ModelService."""
    return local.client(vertex.ModelServiceClient)


def test_upload(local: LocalVertex, artifact: str) -> None:
    """An uploaded model is version 1 with the alias `default`, and is found by its name."""
    made = upload(local, artifact, "first", model={"labels": {"team": "a"}, "description": "d"})
    model = models_of(local).get_model(name=made.model)
    assert ("1", "first", artifact, "d") == (
        model.version_id,
        model.display_name,
        model.artifact_uri,
        model.description,
    )
    assert ["default"] == list(model.version_aliases)
    assert {"team": "a"} == dict(model.labels)
    assert ["custom-trained"] == [item.id for item in model.supported_export_formats]


def test_versions_and_aliases(local: LocalVertex, artifact: str) -> None:
    """A version of a model is found by its id and its aliases; an alias belongs to one version and can be moved."""
    client = models_of(local)
    first = upload(local, artifact, "champion", model={"version_aliases": ["champion"]})
    second = upload(local, artifact, "challenger", parent_model=first.model, model={"version_aliases": ["challenger"]})
    assert (first.model, "2") == (second.model, second.model_version_id)
    assert "1" == client.get_model(name=first.model).version_id
    assert "2" == client.get_model(name=f"{first.model}@challenger").version_id
    moved = client.merge_version_aliases(
        name=f"{first.model}@2", version_aliases=["champion", "default", "-challenger"]
    )
    assert ["champion", "default"] == list(moved.version_aliases)
    assert "2" == client.get_model(name=first.model).version_id
    assert [] == list(client.get_model(name=f"{first.model}@1").version_aliases)
    found = [(model.version_id, model.display_name) for model in client.list_model_versions(name=first.model)]
    assert [("2", "challenger"), ("1", "champion")] == found
    with pytest.raises(exceptions.NotFound, match="does not exist"):
        client.get_model(name=f"{first.model}@challenger")


def test_an_alias_that_is_taken(local: LocalVertex, artifact: str) -> None:
    """An alias that another version has moves, as Vertex AI documents it; that version keeps its other ones."""
    client = models_of(local)
    model = upload(local, artifact, model={"version_aliases": ["champion", "golden"]}).model
    upload(local, artifact, parent_model=model)
    before = client.get_model(name=f"{model}@1")
    client.merge_version_aliases(name=f"{model}@2", version_aliases=["champion"])
    after = client.get_model(name=f"{model}@1")
    assert (["default", "golden"], ["champion"]) == (
        list(after.version_aliases),
        list(client.get_model(name=f"{model}@2").version_aliases),
    )
    assert before.etag != after.etag
    upload(local, artifact, parent_model=model, model={"version_aliases": ["champion"]})
    assert "3" == client.get_model(name=f"{model}@champion").version_id
    assert [] == list(client.get_model(name=f"{model}@2").version_aliases)


@pytest.mark.refuses("ModelService.MergeVersionAliases")
def test_aliases_that_are_refused(local: LocalVertex, artifact: str) -> None:
    """An alias must not look like a version's id, and the default one cannot be taken away."""
    client, model = models_of(local), upload(local, artifact).model
    with pytest.raises(exceptions.InvalidArgument, match="'7' must match"):
        client.merge_version_aliases(name=f"{model}@1", version_aliases=["7"])
    with pytest.raises(exceptions.FailedPrecondition, match="'default' cannot be removed"):
        client.merge_version_aliases(name=f"{model}@1", version_aliases=["-default"])


def test_an_id_of_ones_own(local: LocalVertex, artifact: str) -> None:
    """A model may be given an id, once."""
    made = upload(local, artifact, model_id="my-model")
    assert f"{PARENT}/models/my-model" == made.model
    with pytest.raises(exceptions.AlreadyExists, match="my-model"):
        upload(local, artifact, model_id="my-model")


@pytest.mark.refuses("ModelService.UpdateModel")
def test_update(local: LocalVertex, artifact: str) -> None:
    """Only the fields of the mask are changed; labels are replaced, and an old etag is refused."""
    client, made = models_of(local), upload(local, artifact, "before", model={"labels": {"a": "1"}})
    before = client.get_model(name=made.model)
    change = vertex.Model(name=made.model, display_name="after", description="ignored", labels={"b": "2"})
    client.update_model(model=change, update_mask={"paths": ["display_name", "labels"]})
    after = client.get_model(name=made.model)
    assert ("after", "", {"b": "2"}) == (after.display_name, after.description, dict(after.labels))
    change.etag = before.etag
    with pytest.raises(exceptions.FailedPrecondition, match="etag"):
        client.update_model(model=change, update_mask={"paths": ["display_name"]})
    with pytest.raises(exceptions.InvalidArgument, match="artifact_uri"):
        client.update_model(model=change, update_mask={"paths": ["artifact_uri"]})


@pytest.mark.verify  # needs a server of its own; custom jobs show lists always
def test_listing_models(start_vertex: StartVertex, artifact: str) -> None:
    """Models are listed once each, as their default version, filtered and ordered."""
    own = start_vertex()
    made = upload(own, artifact, "b", model={"labels": {"kind": "x"}})
    upload(own, artifact, "a")
    upload(own, artifact, "b2", parent_model=made.model, model={"version_aliases": ["default"]})
    client = models_of(own)

    def listed(**request: Any) -> list[str]:
        return [model.display_name for model in client.list_models({"parent": PARENT, **request})]

    assert ["a", "b2"] == listed(order_by="display_name")
    assert ["b2", "a"] == listed(order_by="display_name desc")
    assert ["b2"] == listed(filter='display_name="b*"')
    assert [] == listed(filter="labels.kind=x")
    with pytest.raises(exceptions.InvalidArgument, match="order_by"):
        listed(order_by="colour")


@pytest.mark.executes("ModelService.ExportModel")
def test_export(local: LocalVertex, storage: Storage, artifact: str) -> None:
    """Exporting copies the artifact whole to a new folder, which the operation names."""
    made = upload(local, artifact)
    operation = models_of(local).export_model(
        name=made.model,
        output_config={
            "export_format_id": "custom-trained",
            "artifact_destination": {"output_uri_prefix": f"gs://{BUCKET}/exported"},
        },
    )
    operation.result(timeout=20)
    place = operation.metadata.output_info.artifact_output_uri.removeprefix(f"gs://{BUCKET}/")
    assert {f"{place}/weights.txt", f"{place}/deep/notes.txt"} == set(storage.keys(place))
    assert b"1 2 3" == storage.get(f"{place}/weights.txt")


def test_evaluations(local: LocalVertex, artifact: str) -> None:
    """An evaluation is imported beside a version, and is found and listed there."""
    client, made = models_of(local), upload(local, artifact)
    metrics = struct_pb2.Value()
    metrics.struct_value.update({"rmse": 12.5})
    given = vertex.ModelEvaluation(
        display_name="holdout",
        metrics_schema_uri="gs://google-cloud-aiplatform/schema/modelevaluation/regression_metrics_1.0.0.yaml",
        metrics=metrics,
    )
    imported = client.import_model_evaluation(parent=made.model, model_evaluation=given)
    found = client.get_model_evaluation(name=imported.name)
    assert {"rmse": 12.5} == dict(found.metrics)
    assert [imported.name] == [item.name for item in client.list_model_evaluations(parent=made.model)]
    with pytest.raises(exceptions.InvalidArgument, match="metrics_schema_uri"):
        client.import_model_evaluation(parent=made.model, model_evaluation=vertex.ModelEvaluation(metrics=metrics))


@pytest.mark.refuses("ModelService.DeleteModelVersion")
def test_deleting_models(local: LocalVertex, artifact: str) -> None:
    """The default version and the only one stay; a deleted version's id is not given again; a model goes whole."""
    client, made = models_of(local), upload(local, artifact)
    with pytest.raises(exceptions.FailedPrecondition, match="is the only one"):
        client.delete_model_version(name=f"{made.model}@1")
    upload(local, artifact, parent_model=made.model)
    with pytest.raises(exceptions.FailedPrecondition, match="is the default one"):
        client.delete_model_version(name=f"{made.model}@1")
    client.delete_model_version(name=f"{made.model}@2").result(timeout=10)
    assert "3" == upload(local, artifact, parent_model=made.model).model_version_id
    client.delete_model(name=made.model).result(timeout=10)
    with pytest.raises(exceptions.NotFound):
        client.get_model(name=made.model)
    assert made.model not in [model.name for model in client.list_models(parent=PARENT)]


@pytest.mark.refuses("ModelService.UploadModel")
@pytest.mark.parametrize(
    ("model", "error", "said"),
    [
        ({"container_spec": {}}, exceptions.InvalidArgument, "container_spec.image_uri; Message: Required"),
        ({"container_spec": {"image_uri": "gcr.io/no/body:1"}}, exceptions.InvalidArgument, "no environment for"),
        ({"container_spec": {"image_uri": PLAIN_IMAGE}}, exceptions.InvalidArgument, "has no entry point here"),
        ({"artifact_uri": f"gs://{BUCKET}/nothing"}, exceptions.FailedPrecondition, "is empty or does not exist"),
        ({"artifact_uri": "gs://no-such-bucket/x"}, exceptions.FailedPrecondition, "no such object or bucket"),
        (
            {"container_spec": {"image_uri": SKLEARN}},
            exceptions.FailedPrecondition,
            "is expected to contain exactly one of: [model.pkl, model.joblib].",
        ),
        ({"display_name": ""}, exceptions.InvalidArgument, "model.display_name; Message: Required"),
    ],
)
def test_models_that_are_refused(
    local: LocalVertex, artifact: str, model: dict[str, Any], error: type[Exception], said: str
) -> None:
    """A model that cannot be served is refused with Vertex's code, and the message says why."""
    with pytest.raises(error) as refused:
        upload(local, artifact, model=model)
    assert said in str(refused.value)


@pytest.mark.verify  # needs two servers of its own; custom jobs show it always
def test_models_survive_sigkill(start_vertex: StartVertex, artifact: str) -> None:
    """Models, versions and aliases are as they were after SIGKILL."""
    first = start_vertex()
    made = upload(first, artifact)
    upload(first, artifact, parent_model=made.model, model={"version_aliases": ["golden"]})
    before = list(models_of(first).list_model_versions(name=made.model))
    first.kill()
    second = start_vertex()
    assert before == list(models_of(second).list_model_versions(name=made.model))
    assert "2" == models_of(second).get_model(name=f"{made.model}@golden").version_id
