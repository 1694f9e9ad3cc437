"""The parts of SageMaker's API are one class at run time: what each of them keeps to itself must not meet."""

from itertools import combinations

from localcloud.aws.sagemaker.front import Front
from localcloud.aws.sagemaker.service import LocalSageMaker


def test_private_names_of_parts_do_not_meet() -> None:
    """No two parts, of which neither extends the other, use the same private name."""
    parts = [part for part in LocalSageMaker.__mro__ if issubclass(part, Front) and part is not LocalSageMaker]
    meeting = [
        (one.__name__, other.__name__, name)
        for one, other in combinations(parts, 2)
        if not issubclass(one, other)
        for name in vars(one).keys() & vars(other).keys()
        if name.startswith("_") and not name.startswith("__")
    ]
    assert meeting == []
