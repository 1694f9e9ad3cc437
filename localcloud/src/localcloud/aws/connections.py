"""The boto3 clients that jobs' flows use to reach the cloud they run in; one per service and region, shared."""

import threading
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from localcloud.aws.objects import ObjectStore
from localcloud.clients import ACCESS_KEY_ID, DEFAULT_REGION, SECRET_ACCESS_KEY

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

# how the cloud's own calls show in the request log
APPLICATION = "localcloud"


class Connections:
    """Clients for the services of the cloud at `endpoint`."""

    def __init__(self, endpoint: str) -> None:
        """Create nothing yet: a client costs time and memory when it is first used."""
        self.endpoint = endpoint
        self._session = boto3.session.Session()
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], Any] = {}

    def objects(self) -> ObjectStore:
        """Return S3."""
        return ObjectStore(self.client("s3", DEFAULT_REGION))

    def logs(self, region: str) -> "CloudWatchLogsClient":
        """Return CloudWatch Logs of a region."""
        client: CloudWatchLogsClient = self.client("logs", region)
        return client

    def client(self, service: str, region: str) -> Any:
        """Return the client for `service` in `region`."""
        with self._lock:  # a boto3 session must not create two clients at the same time
            key = (service, region)
            if key not in self._clients:
                self._clients[key] = self._session.client(  # type: ignore[call-overload]
                    service,
                    endpoint_url=self.endpoint,
                    region_name=region,
                    aws_access_key_id=ACCESS_KEY_ID,
                    aws_secret_access_key=SECRET_ACCESS_KEY,
                    config=Config(
                        user_agent_appid=APPLICATION,  # type: ignore[call-arg] # the stubs lag behind botocore
                        retries={"total_max_attempts": 1},
                        s3={"addressing_style": "path"},
                        request_checksum_calculation="when_required",
                        response_checksum_validation="when_required",
                        max_pool_connections=20,
                        proxies={},
                    ),
                )
            return self._clients[key]
