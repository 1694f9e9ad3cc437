"""The EventBridge events of pipeline executions and their steps, with the fields that AWS documents."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from localcloud.aws import events

_EXECUTION = "SageMaker Model Building Pipeline Execution Status Change"
_STEP = "SageMaker Model Building Pipeline Execution Step Status Change"


def execution_changed(stored: Any, before: str | None) -> None:
    """Tell of an execution's new status; `before` is the one that it had."""
    ended = stored.pipeline_execution_status not in {"Executing", "Stopping"}
    _publish(
        stored,
        _EXECUTION,
        {
            "pipelineExecutionDisplayName": stored.pipeline_execution_display_name,
            "pipelineExecutionDescription": stored.pipeline_execution_description,
            "currentPipelineExecutionStatus": stored.pipeline_execution_status,
            "previousPipelineExecutionStatus": before,
            "executionStartTime": _time(stored.start_time),
            "executionEndTime": _time(stored.last_modified_time) if ended else None,
        },
    )


def step_changed(stored: Any, step: Mapping[str, Any], kind: str, before: str | None) -> None:
    """Tell of a step's new status; `kind` is its type, `before` the status that it had."""
    metadata = {
        f"{name[0].lower()}{name[1:]}": {f"{key[0].lower()}{key[1:]}": value for key, value in fields.items()}
        for name, fields in step["Metadata"].items()
    }
    _publish(
        stored,
        _STEP,
        {
            "metadata": metadata,
            "stepName": step["StepName"],
            "stepType": kind,
            "currentStepStatus": step["StepStatus"],
            "previousStepStatus": before,
            "stepStartTime": _time(step["StartTime"]),
            "stepEndTime": _time(step["EndTime"]) if "EndTime" in step else None,
            "failureReason": step.get("FailureReason"),
        },
    )


def _publish(stored: Any, detail_type: str, detail: Mapping[str, Any]) -> None:
    pipeline = stored.arn.partition("/execution/")[0]
    arns = {"pipelineArn": pipeline, "pipelineExecutionArn": stored.arn}
    given = {name: value for name, value in {**detail, **arns}.items() if value is not None}
    events.publish(stored.arn, detail_type, given, [pipeline, stored.arn])


def _time(time: datetime) -> str:
    return f"{time.isoformat(timespec='seconds')}Z"
