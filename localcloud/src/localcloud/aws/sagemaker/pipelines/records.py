"""moto's record of a pipeline execution, made to follow the execution's life, and what it keeps of the steps."""

import threading
from typing import Any

from localcloud.aws.sagemaker.jobs.records import STOPPING, Record, utc_now
from localcloud.aws.sagemaker.pipelines.changes import execution_changed, step_changed

EXECUTING = "Executing"
SUCCEEDED, FAILED, STOPPED = "Succeeded", "Failed", "Stopped"
# one lock for all executions: a stop request and an end must not overtake each other
_CHANGES = threading.Lock()


class ExecutionRecord(Record):
    """One execution. Only its own run changes its steps."""

    def __init__(self, stored: Any) -> None:
        """Wrap what moto has stored."""
        super().__init__(stored, "pipeline_execution_status")

    def begin(self) -> None:
        """Put what moto has just stored, born Succeeded, back to its beginning."""
        self._enter(EXECUTING, None, step_records=[], step_results=[])

    def begin_again(self) -> bool:
        """Forget what has not succeeded and put the execution back to Executing; False when there is no reason to."""
        with _CHANGES:
            before = self.status
            if before not in {FAILED, STOPPED}:
                return False
            kept = [step for step in self.get("step_records") if step["StepStatus"] == SUCCEEDED]
            self._enter(EXECUTING, before, step_records=kept, pipeline_execution_failure_reason=None)
            return True

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.status in {EXECUTING, STOPPING}

    def begin_stopping(self) -> bool:
        """Mark the execution as Stopping; False when it is not executing."""
        with _CHANGES:
            if self.status != EXECUTING:
                return False
            self._enter(STOPPING, EXECUTING)
            return True

    def end(self, status: str, reason: str | None = None) -> None:
        """Set the final status; one that is being stopped can only end as Stopped."""
        with _CHANGES:
            before = self.status
            if before == STOPPING:
                status, reason = STOPPED, None
            self._enter(status, before, pipeline_execution_failure_reason=reason)

    def set_step(self, name: str, kind: str, **fields: Any) -> None:
        """Set fields of a step's entry (AWS's PipelineExecutionStep); the first call begins it."""
        steps = list(self.get("step_records"))
        known = next((number for number, step in enumerate(steps) if step["StepName"] == name), len(steps))
        fresh = {"StepName": name, "StartTime": utc_now(), "Metadata": {}}
        before: dict[str, Any] = steps[known] if known < len(steps) else fresh
        after = {**before, **fields}
        self.set(step_records=[*steps[:known], after, *steps[known + 1 :]])
        if after["StepStatus"] != before.get("StepStatus"):
            step_changed(self._stored, after, kind, before.get("StepStatus"))

    def end_step(self, name: str, kind: str, status: str, reason: str | None = None, **fields: Any) -> None:
        """Set a step's final status."""
        failure = {"FailureReason": reason} if reason else {}
        self.set_step(name, kind, StepStatus=status, EndTime=utc_now(), **failure, **fields)

    def keep_result(self, signature: str, name: str, arn: str) -> None:
        """Keep what a step has created, for other executions that would do the same."""
        result = {"signature": signature, "name": name, "arn": arn, "ended": utc_now()}
        self.set(step_results=[*self.get("step_results"), result])

    def _enter(self, status: str, before: str | None, **fields: Any) -> None:
        self.set(**fields)
        self.set(pipeline_execution_status=status)
        execution_changed(self._stored, before)


def close_execution(stored: Any) -> None:
    """Fail an execution that was running when an earlier server ended, and its steps."""
    record = ExecutionRecord(stored)
    if not record.runs:
        return
    reason = f"InternalServerError: the local cloud was stopped while the execution was {record.status}"
    now = utc_now()
    record.set(
        step_records=[
            step if "EndTime" in step else {**step, "StepStatus": FAILED, "EndTime": now, "FailureReason": reason}
            for step in record.get("step_records")
        ],
        pipeline_execution_failure_reason=reason,
    )
    record.set(pipeline_execution_status=FAILED)
