"""One execution of a pipeline: its steps, each as soon as those before it have succeeded.

How it works: `PipelineRun` is a work function of the engine that needs no slot; one thread begins steps, looks after
those that run and ends when none is left. A step that fails keeps the steps after it from beginning; the others go on.
A Fail step ends everything.

Known limitation: an execution is not resumed when the local cloud is stopped. Experiments and trials are not created.
"""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from moto.sagemaker.models import SageMakerModelBackend

from localcloud.aws.objects import StoredObject, split_uri
from localcloud.aws.sagemaker.front import RunningJobs
from localcloud.aws.sagemaker.jobs.execution import Surroundings
from localcloud.aws.sagemaker.jobs.failures import JobFailedError
from localcloud.aws.sagemaker.jobs.records import STOPPING
from localcloud.aws.sagemaker.pipelines.cache import find_result, signature
from localcloud.aws.sagemaker.pipelines.calls import Caller, CallFailedError, StepCall
from localcloud.aws.sagemaker.pipelines.conditions import holds
from localcloud.aws.sagemaker.pipelines.definition import Definition, Step
from localcloud.aws.sagemaker.pipelines.expressions import ExpressionError, Scope, as_text, follow, references
from localcloud.aws.sagemaker.pipelines.kinds import CALLS
from localcloud.aws.sagemaker.pipelines.records import EXECUTING, FAILED, STOPPED, SUCCEEDED, ExecutionRecord
from localcloud.engine.engine import Job, Outcome
from localcloud.engine.store import JobStatus

# how soon the end of a step is seen; reading records in this process costs microseconds
_LOOK_SECONDS = 0.03
DEFAULT_PARALLEL_STEPS = 50
_STEP_FAILURE = "Step failure: One or multiple steps failed."
_OUTCOMES = {SUCCEEDED: JobStatus.COMPLETED, FAILED: JobStatus.FAILED, STOPPED: JobStatus.STOPPED}


