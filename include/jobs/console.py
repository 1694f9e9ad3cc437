"""The button that leads from a task to its job in AWS's console.

What it does not do: lead anywhere for a partition whose console has another address than the provider knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

from airflow.providers.amazon.aws.links.base_aws import BASE_AWS_CONSOLE_LINK, BaseAwsLink

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.sagemaker import SageMakerHook
    from airflow.sdk import BaseOperator, Context

    from include.jobs.kinds import JobKind

_PAGES = {
    "Training": "jobs",
    "Processing": "processing-jobs",
    "Transform": "transform-jobs",
    "HyperParameterTuning": "hyper-tuning-jobs",
}


class SageMakerJobLink(BaseAwsLink):
    """The page of the job that a task waits for or waited for last."""

    name: ClassVar[str] = "SageMaker job"
    key: ClassVar[str] = "sagemaker_job"
    format_str: ClassVar[str] = BASE_AWS_CONSOLE_LINK + "/sagemaker/home?region={region_name}#/{page}/{job}"


def show_job(context: Context, operator: BaseOperator, hook: SageMakerHook, kind: JobKind, job: str) -> None:
    """Let a task's button lead to a job."""
    SageMakerJobLink.persist(
        context=context,
        operator=operator,
        region_name=hook.conn_region_name,
        aws_partition=hook.conn_partition,
        page=_PAGES[kind.word],
        job=quote(job, safe=""),
    )
