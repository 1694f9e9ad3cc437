"""What a finished remote job hands on: a small record that fits an XCom."""

from __future__ import annotations

from pydantic import BaseModel


class JobResult(BaseModel, frozen=True):
    """A job that ended well, its artifacts checked.

    Args:
        job_name: Its name.
        arn: Its ARN; on Vertex AI its resource name.
        artifacts: Address of what it wrote, by name: ``model`` is a training job's archive, ``predictions`` the folder
            of a transform job's output, and each output of a processing job is a folder under its own name.
        metrics: Final value of each metric that a training job's metric definitions found in its log.
        billable_seconds: Seconds that are paid for, over all instances; None where the cloud does not say.
        attempts: Which job of this task instance it is, from 1.
        adopted: Whether the job was there already when the try that hands it on asked for it.
    """

    job_name: str
    arn: str
    artifacts: dict[str, str]
    metrics: dict[str, float]
    billable_seconds: int | None
    attempts: int
    adopted: bool
