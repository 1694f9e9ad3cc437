"""One batch transform job: the model served in processes, every input object sent to it, one .out object each.

Purpose: how SageMaker splits, batches, limits, joins and reassembles, and how it fails: an object whose processing
fails leaves no output and fails the job, the other objects are processed all the same.

How it works: every instance serves the whole model; objects go to the instances in turn, at most
`MaxConcurrentTransforms` requests at a time to each.

What it does not do: RecordIO and TFRecord splitting, data capture, the container's own /execution-parameters.
"""

import gzip
import random
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from localcloud.aws.objects import StoredObject, split_uri
from localcloud.aws.sagemaker.hosting.container import Answer, InvocationTimeoutError
from localcloud.aws.sagemaker.hosting.instance import ModelInstance, on_host
from localcloud.aws.sagemaker.jobs.execution import Request, Surroundings, conclude, stream_suffix
from localcloud.aws.sagemaker.jobs.failures import REASON_LIMIT, JobFailedError, JobStoppedError, keep_end
from localcloud.aws.sagemaker.jobs.joblog import JobLog
from localcloud.aws.sagemaker.jobs.records import Record, utc_now
from localcloud.aws.sagemaker.transform.records import DEFAULT_PAYLOAD_MB, Batch, RecordError, Records
from localcloud.engine.engine import Job, Outcome
from localcloud.engine.store import JobStatus

LOG_GROUP = "/aws/sagemaker/TransformJobs"
DEFAULT_TIMEOUT_SECONDS = 600
DEFAULT_RETRIES = 3
_SERVER_ERROR = 500
_NO_PROCESSING = {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}
_STRATEGIES = {"MultiRecord": "MULTI_RECORD", "SingleRecord": "SINGLE_RECORD"}


class TransformRun:
    """The work of one transform job."""

    def __init__(
        self, surroundings: Surroundings, record: Record, request: Request, containers: Sequence[dict[str, Any]]
    ) -> None:
        """Take moto's fresh record and make it one of a job that has just begun."""
        self._surroundings = surroundings
        self._record = record
        self._request = request
        self._containers = containers
        self._name: str = request["TransformJobName"]
        self._input = request["TransformInput"]
        self._output = request["TransformOutput"]
        self._records = Records(request)
        self._objects = surroundings.connections.objects()
        record.set(
            # AWS describes these with its defaults
            transform_input={"CompressionType": "None", "SplitType": "None", **self._input},
            transform_output={"AssembleWith": "None", "KmsKeyId": "", **self._output},
            data_processing={**_NO_PROCESSING, **(request.get("DataProcessing") or {})},
            transform_start_time=None,
            transform_end_time=None,
            labeling_job_arn=None,
            auto_ml_job_arn=None,
        )

    def __call__(self, job: Job) -> Outcome:
        """Run it and report its end."""
        with ExitStack() as logs:
            outcome = conclude(job, lambda: self._flow(job, logs))
        self._record.finish(outcome.status, failure_reason=outcome.reason, transform_end_time=utc_now())
        return outcome

    def _flow(self, job: Job, logs: ExitStack) -> JobStatus:
        self._record.set(transform_start_time=utc_now())
        streams = [f"{self._name}/i-{random.getrandbits(68):017x}-{stream_suffix()}" for _ in job.hosts]
        with ExitStack() as running:
            instances = []
            for number, stream in enumerate(streams):
                log = self._container_logs(stream, logs)
                instance = ModelInstance(
                    self._surroundings, on_host(job, number), self._containers, self._variables(), log
                )
                instances.append(running.enter_context(instance))
            self._transform_all(job, list(zip(instances, [self._data_log(s, logs) for s in streams], strict=True)))
        return JobStatus.COMPLETED

    def _container_logs(self, stream: str, logs: ExitStack) -> Callable[[str], JobLog]:
        def log(container: str) -> JobLog:
            name = stream if len(self._containers) == 1 else f"{stream}/{container}"
            return self._open_log(name, logs)

        return log

    def _data_log(self, stream: str, logs: ExitStack) -> Callable[[str], None]:
        log = self._open_log(f"{stream}/data-log", logs)

        def say(line: str) -> None:
            log(f"{datetime.now(UTC).isoformat(timespec='milliseconds')[:-6]}:[sagemaker logs]: {line}")

        return say

    def _open_log(self, stream: str, logs: ExitStack) -> JobLog:
        log = JobLog(self._surroundings.connections, self._surroundings.region, LOG_GROUP, stream)
        logs.callback(log.close)
        return log

    def _variables(self) -> dict[str, str]:
        """Return what AWS adds to the model's own variables in a batch transform."""
        return {
            "SAGEMAKER_BATCH": "true",
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(self._payload_mb),
            "SAGEMAKER_BATCH_STRATEGY": self._strategy,
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": str(self._concurrent),
            **(self._request.get("Environment") or {}),
        }

    def _transform_all(self, job: Job, instances: Sequence[tuple[ModelInstance, Callable[[str], None]]]) -> None:
        source = self._input["DataSource"]["S3DataSource"]
        if source["S3DataType"] == "ManifestFile":
            inputs = self._objects.manifest(source["S3Uri"])
        else:
            inputs = self._objects.under(source["S3Uri"])
        with ExitStack() as pools:
            objects = pools.enter_context(ThreadPoolExecutor(self._concurrent * len(instances)))
            senders = [pools.enter_context(ThreadPoolExecutor(self._concurrent)) for _ in instances]
            for _, say in instances:
                say(
                    f"MaxConcurrentTransforms={self._concurrent}, MaxPayloadInMB={self._payload_mb}, "
                    f"BatchStrategy={self._strategy}"
                )
            running = []
            for number, item in enumerate(inputs):
                place = number % len(instances)
                transform = _ObjectTransform(job, item, *instances[place], senders[place], self._request, self._records)
                running.append(objects.submit(self._transform, transform))
            failures = [error for future in running if (error := future.exception()) is not None]
        if failures:
            raise failures[0]

    def _transform(self, transform: "_ObjectTransform") -> None:
        """Transform one object; its output appears whole or not at all."""
        item = transform.item
        if transform.job.stop.requested:
            raise JobStoppedError
        try:
            data = self._objects.read(item)
        except ClientError as error:  # a manifest may list what does not exist
            details = error.response["Error"]
            message = f"ClientError: Data download failed: {item.uri}: {details['Code']}: {details['Message']}"
            raise JobFailedError(message) from error
        assembled = transform(data)
        bucket, prefix = split_uri(self._output["S3OutputPath"].rstrip("/"))
        folder = f"{prefix}/" if prefix else ""
        self._objects.write(f"s3://{bucket}/{folder}{item.relative}.out", assembled)

    @property
    def _concurrent(self) -> int:
        return int(self._request.get("MaxConcurrentTransforms") or 1)

    @property
    def _payload_mb(self) -> int:
        given = self._request.get("MaxPayloadInMB")
        return int(DEFAULT_PAYLOAD_MB if given is None else given)

    @property
    def _strategy(self) -> str:
        return _STRATEGIES[self._request.get("BatchStrategy", "MultiRecord")]


