"""How the laptop's Airflow shares its SQLite database."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from deploy.laptop.airflow_local_settings import create_metadata_engine
from deploy.laptop.profile import Profile, prepare_home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine as Airflow gets it, on a database with an empty table."""
    made = create_metadata_engine(f"sqlite:///{tmp_path / 'airflow.db'}", engine_args={}, connect_args={})
    with made.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        connection.exec_driver_sql("CREATE TABLE run (id INTEGER)")
        connection.commit()
    yield made
    made.dispose()


@pytest.fixture
def another(engine: Engine) -> Iterator[sqlite3.Connection]:
    """Another process's connection, which does not wait."""
    with contextlib.closing(sqlite3.connect(str(engine.url.database), timeout=0)) as connection:
        yield connection


def ids(connection: sqlite3.Connection) -> list[int]:
    """Return the rows that the other process sees."""
    return [each for (each,) in connection.execute("SELECT id FROM run ORDER BY id")]


def test_nobody_writes_between_a_savepoints_reading_and_its_writing(
    engine: Engine, another: sqlite3.Connection
) -> None:
    """What is read behind a savepoint holds when it is written upon: the other writer has to wait, not this one."""
    with Session(engine) as session:
        with session.begin_nested():
            assert 0 == session.scalar(text("SELECT count(*) FROM run"))
            with pytest.raises(sqlite3.OperationalError, match="database is locked"):
                another.execute("INSERT INTO run VALUES (2)")
            session.execute(text("INSERT INTO run VALUES (1)"))
        session.commit()
    another.execute("INSERT INTO run VALUES (2)")
    another.commit()
    assert [1, 2] == ids(another)


def test_what_savepoints_wrote_is_committed_as_one(engine: Engine, another: sqlite3.Connection) -> None:
    """A released savepoint is not yet a commit: others see all of them or none."""
    with Session(engine) as session:
        for run in (1, 2):
            with session.begin_nested():
                session.execute(text(f"INSERT INTO run VALUES ({run})"))
            assert [] == ids(another)
        session.commit()
        assert [1, 2] == ids(another)
        with session.begin_nested():
            session.execute(text("INSERT INTO run VALUES (3)"))
        session.rollback()
    assert [1, 2] == ids(another)


def test_a_savepoint_in_a_transaction_begins_no_other(engine: Engine, another: sqlite3.Connection) -> None:
    """Whoever has written already is the writer."""
    with Session(engine) as session:
        session.execute(text("INSERT INTO run VALUES (1)"))
        with contextlib.suppress(ValueError), session.begin_nested():
            session.execute(text("INSERT INTO run VALUES (2)"))
            raise ValueError
        session.commit()
    assert [1] == ids(another)


def test_a_reader_leaves_the_writers_alone(engine: Engine, another: sqlite3.Connection) -> None:
    """Without a savepoint nobody becomes a writer by reading."""
    with Session(engine) as session:
        assert 0 == session.scalar(text("SELECT count(*) FROM run"))
        another.execute("INSERT INTO run VALUES (1)")
        another.commit()
        assert 1 == session.scalar(text("SELECT count(*) FROM run"))


def test_an_event_loop_is_not_held_up_for_long(engine: Engine) -> None:
    """The one whom the loop's thread waits for may need the loop; elsewhere there is time."""

    def wait() -> int:
        with engine.connect() as connection:
            return int(connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one())

    async def wait_in_a_loop() -> int:
        return wait()

    assert [60_000, 2_000, 60_000] == [wait(), asyncio.run(wait_in_a_loop()), wait()]


def test_airflow_finds_the_settings_in_its_home(tmp_path: Path) -> None:
    """Its home's folder `config` is where Airflow looks; what an earlier version left there is replaced."""
    profile = Profile(tmp_path / "airflow", 8080, {})
    found = profile.home / "config" / "airflow_local_settings.py"
    found.parent.mkdir(parents=True)
    found.write_text("old", encoding="utf-8")

    prepare_home(profile)

    assert "def create_metadata_engine(" in found.read_text(encoding="utf-8")
