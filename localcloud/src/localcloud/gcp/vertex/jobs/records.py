"""A job's record as it goes from state to state: JOB_STATE_… of jobs, PIPELINE_STATE_… of training pipelines.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/JobState
"""

from collections.abc import Callable
from typing import Any

from localcloud.gcp.vertex.jobs.failures import INTERNAL, JobEnd
from localcloud.gcp.vertex.resources import Resources

FINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED"})
Change = Callable[[Any], None]


def state_of(record: Any) -> str:
    """Return the state's name without its prefix, as in SUCCEEDED."""
    enum = record.DESCRIPTOR.fields_by_name["state"].enum_type
    return str(enum.values_by_number[record.state].name).partition("_STATE_")[2]


def set_state(record: Any, state: str) -> None:
    """Enter a state and note when."""
    enum = record.DESCRIPTOR.fields_by_name["state"].enum_type
    prefix = enum.values[0].name.partition("_STATE_")[0]
    record.state = enum.values_by_name[f"{prefix}_STATE_{state}"].number
    record.update_time.GetCurrentTime()


def begin(record: Any) -> None:
    """Make a request's message the record of a job that has just been created."""
    for field in ("start_time", "end_time", "error"):
        record.ClearField(field)
    record.create_time.GetCurrentTime()
    set_state(record, "PENDING")


def enter_running(resources: Resources, name: str) -> None:
    """Note that a job's programs are about to start, unless it is being cancelled."""
    with resources.change(name) as record:
        if state_of(record) == "PENDING":
            set_state(record, "RUNNING")
            record.start_time.CopyFrom(record.update_time)


def finish(resources: Resources, name: str, end: JobEnd, change: Change = lambda _: None) -> None:
    """Note how a job ended, once; `change` sets what else is known then."""
    with resources.change(name) as record:
        if record is None or state_of(record) in FINAL:
            return
        change(record)
        set_state(record, end.state)
        record.end_time.CopyFrom(record.update_time)
        if end.code:
            record.error.code, record.error.message = end.code, end.message


def close_interrupted(resources: Resources, collection: str) -> None:
    """Fail the jobs of a collection that were running when an earlier server ended."""
    for record in resources.all(collection):
        close_one(resources, record.name)


def close_one(resources: Resources, name: str) -> None:
    """Fail a job that the end of the cloud has interrupted."""
    record = resources.get(name)
    if record is not None and (state := state_of(record)) not in FINAL:
        message = f"Internal error: the local cloud was stopped while the job was {state}."
        finish(resources, name, JobEnd("FAILED", INTERNAL, message))
