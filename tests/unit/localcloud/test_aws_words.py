"""What localcloud says in AWS's words: command lines, failure reasons, places of objects, images."""

import json

import pytest

from localcloud.aws.objects import relative_path
from localcloud.aws.sagemaker.jobs.failures import REASON_LIMIT, container_failure, keep_end, message_of, script_failure
from localcloud.aws.sagemaker.jobs.images import find_image
from localcloud.aws.sagemaker.training import script_mode
from localcloud.engine.processes import Cause, Ending
from localcloud.images import UnknownImageError


@pytest.mark.parametrize(
    ("key", "prefix", "expected"),
    [
        ("data/a/x.csv", "data/", "a/x.csv"),
        ("data/a/x.csv", "data", "a/x.csv"),
        ("data/train.csv", "data/train.csv", "train.csv"),
        ("data/train.csv", "data/tra", "train.csv"),
        ("data/month=10/x.csv", "data/month=1", "month=10/x.csv"),
        ("x.csv", "", "x.csv"),
    ],
)
def test_place_of_an_object(key: str, prefix: str, expected: str) -> None:
    """An object lies below its channel by what follows the prefix's folder."""
    assert relative_path(key, prefix) == expected


def test_arguments_of_a_script() -> None:
    """Values are decoded as JSON and spelled by Python; one letter gets one dash; AWS's own names are left out."""
    given = {
        "b": "1e-3",
        "alpha": "true",
        "list": "[1, 2]",
        "map": '{"y": 2, "x": 1}',
        "text": "plain",
        "sagemaker_x": "1",
    }
    arguments = script_mode.user_arguments(given)
    expected = ["--alpha", "True", "-b", "0.001", "--list", "[1, 2]", "--map", "x=1,y=2", "--text", "plain"]
    assert arguments == expected


def test_program_may_be_json() -> None:
    """The SDK writes hyperparameters as JSON strings; both spellings name the same program."""
    expected = ["python3", "train.py"]
    spelled = [script_mode.command({"sagemaker_program": name}) for name in ("train.py", json.dumps("train.py"))]
    assert spelled == [expected, expected]


def test_reason_keeps_the_end() -> None:
    """A reason is never longer than AWS allows, and loses the message's beginning only."""
    reason = script_failure("ExecuteUserScriptError", 1, "begin " + "x" * 5000 + " end", ["python3", "t.py"])
    assert len(reason) == REASON_LIMIT
    assert reason.endswith(' end"\nCommand "python3 t.py"')
    assert "begin" not in reason
    assert keep_end("short", 10) == "short"


def test_last_traceback_is_the_message() -> None:
    """Of the output's end only the last traceback explains the failure."""
    tail = ["noise", "Traceback (most recent call last):", "  first", "Traceback (most recent call last):", "  second"]
    assert message_of(tail) == "Traceback (most recent call last):\n  second"
    assert message_of(["only", "noise"]) == "only\nnoise"


def test_killed_container() -> None:
    """A container that a signal ended says which."""
    expected = "AlgorithmError: the process was killed by SIGKILL (exit code 137), exit code: 137"
    assert container_failure(Ending(-9, Cause.EXITED), "") == expected


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1", "sagemaker-xgboost"),
        ("246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3", "sagemaker-scikit-learn"),
    ],
)
def test_images(address: str, name: str) -> None:
    """AWS's framework images have a stand-in, whatever their region and tag."""
    assert find_image(address).name == name


@pytest.mark.parametrize(
    "address",
    ["", "sagemaker-xgboost:1.7-1", "evil.example/683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost"],
)
def test_other_images(address: str) -> None:
    """Anything else has none."""
    with pytest.raises(UnknownImageError, match="add its address pattern"):
        find_image(address)
