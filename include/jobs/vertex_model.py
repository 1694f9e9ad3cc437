"""Uploads a model to Vertex AI's registry, so that a task instance and request have one.

How it works: a model, unlike a job, can be given its id. The id holds the digests of the task instance and the request,
so one that exists is the one that is wanted, and an upload whose answer was lost is found by its id.
https://cloud.google.com/vertex-ai/docs/reference/rpc/google.cloud.aiplatform.v1#uploadmodelrequest

What it does not do: add a version to a model that exists, move an alias.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from include.core.errors import RequestRefused
from include.jobs.identity import request_digest
from include.jobs.task_instance import RETRIES, identity, terminal_errors_fail_now
from include.jobs.vertex_identity import labels

if TYPE_CHECKING:
    from airflow.sdk import Context

_UPLOAD_SECONDS = 1800


class UploadModelOperator(BaseOperator):
    """Upload the model of this task instance and request, unless it exists; return its resource name and version.

    Args:
        model: A Model message as a plain document; its display name is the prefix of its id.
        project_id: The project.
        region: The region.
        gcp_conn_id: The Airflow connection.
        impersonation_chain: Accounts to act as, if any.

    Raises:
        AirflowFailException: RequestRefused: the cloud refuses the model.
    """

    template_fields = ("model", "project_id", "region", "gcp_conn_id", "impersonation_chain")

    def __init__(
        self,
        *,
        model: dict[str, Any],
        project_id: str,
        region: str,
        gcp_conn_id: str = "google_cloud_default",
        impersonation_chain: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**RETRIES, **kwargs})
        self.model = model
        self.project_id = project_id
        self.region = region
        self.gcp_conn_id = gcp_conn_id
        self.impersonation_chain = impersonation_chain

    def execute(self, context: Context) -> dict[str, str]:
        """Upload the model, or find it."""
        with terminal_errors_fail_now():
            return self._upload(context)

    def open_client(self) -> Any:
        """Return a ModelServiceClient."""
        from airflow.providers.google.common.hooks.base_google import GoogleBaseHook  # noqa: PLC0415 - costs seconds
        from google.cloud.aiplatform_v1.services.model_service import ModelServiceClient

        hook = GoogleBaseHook(gcp_conn_id=self.gcp_conn_id, impersonation_chain=self.impersonation_chain)
        return ModelServiceClient(
            credentials=hook.get_credentials(),
            client_options={"api_endpoint": f"{self.region}-aiplatform.googleapis.com:443"},
        )

    def _upload(self, context: Context) -> dict[str, str]:
        from google.api_core.exceptions import AlreadyExists, BadRequest, Forbidden, NotFound  # noqa: PLC0415 - as above

        task, digest = identity(context["ti"]), request_digest(self.model, "display_name")
        # an id begins with a letter and has no capitals
        model_id = task.name(f"m-{self.model['display_name']}", f"request {digest}").lower()
        parent = f"projects/{self.project_id}/locations/{self.region}"
        model = {**self.model, "labels": {**self.model.get("labels", {}), **labels(task, digest, 1)}}
        client, name = self.open_client(), f"{parent}/models/{model_id}"
        try:
            found = client.get_model(name=name)
        except NotFound:
            try:
                request = {"parent": parent, "model": model, "model_id": model_id}
                client.upload_model(request).result(timeout=_UPLOAD_SECONDS)
            except AlreadyExists:
                self.log.info("%s was uploaded meanwhile", name)
            except (BadRequest, Forbidden, NotFound, ValueError, TypeError) as error:
                raise RequestRefused(
                    f"the model {model_id}",
                    f"{type(error).__name__}: {error}",
                    rule="the cloud accepts the model",
                    remedy="correct the model or the account's permissions, then clear the task",
                ) from error
            found = client.get_model(name=name)
        return {"model": str(found.name), "version": str(found.version_id)}
