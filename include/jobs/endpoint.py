"""The provider's endpoint operator, so that a task's endpoint ends up with the task's configuration, or says why not.

How it works: the configuration's name follows from the task instance and the request, so one that exists is the one
that is wanted. The endpoint's own name is the user's; it is created or updated to this configuration unless it has it,
or is on its way to it. SageMaker keeps the old configuration when an update fails: the task then fails too.

What it does not do: stop a deployment. SageMaker cannot, and what serves is not taken away because a task was killed.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.sagemaker import SageMakerEndpointOperator, serialize
from botocore.exceptions import ClientError

from flightdeck_triggers.sagemaker_state import SageMakerStateTrigger
from include.connections import AWS_CONN_ID
from include.core.errors import RemoteJobFailed, RemoteJobInterrupted
from include.core.polling import POLL_SECONDS
from include.jobs.identity import as_tag_list, request_digest
from include.jobs.job_operator import CLOCKS_DIFFER, PATIENT
from include.jobs.task_instance import RETRIES, identity, terminal_errors_fail_now

if TYPE_CHECKING:
    from airflow.sdk import Context
    from mypy_boto3_sagemaker.client import SageMakerClient

_CHANGING = {"Creating", "Updating", "RollingBack", "SystemUpdating", "Deleting"}
_LONGEST_DEPLOYMENT = timedelta(hours=4)


class EndpointOperator(SageMakerEndpointOperator):
    """Let an endpoint serve a configuration; return ``{"EndpointConfig": …, "Endpoint": …}`` as described.

    Args:
        config: ``EndpointConfig``, a CreateEndpointConfig request whose name is a prefix, and ``Endpoint`` with the
            ``EndpointName`` and, for a new endpoint, ``Tags``.

    Raises:
        AirflowFailException: the endpoint failed, or kept its old configuration (RemoteJobFailed).
        RemoteJobInterrupted: somebody else changes the endpoint; a retry looks again.
    """

    def __init__(self, *, config: dict[str, Any], **kwargs: Any) -> None:
        settings = {
            "aws_conn_id": AWS_CONN_ID,
            "botocore_config": PATIENT,
            "check_interval": POLL_SECONDS,
            "deferrable": True,
        }
        super().__init__(config=config, **{**settings, **RETRIES, **kwargs})

    def execute(self, context: Context) -> dict[str, Any]:
        """Deploy, and wait for the end of it."""
        self.preprocess_config()
        with terminal_errors_fail_now():
            configuration = self._configuration(context)
            if self._deploy(configuration):
                self._wait(configuration)
            return self._deployed(configuration)

    def resume(self, _context: Context, event: dict[str, Any], configuration: str) -> dict[str, Any]:
        """Look at what the endpoint became."""
        with terminal_errors_fail_now():
            described = self._described()
            if described is not None and described["EndpointStatus"] in _CHANGING:
                raise RemoteJobInterrupted(
                    self._endpoint,
                    f"it is {described['EndpointStatus']}; the trigger said {event}",
                    rule=f"a deployment ends within {_LONGEST_DEPLOYMENT}, and the connection may list endpoints",
                    remedy="a retry waits for it again",
                )
            return self._deployed(configuration)

    def _wait(self, configuration: str) -> None:
        now = datetime.now(UTC)
        self.defer(
            timeout=self.execution_timeout,
            trigger=SageMakerStateTrigger(
                kind="Endpoint",
                name=self._endpoint,
                since=(now - CLOCKS_DIFFER).isoformat(),
                until=(now + _LONGEST_DEPLOYMENT).isoformat(),
                poll_seconds=self.check_interval,
                aws_conn_id=self.aws_conn_id,
                region_name=self.region_name,
                verify=self.verify,
                botocore_config=self.botocore_config,
            ),
            method_name="resume",
            kwargs={"configuration": configuration},
        )

    @property
    def _client(self) -> SageMakerClient:
        client: SageMakerClient = self.hook.conn
        return client

    @property
    def _endpoint(self) -> str:
        return str(self.config["Endpoint"]["EndpointName"])

    def _configuration(self, context: Context) -> str:
        """Create the configuration unless it exists, and return its name."""
        request = self.config["EndpointConfig"]
        task, digest = identity(context["ti"]), request_digest(request, "EndpointConfigName")
        name = task.name(request["EndpointConfigName"], f"request {digest}")
        tags = [*request.get("Tags", []), *as_tag_list(task.tags(digest))]
        try:
            self.hook.create_endpoint_config({**request, "EndpointConfigName": name, "Tags": tags})
        except ClientError as error:
            if "already exist" not in str(error):
                raise
            self.log.info("%s exists", name)
        return name

    def _deploy(self, configuration: str) -> bool:
        """Let the endpoint become this configuration's; False when it is."""
        described = self._described()
        if described is None:
            self.log.info("Creating %s", self._endpoint)
            self._client.create_endpoint(**{**self.config["Endpoint"], "EndpointConfigName": configuration})
            return True
        pending = described.get("PendingDeploymentSummary", {}).get("EndpointConfigName")
        becomes = pending or described["EndpointConfigName"]
        if described["EndpointStatus"] in _CHANGING:
            if becomes != configuration:
                raise RemoteJobInterrupted(
                    self._endpoint,
                    f"it is {described['EndpointStatus']}, towards {becomes}",
                    rule="an endpoint is changed by one task at a time",
                    remedy="a retry looks again; let one task deploy to it",
                )
            return True
        if described["EndpointStatus"] != "InService":
            raise self._failure(described)
        if becomes == configuration:
            return False
        self.log.info("Updating %s, which serves %s", self._endpoint, becomes)
        self._client.update_endpoint(EndpointName=self._endpoint, EndpointConfigName=configuration)
        return True

    def _deployed(self, configuration: str) -> dict[str, Any]:
        described = self._described()
        if described is None or (described["EndpointStatus"], described["EndpointConfigName"]) != (
            "InService",
            configuration,
        ):
            raise self._failure(described or {})
        return {
            "EndpointConfig": serialize(self.hook.describe_endpoint_config(configuration)),
            "Endpoint": serialize(described),
        }

    def _described(self) -> dict[str, Any] | None:
        try:
            return {**self._client.describe_endpoint(EndpointName=self._endpoint)}
        except ClientError as error:
            # the name is a valid one: all that validation can miss is the endpoint
            if error.response["Error"]["Code"] != "ValidationException":
                raise
            return None

    def _failure(self, described: dict[str, Any]) -> RemoteJobFailed:
        return RemoteJobFailed(
            f"SageMaker endpoint {self._endpoint}",
            f"it is {described.get('EndpointStatus', 'gone')} with {described.get('EndpointConfigName')}: "
            f"{described.get('FailureReason', 'no reason given')}",
            rule="a deployment ends InService, with the configuration that was asked for",
            remedy="correct the model or the configuration and clear the task; delete an endpoint that is Failed",
        )
