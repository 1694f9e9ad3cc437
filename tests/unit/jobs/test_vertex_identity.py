"""Labels of Vertex AI's resources."""

from __future__ import annotations

import dataclasses
import re

from hypothesis import assume, given
from hypothesis import strategies as st

from include.jobs.identity import TaskIdentity
from include.jobs.vertex_identity import (
    DEPLOYMENT_LABEL,
    TASK_LABEL,
    attempt_of,
    deployment_label,
    is_of_request,
    labels,
    task_label,
    task_of_labels,
)
from tests.strategies import task_identities

KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
VALUE = re.compile(r"[a-z0-9_-]{0,63}")
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
attempts = st.integers(1, 1000)


@given(task_identities, digests, attempts)
def test_every_label_is_one_that_vertex_accepts(task: TaskIdentity, request: str, attempt: int) -> None:
    """Whatever the ids are, number, length and alphabet are right, and there is room for a user's own."""
    found = labels(task, request, attempt)
    assert [] == [each for each in found.items() if not KEY.fullmatch(each[0]) or not VALUE.fullmatch(each[1])]
    assert len(found) <= 64 - 20


@given(task_identities, digests, attempts)
def test_labels_tell_whose_a_resource_is(task: TaskIdentity, request: str, attempt: int) -> None:
    """Task instance, deployment, request and attempt are read back from what was written."""
    found = labels(task, request, attempt)
    assert (task, attempt) == (task_of_labels(found), attempt_of(found))
    assert is_of_request(found, request)
    assert (deployment_label(task.deployment), task_label(task)) == (found[DEPLOYMENT_LABEL], found[TASK_LABEL])


@given(task_identities, task_identities)
def test_different_task_instances_are_not_found_by_the_same_label(one: TaskIdentity, other: TaskIdentity) -> None:
    """No two task instances share the label that is looked for."""
    assume(one != other)
    assert task_label(one) != task_label(other)


@given(task_identities, digests, digests)
def test_another_request_is_told(task: TaskIdentity, one: str, other: str) -> None:
    """A resource of one request is not taken for another's."""
    assume(one != other)
    assert not is_of_request(labels(task, one, 1), other)


@given(task_identities, digests)
def test_ids_that_need_too_many_labels_are_left_out(task: TaskIdentity, request: str) -> None:
    """The task is still found by its digest; only the way back is closed."""
    long = dataclasses.replace(task, run="r" * 2000)
    found = labels(long, request, 1)
    assert (None, task_label(long)) == (task_of_labels(found), found[TASK_LABEL])


@given(st.dictionaries(st.text(), st.text()))
def test_nobodys_labels(found: dict[str, str]) -> None:
    """Labels that were not written here are nobody's, and the first attempt's."""
    assert None is task_of_labels(found)
    assert 1 <= attempt_of(found)


def test_labels_are_the_same_in_every_version() -> None:
    """A retry that a newer version of the project runs finds the job of an older one."""
    task = TaskIdentity("laptop", "train_flight_delay", "manual__2013-04-01T00:00:00+00:00", "train", -1)
    assert "87e84f1d9e61c94597fd07eddc6e9e6f1b22ab64" == task_label(task)