class _ObjectTransform:
    """The way of one input object through one instance: its bytes in, the output's bytes out."""

    def __init__(
        self,
        job: Job,
        item: StoredObject,
        instance: ModelInstance,
        say: Callable[[str], None],
        sender: ThreadPoolExecutor,
        request: Request,
        records: Records,
    ) -> None:
        self.item = item
        self.job = job
        self._instance = instance
        self._say = say
        self._sender = sender
        self._records = records
        self._compressed = request["TransformInput"].get("CompressionType") == "Gzip"
        client = request.get("ModelClientConfig") or {}
        self._timeout = client.get("InvocationsTimeoutInSeconds", DEFAULT_TIMEOUT_SECONDS)
        self._attempts = 1 + client.get("InvocationsMaxRetries", DEFAULT_RETRIES)
        headers = {
            "Accept": request["TransformOutput"].get("Accept"),
            "Content-Type": request["TransformInput"].get("ContentType"),
        }
        self._headers = {name: value for name, value in headers.items() if value}

    def __call__(self, data: bytes) -> bytes:
        """Return the output; the requests go out side by side, as many as the sender takes."""
        pending: list[tuple[Batch, Future[bytes]]] = []
        try:
            if self._compressed:
                data = gzip.decompress(data)
            batches = self._records.batches(data)
            pending.extend((batch, self._sender.submit(self._send, batch.payload)) for batch in batches)
            return self._records.assembled([(batch, future.result()) for batch, future in pending])
        except (RecordError, OSError, EOFError, zlib.error) as error:
            self._say(f"{self._shown}: ClientError: {error}")
            message = f"ClientError: {self.item.uri}: {error}"
            raise JobFailedError(message) from error
        finally:
            for _, future in pending:
                future.cancel()

    def _send(self, payload: bytes) -> bytes:
        """Return the answer to one request, asking again when the server fails."""
        for attempt in range(self._attempts):
            last = attempt + 1 == self._attempts
            if self.job.stop.requested:
                raise JobStoppedError
            try:
                _, answer = self._instance.invoke(payload, self._headers, self._timeout)
            except InvocationTimeoutError:
                if last:
                    raise
                continue
            if answer.ok:
                return answer.body
            if last or answer.status < _SERVER_ERROR:
                break
        raise self._refused(answer)

    def _refused(self, answer: Answer) -> JobFailedError:
        text = answer.body.decode(errors="replace").strip()
        self._say(f"{self._shown}: Bad HTTP status received from algorithm: {answer.status}")
        for line in ("", "Message:", *text.splitlines()):
            self._say(f"{self._shown}: {line}")
        kind = "AlgorithmError" if answer.status >= _SERVER_ERROR else "ClientError"
        head = f"{kind}: See job logs for more information. {self.item.uri}: the model answered {answer.status}: "
        return JobFailedError(head + keep_end(text, REASON_LIMIT - len(head)))

    @property
    def _shown(self) -> str:
        """The object as AWS's data log names it."""
        return f"{self.item.bucket}/{self.item.key}"
