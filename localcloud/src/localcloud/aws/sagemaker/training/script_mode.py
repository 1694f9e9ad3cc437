"""Script mode, as AWS's training toolkit defines it: hyperparameters to a command line and SM_* variables.

Pure functions; no files, no processes. The rules (decoding of values, order of arguments, one-letter names, spelling
of variables) are the toolkit's own.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from localcloud.aws.sagemaker.jobs.execution import Request
from localcloud.engine.tree import JOB_BASE

PROGRAM = "sagemaker_program"
# a tuning job tells its training jobs their objective by it; no script sees it
TUNING_METRIC = "_tuning_objective_metric"
SUBMIT_DIRECTORY = "sagemaker_submit_directory"
CODE = f"{JOB_BASE}/code"


def decode(value: str) -> Any:
    """Return a hyperparameter's value: JSON if it is, the string itself if not."""
    try:
        return json.loads(value)
    except ValueError:
        return value


def user_hyperparameters(hyperparameters: Mapping[str, str]) -> dict[str, Any]:
    """Return the decoded values of those that the script is meant to see."""
    return {
        name: decode(value)
        for name, value in hyperparameters.items()
        if not name.startswith("sagemaker_") and name != TUNING_METRIC
    }


def user_arguments(hyperparameters: Mapping[str, str]) -> list[str]:
    """Return the script's arguments: `--name value`, `-n value` for one letter, in the order of names."""
    arguments = []
    for name, value in sorted(user_hyperparameters(hyperparameters).items()):
        flag = f"--{name}" if len(name) > 1 else f"-{name}"
        text = ",".join(f"{k}={v}" for k, v in sorted(value.items())) if isinstance(value, dict) else str(value)
        arguments += [flag, text]
    return arguments


def command(hyperparameters: Mapping[str, str]) -> list[str]:
    """Return the command line of the script."""
    program = str(decode(hyperparameters[PROGRAM]))
    interpreter = ["python3", program] if program.endswith(".py") else ["/bin/sh", "-c", f'./{program} "$@"', program]
    return [*interpreter, *user_arguments(hyperparameters)]


def variables(request: Request, channels: Sequence[str], resources: Mapping[str, Any]) -> dict[str, str]:
    """Return the SM_* variables of a training job on one host; `resources` is that host's resourceconfig.json."""
    hyperparameters = request.get("HyperParameters") or {}
    user = user_hyperparameters(hyperparameters)
    program = str(decode(hyperparameters[PROGRAM]))
    host, hosts = resources["current_host"], resources["hosts"]
    submitted = str(decode(hyperparameters.get(SUBMIT_DIRECTORY, f'"{CODE}"')))
    channel_folders = {name: f"{JOB_BASE}/input/data/{name}" for name in channels}
    arguments = user_arguments(hyperparameters)
    values: dict[str, Any] = {
        "current_host": host,
        "current_instance_type": resources["current_instance_type"],
        "hosts": hosts,
        "current_instance_group": resources["current_group_name"],
        "current_instance_group_hosts": next(
            group["hosts"]
            for group in resources["instance_groups"]
            if group["instance_group_name"] == resources["current_group_name"]
        ),
        "network_interface_name": resources["network_interface_name"],
        "num_cpus": os.cpu_count() or 1,
        "num_gpus": 0,
        "num_neurons": 0,
        "hps": user,
        "user_entry_point": program,
        "user_args": arguments,
        "module_name": PurePosixPath(program).stem,
        "module_dir": submitted,
        "model_dir": f"{JOB_BASE}/model",
        "input_dir": f"{JOB_BASE}/input",
        "input_config_dir": f"{JOB_BASE}/input/config",
        "output_dir": f"{JOB_BASE}/output",
        "output_data_dir": f"{JOB_BASE}/output/data",
        "output_intermediate_dir": f"{JOB_BASE}/output/intermediate",
        "resource_config": resources,
        "input_data_config": input_data_config(request),
        "channels": sorted(channels),
        "log_level": int(decode(hyperparameters.get("sagemaker_container_log_level", "20"))),
        "framework_params": {k: decode(v) for k, v in hyperparameters.items() if k.startswith("sagemaker_")},
    }
    training_env = {
        **{name: value for name, value in values.items() if name not in {"hps", "channels", "user_args", "module_dir"}},
        "hyperparameters": user,
        "channel_input_dirs": channel_folders,
        "job_name": request["TrainingJobName"],
        "is_master": host == hosts[0],
        "master_hostname": hosts[0],
    }
    named = {f"SM_{name.upper()}": encode(value) for name, value in values.items()}
    named |= {f"SM_CHANNEL_{name.upper()}": folder for name, folder in channel_folders.items()}
    named |= {f"SM_HP_{name.upper()}": encode(value) for name, value in user.items()}
    return named | {"SM_TRAINING_ENV": encode(training_env)}


def input_data_config(request: Request) -> dict[str, Any]:
    """Return /opt/ml/input/config/inputdataconfig.json."""
    configured = {}
    default = request["AlgorithmSpecification"].get("TrainingInputMode", "File")
    for channel in request.get("InputDataConfig") or []:
        source = channel["DataSource"]["S3DataSource"]
        configured[channel["ChannelName"]] = {
            "ContentType": channel.get("ContentType"),
            "TrainingInputMode": channel.get("InputMode", default),
            "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        }
    return configured


def encode(value: Any) -> str:
    """Return a value as the toolkit writes it into a variable: strings bare, the rest as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))
