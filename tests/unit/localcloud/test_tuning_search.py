"""How a tuning job chooses hyperparameters and when it ends: the parts that need no training job."""

import random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.aws.sagemaker.tuning.children import Child, Objective, best_of, not_improving
from localcloud.aws.sagemaker.tuning.decisions import Verdict, hopeless, verdict
from localcloud.aws.sagemaker.tuning.space import read_space
from localcloud.engine.store import JobStatus
from localcloud.search.space import NumericRange, Space
from localcloud.search.strategies import BayesianSearch, Observation, RandomSearch, make_strategy
from localcloud.search.surrogate import GaussianProcess

UNIT = st.floats(min_value=0, max_value=1)
COMPLETED = Verdict(JobStatus.COMPLETED)


def numeric(low: str, high: str, scaling: str = "Linear", *, kind: str = "Continuous") -> NumericRange:
    """Return a range as a request gives it."""
    given_range = {"Name": "x", "MinValue": low, "MaxValue": high, "ScalingType": scaling}
    (found,) = read_space({f"{kind}ParameterRanges": [given_range]}).ranges
    assert isinstance(found, NumericRange)
    return found


@given(
    unit=UNIT,
    case=st.sampled_from(
        [
            ("0.5", "2", "Linear"),
            ("1e-6", "1", "Logarithmic"),
            ("0", "0.999", "ReverseLogarithmic"),
            ("3", "3", "Auto"),
        ]
    ),
)
def test_values_stay_in_their_range(unit: float, case: tuple[str, str, str]) -> None:
    """Whatever the scaling, a value lies in its range, and its coordinate is the point that it was drawn at."""
    low, high, scaling = case
    found = numeric(low, high, scaling)
    value = found.value(unit)
    assert float(low) <= float(value) <= float(high)
    if low != high:
        assert found.coordinates(value) == [pytest.approx(unit, abs=1e-6)]


def test_scaling_spreads_values() -> None:
    """Half-way is the arithmetic middle, the geometric middle, or the geometric middle of the distance to one."""
    assert float(numeric("0", "10").value(0.5)) == pytest.approx(5)
    assert float(numeric("0.01", "100", "Logarithmic").value(0.5)) == pytest.approx(1)
    assert float(numeric("0.9", "0.999", "ReverseLogarithmic").value(0.5)) == pytest.approx(0.99)
    assert float(numeric("0.01", "100", "Auto").value(0.5)) == pytest.approx(1)
    assert float(numeric("0.1", "10", "Auto").value(0.5)) == pytest.approx(5.05)
    integers = [numeric("1", "3", kind="Integer").value(unit) for unit in (0.0, 0.3, 0.4, 0.7, 1.0)]
    assert integers == ["1", "1", "2", "3", "3"]


def test_a_seed_repeats_the_search() -> None:
    """The same RandomSeed gives the same values again; without one they differ."""
    space = read_space({"ContinuousParameterRanges": [{"Name": "x", "MinValue": "0", "MaxValue": "1"}]})
    drawn = [make_strategy("Random", space, seed).propose([], []) for seed in (7, 7, None, None)]
    assert drawn[0] == drawn[1]
    assert drawn[2] != drawn[3]


def test_the_surrogate_interpolates() -> None:
    """The process meets its observations, is sure of them, and is least sure far away from them."""
    process = GaussianProcess([[0.0], [0.5], [1.0]], [1.0, 0.0, 1.0])
    mean, deviation = process.predict([0.5])
    assert mean == pytest.approx(0.0, abs=0.02)
    assert deviation < process.predict([0.25])[1] < process.predict([5.0])[1]
    assert process.predict([0.45])[0] < process.predict([0.9])[0]


def test_bayesian_search_learns() -> None:
    """After the same number of tries on a smooth function, Bayesian search is nearer to the optimum than chance."""
    space = read_space(
        {
            "ContinuousParameterRanges": [
                {"Name": "x", "MinValue": "0", "MaxValue": "1", "ScalingType": "Linear"},
                {"Name": "y", "MinValue": "0", "MaxValue": "1", "ScalingType": "Linear"},
            ],
            "CategoricalParameterRanges": [{"Name": "kind", "Values": ["good", "bad"]}],
        }
    )

    def best_after_tries(strategy: Any) -> float:
        observed: list[Observation] = []
        for _ in range(20):
            values = strategy.propose(observed, [])
            loss = (float(values["x"]) - 0.7) ** 2 + (float(values["y"]) - 0.2) ** 2 + (values["kind"] == "bad")
            observed.append(Observation(values, loss))
        return min(item.loss for item in observed)

    seeds = range(5)
    bayesian = sum(best_after_tries(BayesianSearch(space, random.Random(seed))) for seed in seeds)  # noqa: S311 - no secret
    chance = sum(best_after_tries(RandomSearch(space, random.Random(seed))) for seed in seeds)  # noqa: S311 - no secret
    assert bayesian < chance / 3