class PipelineRun:
    """The work of one execution. `execution` and `pipeline` are moto's records."""

    def __init__(
        self,
        surroundings: Surroundings,
        running: RunningJobs,
        backend: SageMakerModelBackend,
        pipeline: Any,
        execution: Any,
        definition: Definition,
        parameters: Mapping[str, Any],
    ) -> None:
        """Begin no step yet."""
        self._definition, self._pipeline = definition, pipeline
        self._record = ExecutionRecord(execution)
        client = surroundings.connections.client("sagemaker", surroundings.region)
        self._caller = Caller(running, backend, client, execution)
        self._objects = surroundings.connections.objects()
        variables = {
            "PipelineName": pipeline.pipeline_name,
            "PipelineArn": pipeline.arn,
            "PipelineExecutionId": execution.arn.rpartition("/")[2],
            "PipelineExecutionArn": execution.arn,
            "StartDateTime": _iso(execution.start_time),
        }
        self._scope = Scope(parameters, variables, self._property_file, self._json_object)
        self._statuses: dict[str, str] = {}
        self._calls: dict[str, StepCall] = {}
        self._most: int = (execution.parallelism_configuration or {}).get(
            "MaxParallelExecutionSteps", DEFAULT_PARALLEL_STEPS
        )
        self._referred = {
            str(parts[1])
            for step in definition.steps.values()
            for parts in references(step.arguments)
            if parts[0] == "Steps"
        }
        # nothing begins any more: a stop request, or a Fail step
        self._closing = threading.Event()
        # held while a step begins: once a stop request has been heard, none begins any more
        self._beginning = threading.Lock()

    def __call__(self, job: Job) -> Outcome:
        """Run it and report its end."""
        job.stop.on_request(self._on_stop)
        reason = None
        try:
            self._recall()
            self._run(job)
        except Exception as error:  # noqa: BLE001 - a defect here must end the execution, not leave it for ever
            reason = f"InternalServerError: localcloud: {type(error).__name__}: {error}"
        if job.stop.requested and self._record.status != STOPPING:  # the cloud itself ends
            return Outcome(JobStatus.STOPPED)
        if reason is None and FAILED in self._statuses.values():
            reason = _STEP_FAILURE
        self._record.end(FAILED if reason else SUCCEEDED, reason)
        return Outcome(_OUTCOMES[self._record.status], reason)

    def _recall(self) -> None:
        """Take over what has succeeded before, when the execution is a retry."""
        for told in self._record.get("step_records"):
            step = self._definition.steps[told["StepName"]]
            self._statuses[step.name] = SUCCEEDED
            ((_, metadata),) = told["Metadata"].items()
            if step.kind == "Condition":
                self._scope.steps[step.name] = {"Outcome": metadata["Outcome"] == "True"}
            elif step.name in self._referred:
                arn = metadata["Arn"]
                call = StepCall(step, {}, name=arn.rpartition("/")[2], arn=arn)
                self._scope.steps[step.name] = self._caller.properties(call)

    def _run(self, job: Job) -> None:
        while True:
            for step in self._ready():
                with self._beginning:
                    if not self._closing.is_set():
                        self._begin(step)
            for call in list(self._calls.values()):
                self._look_after(call)
            if not self._calls and (self._closing.is_set() or not any(self._ready())):
                return
            if job.stop.requested and self._record.status != STOPPING:
                return
            if self._calls:
                time.sleep(_LOOK_SECONDS)

    def _ready(self) -> Iterator[Step]:
        """Return the steps that can begin now."""
        for step in self._definition.steps.values():
            if self._closing.is_set() or len(self._calls) >= self._most:
                return
            if step.name not in self._statuses and self._is_due(step):
                yield step

    def _is_due(self, step: Step) -> bool:
        if any(self._statuses.get(name) != SUCCEEDED for name in step.needs):
            return False
        if step.branch is None:
            return True
        condition, side = step.branch
        return bool(self._scope.steps[condition]["Outcome"] == side)

    def _begin(self, step: Step) -> None:
        self._statuses[step.name] = EXECUTING
        told = {"StepDisplayName": step.display_name, "StepDescription": step.description}
        self._record.set_step(
            step.name,
            step.kind,
            StepStatus=EXECUTING,
            AttemptCount=1,
            **{name: text for name, text in told.items() if text},
        )
        try:
            if step.kind == "Condition":
                self._decide(step)
            elif step.kind == "Fail":
                self._fail(step)
            else:
                call = StepCall(step, self._now().resolve(dict(step.arguments)))
                if not self._reuse(call):
                    self._calls[step.name] = call
                    self._create(call)
        except ExpressionError as error:
            self._end(step.name, FAILED, f"ClientError: {error}")

    def _decide(self, step: Step) -> None:
        scope = self._now()
        outcome = all(holds(condition, scope) for condition in step.arguments["Conditions"])
        self._scope.steps[step.name] = {"Outcome": outcome}
        self._end(step.name, SUCCEEDED, Metadata={"Condition": {"Outcome": str(outcome)}})

    def _fail(self, step: Step) -> None:
        message = as_text(self._now().resolve(step.arguments["ErrorMessage"]))
        self._end(step.name, FAILED, message or None, Metadata={"Fail": {"ErrorMessage": message}})
        self._closing.set()

    def _reuse(self, call: StepCall) -> bool:
        """End a step with the result of an earlier one that did the same; False when there is none."""
        step = call.step
        if step.cache is None:
            return False
        call.signature = signature(step.name, step.kind, call.arguments)
        found = find_result(self._pipeline.pipeline_executions.values(), call.signature, step.cache)
        if found is None:
            return False
        source, result = found
        call.name, call.arn = result["name"], result["arn"]
        try:
            if step.name in self._referred:
                self._scope.steps[step.name] = self._caller.properties(call)
        except CallFailedError:  # what it has created is gone
            return False
        metadata = {CALLS[step.kind].metadata: {"Arn": call.arn}}
        self._end(step.name, SUCCEEDED, Metadata=metadata, CacheHitResult={"SourcePipelineExecutionArn": source})
        return True

    def _create(self, call: StepCall) -> None:
        try:
            self._caller.create(call)
        except CallFailedError as error:
            self._call_failed(call, error)
            return
        metadata = {CALLS[call.step.kind].metadata: {"Arn": call.arn}}
        self._record.set_step(call.step.name, call.step.kind, AttemptCount=call.attempts, Metadata=metadata)

    def _look_after(self, call: StepCall) -> None:
        name = call.step.name
        if call.retry_at is not None:
            if self._closing.is_set():
                self._end(name, STOPPED)
            elif time.monotonic() >= call.retry_at:
                with self._beginning:
                    if not self._closing.is_set():
                        self._create(call)
            return
        if self._closing.is_set() and self._statuses[name] == EXECUTING:
            self._statuses[name] = STOPPING
            self._record.set_step(name, call.step.kind, StepStatus=STOPPING)
            self._caller.stop(call)
        try:
            if not self._caller.ended(call):
                return
            if name in self._referred:
                self._scope.steps[name] = self._caller.properties(call)
        except CallFailedError as error:
            self._call_failed(call, error)
            return
        if call.signature:
            self._record.keep_result(call.signature, call.name, call.arn)
        self._end(name, SUCCEEDED)

    def _call_failed(self, call: StepCall, error: CallFailedError) -> None:
        if self._statuses[call.step.name] == STOPPING:
            self._end(call.step.name, STOPPED)
        elif not self._caller.plan_retry(call, error):
            self._end(call.step.name, FAILED, self._caller.word(call, error))

    def _end(self, name: str, status: str, reason: str | None = None, **fields: Any) -> None:
        self._calls.pop(name, None)
        self._record.end_step(name, self._definition.steps[name].kind, status, reason, **fields)
        self._statuses[name] = status

    def _now(self) -> Scope:
        variables = {**self._scope.execution, "CurrentDateTime": _iso(datetime.now(UTC).replace(tzinfo=None))}
        return Scope(self._scope.parameters, variables, self._scope.load, self._scope.load_object, self._scope.steps)

    def _property_file(self, step: str, name: str) -> Any:
        file = self._definition.steps[step].files[name]
        outputs = follow(self._scope.steps, [step, "ProcessingOutputConfig", "Outputs", file["OutputName"]], name)
        return self._json_object(f"{outputs['S3Output']['S3Uri'].rstrip('/')}/{file['FilePath']}")

    def _json_object(self, uri: str) -> Any:
        try:
            bucket, key = split_uri(uri)
            return json.loads(self._objects.read(StoredObject(bucket, key, key)))
        except (ClientError, JobFailedError, ValueError) as error:
            message = f"The JSON file {uri} cannot be read: {error}"
            raise ExpressionError(message) from error

    def _on_stop(self) -> None:
        with self._beginning:
            self._closing.set()


def _iso(time_: datetime) -> str:
    return f"{time_.isoformat(timespec='milliseconds')}Z"
