"""Whether the task that a trigger waits for is known to wait no more.

How it works: a trigger is cancelled when its task was marked, cleared or timed out, but also when its triggerer ends or
hands it over. So the task's state decides: while the task is deferred, somebody waits. What cannot be asked for is
unknown, and that is an answer: nobody is known to have gone.

What it does not do: stop anything.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from asgiref.sync import sync_to_async

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from airflow.triggers.base import BaseTrigger

# the first question of a triggerer builds the interface that answers it, which takes seconds, more on a busy machine
_ASKING_SECONDS = 60


async def is_abandoned(trigger: BaseTrigger, name: str) -> bool:
    """Whether the task of a trigger is known to wait no more.

    Args:
        trigger: The trigger.
        name: What it waits for, for the log.
    """
    task = trigger.task_instance
    if task is None:
        return False
    try:
        async with asyncio.timeout(_ASKING_SECONDS):
            states = await sync_to_async(RuntimeTaskInstance.get_task_states)(
                dag_id=task.dag_id, task_ids=[task.task_id], run_ids=[task.run_id], map_index=task.map_index
            )
    except Exception as error:  # noqa: BLE001 - what cannot be asked is unknown, and that is an answer
        trigger.log.warning("%s is left alone: its task's state is unknown: %s", name, error)
        return False
    # of a task that is gone, with its run for example, there is no state
    state = next(iter(states.get(task.run_id, {}).values()), "removed")
    trigger.log.info("The task that waited for %s is %s", name, state)
    return str(state) != "deferred"


async def finish_although_cancelled(work: Coroutine[None, None, None]) -> None:
    """Do something to its end, however often the triggerer cancels the trigger meanwhile."""
    doing = asyncio.create_task(work)
    while not doing.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(doing)
