"""Step caching: what an earlier execution of the same pipeline has done with the same arguments is not done again.

As on AWS, only arguments are compared: whether the data or the code that they point to has changed is not looked at.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from localcloud.aws.sagemaker.jobs.records import utc_now

_DURATION = re.compile(
    r"P?(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?",
    re.IGNORECASE,
)
# a duration is measured back from now, not along a calendar
_DAYS = {"years": 365, "months": 30, "weeks": 7, "days": 1}
# what does not change what a job does
_IGNORED = {"Tags", "ExperimentConfig"}


def read_duration(text: str) -> timedelta | None:
    """Return an ISO 8601 duration such as P30D or PT12H; None when the text is none."""
    match = _DURATION.fullmatch(text)
    parts = {name: int(number) for name, number in match.groupdict().items() if number} if match else {}
    if not parts:
        return None
    days = sum(number * _DAYS[name] for name, number in parts.items() if name in _DAYS)
    return timedelta(days=days, **{name: number for name, number in parts.items() if name not in _DAYS})


def signature(step: str, kind: str, arguments: Mapping[str, Any]) -> str:
    """Return what two steps have in common that do the same."""
    compared = {name: value for name, value in arguments.items() if name not in _IGNORED}
    return hashlib.sha256(json.dumps([step, kind, compared], sort_keys=True, default=str).encode()).hexdigest()


def find_result(executions: Iterable[Any], signed: str, age: timedelta) -> tuple[str, Mapping[str, Any]] | None:
    """Return the newest result with a signature, and the ARN of the execution that it comes from.

    Args:
        executions: moto's records of a pipeline's executions.
        signed: The signature.
        age: How old a result may be.
    """
    oldest = utc_now() - age
    found = [
        (result["ended"], execution.arn, result)
        for execution in executions
        for result in getattr(execution, "step_results", ())
        if result["signature"] == signed and result["ended"] >= oldest
    ]
    if not found:
        return None
    _, arn, result = max(found, key=lambda item: item[0])
    return arn, result
