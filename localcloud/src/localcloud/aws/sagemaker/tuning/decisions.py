"""When a tuning job ends, and which of its training jobs are not worth going on with. Pure functions."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localcloud.aws.sagemaker.tuning.children import Child, best_of, not_improving
from localcloud.engine.store import JobStatus

# AWS gives up when this many training jobs have ended and none of them was of use
_ATTEMPTS = 5
# the median of fewer curves than this says little
_CURVES = 3


@dataclass(frozen=True)
class Verdict:
    """How a tuning job ends although there is more to try."""

    status: JobStatus
    reason: str | None = None


def verdict(
    config: Mapping[str, Any], children: Sequence[Child], elapsed: float, *, all_launched: bool
) -> Verdict | None:
    """Return how the tuning job ends now, or None when it goes on; `elapsed`: its age in seconds."""
    ended = [child for child in children if not child.runs]
    evaluated = [child for child in ended if child.loss is not None]
    if not evaluated and ended and (len(ended) >= _ATTEMPTS or (all_launched and len(ended) == len(children))):
        return Verdict(JobStatus.FAILED, _useless(ended))
    limit = config["ResourceLimits"].get("MaxRuntimeInSeconds")
    criteria = config.get("TuningJobCompletionCriteria") or {}
    patience = (criteria.get("BestObjectiveNotImproving") or {}).get("MaxNumberOfTrainingJobsNotImproving")
    if (
        (limit is not None and elapsed >= limit)
        or _reached(criteria.get("TargetObjectiveMetricValue"), evaluated)
        or (patience is not None and not_improving(children) >= patience)
        or (all_launched and len(ended) == len(children))
    ):
        return Verdict(JobStatus.COMPLETED)
    return None


def hopeless(child: Child, others: Sequence[Child]) -> bool:
    """Whether a running job is worse than the median of the completed jobs' running averages at the same epoch."""
    epoch = len(child.epochs)
    curves = [other.epochs[:epoch] for other in others if other.status == "Completed" and len(other.epochs) >= epoch]
    if epoch == 0 or len(curves) < _CURVES:
        return False
    return child.epochs[epoch - 1] > statistics.median(statistics.fmean(curve) for curve in curves)


def _reached(target: float | None, evaluated: Sequence[Child]) -> bool:
    best = best_of(evaluated)
    if target is None or best is None or best.loss is None:
        return False
    return best.loss <= best.objective.loss(target)


def _useless(ended: Sequence[Child]) -> str:
    if all(child.status == "Failed" for child in ended):
        return (
            f"No training job succeeded after {len(ended)} attempts. Please take a look at the training job failures "
            "to get more details."
        )
    return (
        f"No objective metrics found after running {len(ended)} training jobs. Please ensure that the custom "
        "algorithm is emitting the objective metric as defined by the regular expression provided."
    )
