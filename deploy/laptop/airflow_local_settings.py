"""Airflow's local settings on the laptop: how those who write to its SQLite database take turns.

How it works: ``profile.prepare_home`` copies this file to ``<home>/config``, where every part of Airflow looks for it
and takes ``create_metadata_engine`` for its own. Two things are added to what Airflow does itself:

- Who sets a savepoint is a writer from then on. Python's sqlite3 begins a transaction before a write only, so that a
  savepoint begins one as a reader. Once anybody else has written, SQLite lets such a reader write no more: "database is
  locked", at once, whatever the timeout. Releasing the savepoint would also commit half of what is meant to be one
  commit. ``airflow backfill create`` is one savepoint a run.
- A thread that runs an event loop waits for other writers for a short time. The API server writes its audit log there,
  and the one that it waits for may need the loop to commit: then both wait until the time is up, and every task with
  them. The request whose time is up has done nothing yet and can be sent again (``airflow_rest`` does).

What it does not do: serve any database but SQLite, or the asynchronous engine, on which Airflow sets no savepoint.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy import Connection, Engine

__all__ = ["create_metadata_engine"]

_WAIT_MILLISECONDS = 60_000
# less than the 5 s after which a task's supervisor gives up a request
_LOOP_WAIT_MILLISECONDS = 2_000


def create_metadata_engine(
    sql_alchemy_conn: str, *, engine_args: dict[str, Any], connect_args: dict[str, Any]
) -> Engine:
    """Return the engine that Airflow would make, with the two additions."""
    engine = create_engine(sql_alchemy_conn, connect_args=connect_args, future=True, **engine_args)
    event.listen(engine, "savepoint", _become_writer)
    event.listen(engine, "checkout", _set_wait)
    return engine


def _become_writer(connection: Connection, _name: str) -> None:
    database = connection.connection.dbapi_connection
    if not database.in_transaction:  # type: ignore[union-attr] # it is connected
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _set_wait(database: sqlite3.Connection, _record: Any, _proxy: Any) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        wait = _WAIT_MILLISECONDS
    else:
        wait = _LOOP_WAIT_MILLISECONDS
    database.execute(f"PRAGMA busy_timeout={wait}")
