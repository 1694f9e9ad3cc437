"""Several processes that end together: a job on more than one host.

All run until they end by themselves; when one fails, a stop is requested or the time is over, the others are ended, as
a cluster without one of its hosts is of no use. Where the first one leads, its success ends the others as well: servers
of parameters never end by themselves.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from localcloud.engine.processes import Cause, Ending, JobProcess, StopRequest


@dataclass(frozen=True)
class ClusterEnding:
    """How a cluster ended.

    Args:
        cause: EXITED when all programs ended by themselves or one of them failed.
        failed: The number (from 0) and the ending of the program that failed first; None when none did.
    """

    cause: Cause
    failed: tuple[int, Ending] | None


def wait_for_cluster(
    processes: Sequence[JobProcess], stop: StopRequest, *, limit: float | None, grace: float, led: bool = False
) -> ClusterEnding:
    """Wait for the end of all; `limit` and `grace` (seconds) as `JobProcess.wait` has them, `led` as said above."""
    together = StopRequest()
    stop.on_request(together.request)
    failures: list[tuple[int, Ending]] = []
    succeeded = False

    def wait(number: int) -> Ending:
        nonlocal succeeded
        ending = processes[number].wait(together, limit=limit, grace=grace)
        if ending.cause is Cause.EXITED and ending.exit_code != 0 and not succeeded:
            failures.append((number, ending))
            together.request()
        elif ending.cause is Cause.EXITED and led and number == 0:
            succeeded = True
            together.request()
        return ending

    if len(processes) == 1:
        endings = [wait(0)]
    else:
        with ThreadPoolExecutor(len(processes), thread_name_prefix="cluster") as pool:
            endings = list(pool.map(wait, range(len(processes))))
    if failures:
        return ClusterEnding(Cause.EXITED, failures[0])
    if succeeded:
        return ClusterEnding(Cause.EXITED, None)
    causes = {ending.cause for ending in endings}
    return ClusterEnding(
        next((cause for cause in (Cause.STOPPED, Cause.TIMED_OUT) if cause in causes), Cause.EXITED), None
    )
