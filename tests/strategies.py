"""The Hypothesis strategies that several tests share."""

from __future__ import annotations

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from include.core.months import Month
from include.jobs.identity import TaskIdentity

# a shared, busy machine makes any example slow now and then; the suite's own time limit is the one that counts
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

months = st.builds(Month, st.integers(1900, 2100), st.integers(1, 12))

# a numeric feature's values, some of them missing, zeros and ones often
values_with_gaps = st.lists(
    st.one_of(st.none(), st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0])), min_size=1, max_size=60
)


@st.composite
def labels_and_probabilities(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Draw labels of which both occur, and a probability for each; probabilities often tie."""
    size = draw(st.integers(2, 40))
    labels = draw(st.lists(st.integers(0, 1), min_size=size, max_size=size).filter(lambda drawn: 0 < sum(drawn) < size))
    probability = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
    probabilities = draw(st.lists(probability, min_size=size, max_size=size))
    return np.array(labels, dtype=np.float64), np.array(probabilities, dtype=np.float64)


@st.composite
def labels_and_numbers(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Draw labels of a regression that differ, and a number for each."""
    size = draw(st.integers(2, 40))
    number = st.floats(-1e4, 1e4).map(lambda drawn: round(drawn, 3))
    labels = draw(st.lists(number, min_size=size, max_size=size).filter(lambda drawn: max(drawn) - min(drawn) > 1))
    return np.array(labels), np.array(draw(st.lists(number, min_size=size, max_size=size)))


# a task instance with whatever ids
task_identities = st.builds(TaskIdentity, st.text(), st.text(), st.text(), st.text(), st.integers(-1, 5000))

# requests as plain JSON, without floats that equal integers
json_documents = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        st.one_of(st.none(), st.integers(2, 9), st.text(max_size=4)),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
        max_leaves=5,
    ),
    max_size=4,
)