def test_pending_jobs_are_not_proposed_again() -> None:
    """While a promising point is being tried, the next proposal is another one."""
    space = Space((numeric("0", "1"),))
    observed = [Observation({"x": x}, abs(float(x) - 0.4)) for x in ("0.0", "0.2", "0.6", "1.0")]
    first = BayesianSearch(space, random.Random(1)).propose(observed, []) or {}  # noqa: S311 - no secret
    second = BayesianSearch(space, random.Random(1)).propose(observed, [first]) or {}  # noqa: S311 - no secret
    assert abs(float(first["x"]) - float(second["x"])) > 0.01


def child(status: str, *values: float, kind: str = "Minimize") -> Child:
    """Return a training job with these values of its objective."""
    final = [{"MetricName": "ObjectiveMetric", "Value": values[-1]}] if values else []
    stored = SimpleNamespace(
        training_job_status=status, final_metric_data_list=final, objective_values=list(values), failure_reason=None
    )
    return Child("job", {}, Objective(kind, "loss"), stored)


def ended(children: list[Child], *, all_launched: bool = False, elapsed: float = 1.0, **config: Any) -> Verdict | None:
    """Ask whether a tuning job with at most 9 training jobs ends."""
    limits = {"MaxNumberOfTrainingJobs": 9, "MaxRuntimeInSeconds": 120}
    return verdict({"ResourceLimits": limits, **config}, children, elapsed, all_launched=all_launched)


def test_when_a_tuning_job_ends() -> None:
    """It ends with the last of its jobs, at the time limit, at the target, or when nothing improves any more."""
    good, better, runs = child("Completed", 0.5), child("Completed", 0.4), child("InProgress", 0.1)
    assert ended([good, runs]) is None
    assert ended([good, runs], all_launched=True) is None
    assert ended([good, better], all_launched=True) == COMPLETED
    assert ended([good, runs], elapsed=120) == COMPLETED
    target: dict[str, Any] = {"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": 0.4}}
    assert ended([good, runs], **target) is None
    assert ended([good, better], **target) == COMPLETED
    patience: dict[str, Any] = {
        "TuningJobCompletionCriteria": {"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}
    }
    assert ended([better, good, good], **patience) is None
    assert ended([better, good, good, good], **patience) == COMPLETED
    assert not_improving([good, better, good]) == 1


def test_when_a_tuning_job_gives_up() -> None:
    """After five jobs of no use it fails, whatever it still might try; one useful job is enough to go on."""
    failed, silent, good = child("Failed", 0.1), child("Completed"), child("Completed", 0.5)
    assert ended([failed] * 4) is None
    gave_up = ended([failed] * 5)
    assert gave_up is not None
    assert gave_up.status == JobStatus.FAILED
    assert "No training job succeeded after 5 attempts." in str(gave_up.reason)
    assert "No objective metrics found after running 5" in str(getattr(ended([failed] * 4 + [silent]), "reason", None))
    assert ended([failed] * 5 + [good]) is None


def test_objectives_have_a_direction() -> None:
    """The best job is the one with the largest value when the objective is maximised."""
    low, high = child("Completed", 0.1, kind="Maximize"), child("Completed", 0.9, kind="Maximize")
    assert best_of([low, high, child("Failed", 1.0, kind="Maximize")]) is high
    assert high.metric == pytest.approx(0.9)


def test_the_median_rule() -> None:
    """A job is hopeless when it is worse at its epoch than the median of the others' running averages up to there."""
    others = [child("Completed", 0.4, 0.2), child("Completed", 0.6, 0.4), child("Completed", 0.8, 0.6)]
    # the averages after two epochs: 0.3, 0.5, 0.7
    assert hopeless(child("InProgress", 0.9, 0.51), others)
    assert not hopeless(child("InProgress", 0.9, 0.49), others)
    assert not hopeless(child("InProgress", 0.9, 0.9), others[:2])
    assert not hopeless(child("InProgress"), others)
