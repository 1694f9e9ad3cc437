"""What becomes a job's FailureReason: the exceptions of a job's flow and the wording of AWS.

A reason holds at most 1024 characters; what is cut is the beginning of the program's message, because the end of a
traceback is the part that says what happened.
"""

import shlex
from collections.abc import Sequence

from localcloud.engine.environments import EnvironmentBuildError
from localcloud.engine.processes import Ending

REASON_LIMIT = 1024
_COMMAND_LIMIT = 256
_TRACEBACK = "Traceback (most recent call last)"


class JobFailedError(Exception):
    """Ends the job as Failed with this reason."""


class JobStoppedError(Exception):
    """Ends the job as Stopped."""


def message_of(tail: Sequence[str]) -> str:
    """Return the part of the output's end that explains a failure: the last traceback, or all of it."""
    starts = [index for index, line in enumerate(tail) if line.startswith(_TRACEBACK)]
    return "\n".join(tail[starts[-1] :] if starts else tail).strip()


def keep_end(text: str, limit: int) -> str:
    """Cut `text` to `limit` characters at its beginning."""
    return text if len(text) <= limit else "…" + text[len(text) - limit + 1 :]


def script_failure(kind: str, exit_code: int, message: str, argv: Sequence[str]) -> str:
    """Word a failed script as AWS's training toolkit does."""
    command = shlex.join(argv)
    if len(command) > _COMMAND_LIMIT:
        command = command[: _COMMAND_LIMIT - 1] + "…"
    head, foot = f'AlgorithmError: {kind}:\nExitCode {exit_code}\nErrorMessage "', f'"\nCommand "{command}"'
    return head + keep_end(message, REASON_LIMIT - len(head) - len(foot)) + foot


def killed_note(ending: Ending, message: str) -> str:
    """Put in front of `message` that a signal ended the program, if one did."""
    if ending.signal_name is None:
        return message
    note = f"the process was killed by {ending.signal_name} (exit code {ending.shell_exit_code})"
    return f"{note}\n{message}" if message else note


def container_failure(ending: Ending, message: str) -> str:
    """Word a failed container program (its own entry point, processing)."""
    head = "AlgorithmError: "
    foot = f", exit code: {ending.shell_exit_code}"
    text = killed_note(ending, message) or "See job logs for more information"
    return head + keep_end(text, REASON_LIMIT - len(head) - len(foot)) + foot


def reported_failure(ending: Ending, said: str) -> str:
    """Word what the program itself wrote to /opt/ml/output/failure, of which AWS tells the first characters."""
    head, foot = "AlgorithmError: ", f", exit code: {ending.shell_exit_code}"
    return head + said.strip()[: REASON_LIMIT - len(head) - len(foot)] + foot


def install_failure(error: EnvironmentBuildError) -> str:
    """Word requirements that cannot be installed."""
    return script_failure("InstallRequirementsError", error.exit_code, error.output, shlex.split(error.command))
