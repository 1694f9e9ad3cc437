"""One batch transform job: the model served in a process, every input object sent to it, one .out object each.

Purpose: how SageMaker splits, batches, limits and reassembles, and how it fails.

What it does not do: RecordIO and TFRecord splitting, input and output filters, joins, data capture, parallel
requests. `MaxConcurrentTransforms` is accepted; requests are sent one after another.
"""

import gzip
import random
from collections.abc import Iterator
from typing import Any

from localcloud.aws.objects import StoredObject, split_uri
from localcloud.aws.sagemaker.hosting.container import ModelContainer
from localcloud.aws.sagemaker.jobs.execution import Request, Surroundings, conclude, stream_suffix
from localcloud.aws.sagemaker.jobs.failures import REASON_LIMIT, JobFailedError, JobStoppedError, keep_end
from localcloud.aws.sagemaker.jobs.joblog import JobLog
from localcloud.aws.sagemaker.jobs.records import Record, utc_now
from localcloud.engine.engine import Job, Outcome
from localcloud.engine.store import JobStatus

LOG_GROUP = "/aws/sagemaker/TransformJobs"
DEFAULT_PAYLOAD_MB = 6
DEFAULT_TIMEOUT_SECONDS = 600
_SUCCESS = 200


class TransformRun:
    """The work of one transform job."""

    def __init__(self, surroundings: Surroundings, record: Record, request: Request, container: dict[str, Any]) -> None:
        """Take moto's fresh record and make it one of a job that has just begun."""
        self._surroundings = surroundings
        self._record = record
        self._request = request
        self._container = container
        self._name: str = request["TransformJobName"]
        self._input = request["TransformInput"]
        self._output = request["TransformOutput"]
        self._objects = surroundings.connections.objects()
        record.set(transform_start_time=None, transform_end_time=None, labeling_job_arn=None, auto_ml_job_arn=None)

    def __call__(self, job: Job) -> Outcome:
        """Run it and report its end."""
        stream = f"{self._name}/i-{random.getrandbits(68):017x}-{stream_suffix()}"
        log = JobLog(self._surroundings.connections, self._surroundings.region, LOG_GROUP, stream)
        try:
            outcome = conclude(job, lambda: self._flow(job, log))
        finally:
            log.close()
        self._record.finish(outcome.status, failure_reason=outcome.reason, transform_end_time=utc_now())
        return outcome

    def _flow(self, job: Job, log: JobLog) -> JobStatus:
        self._record.set(transform_start_time=utc_now())
        source = self._input["DataSource"]["S3DataSource"]
        if source["S3DataType"] == "ManifestFile":
            inputs = self._objects.manifest(source["S3Uri"])
        else:
            inputs = self._objects.under(source["S3Uri"])
        extra = self._request.get("Environment") or {}
        with ModelContainer(self._surroundings, job, self._container, extra, log) as container:
            for item in inputs:
                self._transform(job, container, item)
        return JobStatus.COMPLETED

    def _transform(self, job: Job, container: ModelContainer, item: StoredObject) -> None:
        """Transform one object; its output appears whole or not at all."""
        client = self._request.get("ModelClientConfig") or {}
        timeout = client.get("InvocationsTimeoutInSeconds", DEFAULT_TIMEOUT_SECONDS)
        attempts = 1 + client.get("InvocationsMaxRetries", 0)
        headers = {"Accept": self._output.get("Accept"), "Content-Type": self._input.get("ContentType")}
        given = {name: value for name, value in headers.items() if value}
        answers = []
        for payload in self._payloads(item):
            for attempt in range(attempts):
                if job.stop.requested:
                    raise JobStoppedError
                answer = container.invoke(payload, given, timeout)
                if answer.status == _SUCCESS:
                    answers.append(answer.body)
                    break
                if attempt + 1 == attempts:
                    raise _refused(item, answer.status, answer.body)
        bucket, prefix = split_uri(self._output["S3OutputPath"].rstrip("/"))
        self._objects.write(f"s3://{bucket}/{prefix}/{item.relative}.out", self._assemble(answers))

    def _payloads(self, item: StoredObject) -> Iterator[bytes]:
        """Split one object into request bodies."""
        data = self._objects.read(item)
        if self._input.get("CompressionType") == "Gzip":
            data = gzip.decompress(data)
        if self._input.get("SplitType", "None") != "Line":
            yield self._within_limit(item, data, "the object")
            return
        records = data.splitlines(keepends=True)
        if self._request.get("BatchStrategy", "MultiRecord") == "SingleRecord":
            for record in records:
                yield self._within_limit(item, record, "a record")
            return
        batch: list[bytes] = []
        size = 0
        for record in records:
            self._within_limit(item, record, "a record")
            if self._limit and batch and size + len(record) > self._limit:
                yield b"".join(batch)
                batch, size = [], 0
            batch.append(record)
            size += len(record)
        if batch:
            yield b"".join(batch)

    @property
    def _limit(self) -> int:
        """The largest body in bytes; 0 is no limit."""
        megabytes = self._request.get("MaxPayloadInMB")
        return int(DEFAULT_PAYLOAD_MB if megabytes is None else megabytes) << 20

    def _within_limit(self, item: StoredObject, payload: bytes, what: str) -> bytes:
        if self._limit and len(payload) > self._limit:
            message = (
                f"ClientError: {item.uri}: {what} has {len(payload)} bytes, more than MaxPayloadInMB allows "
                f"({self._limit >> 20} MB). Split the input by Line or raise MaxPayloadInMB."
            )
            raise JobFailedError(message)
        return payload

    def _assemble(self, answers: list[bytes]) -> bytes:
        if self._output.get("AssembleWith", "None") != "Line":
            return b"".join(answers)
        return b"".join(answer if answer.endswith(b"\n") else answer + b"\n" for answer in answers)


def _refused(item: StoredObject, status: int, body: bytes) -> JobFailedError:
    head = f"AlgorithmError: See job logs for more information. {item.uri}: the model answered {status}: "
    return JobFailedError(head + keep_end(body.decode(errors="replace").strip(), REASON_LIMIT - len(head)))
