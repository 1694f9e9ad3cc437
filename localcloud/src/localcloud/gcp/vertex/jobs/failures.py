"""How a job of Vertex AI ends, and the words of its error.

A job's error is a google.rpc.Status. Code 3 (INVALID_ARGUMENT) is what the user's own program or image is to blame for,
5 (NOT_FOUND) an object or bucket that is not there, 1 (CANCELLED) a cancelled job's, 4 (DEADLINE_EXCEEDED) one's that
took too long, 13 (INTERNAL) the cloud's own fault.
"""

from dataclasses import dataclass

from localcloud.engine.processes import Ending

CANCELLED, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, INTERNAL = 1, 3, 4, 5, 13


class JobFailedError(Exception):
    """Ends the job as failed with this message. `code`: of google.rpc.Status."""

    def __init__(self, message: str, code: int = INVALID_ARGUMENT) -> None:
        """Keep the code."""
        super().__init__(message)
        self.code = code


class JobCancelledError(Exception):
    """Ends the job as cancelled."""


@dataclass(frozen=True)
class JobEnd:
    """How a job ended: the state's name without its prefix, and the error's parts."""

    state: str
    code: int = 0
    message: str = ""


SUCCEEDED = JobEnd("SUCCEEDED")
CANCELED = JobEnd("CANCELLED", CANCELLED, "CANCELED")


def replica_failure(replica: str, ending: Ending, said: str, log: str) -> str:
    """Word a replica's failure as Vertex AI does; `log`: where all of its output is."""
    reason = f"Killed by {ending.signal_name}" if ending.signal_name else "Error"
    return (
        f"The replica {replica} exited with a non-zero status of {ending.shell_exit_code}. "
        f"Termination reason: {reason}. \n{said}\n\n"
        f"To find out more about why your job exited please check the logs: {log}"
    )
