"""Names and tags of remote resources."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from hypothesis import assume, given
from hypothesis import strategies as st

from include.jobs.identity import MAX_TAG_VALUE, REQUEST_TAG, TaskIdentity, request_digest
from tests.strategies import json_documents, task_identities

if TYPE_CHECKING:
    from random import Random

NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
TAG_VALUE = re.compile(r"[\w \t_.:/=+\-@]{0,256}")


@given(task_identities, st.text(), st.text())
def test_every_name_is_one_that_sagemaker_accepts(task: TaskIdentity, prefix: str, which: str) -> None:
    """Whatever the prefix and the ids are, length and alphabet are right, and another process computes the same."""
    name = task.name(prefix, which)
    assert NAME.fullmatch(name)
    assert dataclasses.replace(task).name(prefix, which) == name


def test_a_name_is_the_same_in_every_version() -> None:
    """A retry that a newer version of the project runs finds the job of an older one."""
    task = TaskIdentity("laptop", "train_flight_delay", "manual__2013-04-01T00:00:00+00:00", "train", -1)
    assert "flight-delay-train-1a784543b7388bc4" == task.name("flight-delay-train", "attempt 1")


@given(task_identities, task_identities)
def test_different_task_instances_have_different_names(one: TaskIdentity, other: TaskIdentity) -> None:
    """No two task instances share a name, however alike their ids are."""
    assume(one != other)
    assert one.name("train", "attempt 1") != other.name("train", "attempt 1")


@given(task_identities, st.text(min_size=64), st.text(min_size=1), st.text(min_size=1))
def test_ids_that_differ_beyond_the_length_of_a_name(task: TaskIdentity, long: str, one: str, other: str) -> None:
    """Two long ids with the same beginning give two names."""
    assume(one != other)
    first, second = (dataclasses.replace(task, task=long + end) for end in (one, other))
    assert first.name(first.task, "attempt 1") != second.name(second.task, "attempt 1")


@given(task_identities, st.integers(1, 1000), st.integers(1, 1000))
def test_each_attempt_has_its_own_name(task: TaskIdentity, one: int, other: int) -> None:
    """The attempt's number changes the name."""
    assert (one == other) == (task.name("train", f"attempt {one}") == task.name("train", f"attempt {other}"))


@given(task_identities)
def test_every_tag_is_one_that_aws_accepts(task: TaskIdentity) -> None:
    """Whatever the ids are, length and alphabet are right."""
    tags = task.tags("0123")
    assert "0123" == tags[REQUEST_TAG]
    assert [] == [value for value in tags.values() if not TAG_VALUE.fullmatch(value) or len(value) > MAX_TAG_VALUE]


def test_tags_tell_the_task_instance() -> None:
    """Ids stand in the tags as they are, but for characters that no tag holds."""
    task = TaskIdentity("laptop", "score_flight_delay", "manual__2013-04~1=2", "score_month.transform", 3)
    assert {
        "flightdeck:deployment": "laptop",
        "flightdeck:dag": "score_flight_delay",
        "flightdeck:run": "manual__2013-04=7E1=3D2",
        "flightdeck:task": "score_month.transform",
        "flightdeck:map-index": "3",
        "flightdeck:request": "0123",
    } == task.tags("0123")


@given(json_documents, st.randoms())
def test_the_order_of_keys_is_no_difference(request: dict[str, object], random: Random) -> None:
    """A request has one digest in whichever order it was put together, and whatever its name is."""
    fields = list(request.items())
    random.shuffle(fields)
    shuffled = {**dict(fields), "TrainingJobName": "another"}
    assert request_digest({**request, "TrainingJobName": "one"}, "TrainingJobName") == request_digest(
        shuffled, "TrainingJobName"
    )


@given(json_documents, json_documents)
def test_different_requests_have_different_digests(one: dict[str, object], other: dict[str, object]) -> None:
    """A changed value changes the digest."""
    assume(one != other)
    assert request_digest(one, "name") != request_digest(other, "name")
