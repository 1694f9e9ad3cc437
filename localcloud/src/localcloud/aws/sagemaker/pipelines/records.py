"""moto's record of a pipeline execution, made to follow the execution's life, and what it keeps of the steps."""

import threading
from typing import Any

from localcloud.aws.sagemaker.jobs.records import STOPPING, Record, utc_now

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
        self.set(pipeline_execution_status=EXECUTING, step_records=[])

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.status in {EXECUTING, STOPPING}

    def begin_stopping(self) -> bool:
        """Mark the execution as Stopping; False when it has ended."""
        with _CHANGES:
            if not self.runs:
                return False
            self.set(pipeline_execution_status=STOPPING)
            return True

    def end(self, status: str, reason: str | None = None) -> None:
        """Set the final status; one that is being stopped can only end as Stopped."""
        with _CHANGES:
            stopping = self.status == STOPPING
            self.set(pipeline_execution_failure_reason=None if stopping else reason)
            self.set(pipeline_execution_status=STOPPED if stopping else status)

    def set_step(self, name: str, **fields: Any) -> None:
        """Set fields of a step's entry (AWS's PipelineExecutionStep); the first call begins it."""
        steps = list(self.get("step_records"))
        known = next((number for number, step in enumerate(steps) if step["StepName"] == name), None)
        if known is None:
            steps.append({"StepName": name, "StartTime": utc_now(), "Metadata": {}, **fields})
        else:
            steps[known] = {**steps[known], **fields}
        self.set(step_records=steps)

    def end_step(self, name: str, status: str, reason: str | None = None, **fields: Any) -> None:
        """Set a step's final status."""
        failure = {"FailureReason": reason} if reason else {}
        self.set_step(name, StepStatus=status, EndTime=utc_now(), **failure, **fields)


def close_execution(stored: Any) -> None:
    """Fail an execution that was running when an earlier server ended, and its steps."""
    record = ExecutionRecord(stored)
    if not record.runs:
        return
    reason = f"InternalServerError: the local cloud was stopped while the execution was {record.status}"
    for step in record.get("step_records"):
        if "EndTime" not in step:
            record.end_step(step["StepName"], FAILED, reason)
    record.set(pipeline_execution_status=FAILED, pipeline_execution_failure_reason=reason)
