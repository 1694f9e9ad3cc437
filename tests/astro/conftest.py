"""The databases that the Astro SDK's operators run on, each read back over a plain connection that is not the SDK's.

These tests have a folder of their own because they are neither pure code nor DAGs under a scheduler: they run the SDK's
operators on real databases in this process (tests/astro/runs.py).
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import duckdb
import pytest

import include.warehouse.astro_sdk  # noqa: F401 - before astro
from deploy.laptop.cloud import LocalCloud

from astro.table import Metadata, Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Warehouse:
    """A database under the Airflow connection ``warehouse``."""

    engine: str
    place: str
    schema: str | None

    def table(self, name: str = "", **arguments: Any) -> Table:
        """Return a table of the SDK; without a name a temporary one."""
        return Table(name, conn_id="warehouse", metadata=Metadata(schema=self.schema), **arguments)

    def named(self, name: str) -> str:
        """Return a table's name in SQL."""
        return f"{self.schema}.{name}" if self.schema else name

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return a query's rows over a connection of its own."""
        if self.engine == "sqlite":
            connection = sqlite3.connect(self.place)
            try:
                return connection.execute(sql).fetchall()
            finally:
                connection.close()
        if self.engine == "duckdb":
            with duckdb.connect(self.place) as database:
                return database.execute(sql).fetchall()
        with self._session() as session:
            rows: list[tuple[Any, ...]] = session.execute(sql).fetchall()
        return rows

    def execute(self, *statements: str) -> None:
        """Execute statements over a connection of its own, and commit them."""
        if self.engine == "sqlite":
            connection = sqlite3.connect(self.place)
            try:
                with connection:
                    for statement in statements:
                        connection.execute(statement)
            finally:
                connection.close()
        elif self.engine == "duckdb":
            with duckdb.connect(self.place) as database:
                for statement in statements:
                    database.execute(statement)
        else:
            with self._session() as session:
                for statement in statements:
                    session.execute(statement)

    @contextmanager
    def holding(self, statement: str) -> Iterator[None]:
        """Keep a session of Postgres open in which a statement was executed."""
        with self._session() as session:
            session.execute(statement)
            yield

    def _session(self) -> Any:
        import psycopg  # noqa: PLC0415 - an environment of `make verify` only

        return psycopg.connect(host=self.place, user="postgres", dbname="postgres")

    def content(self, name: str, order: str = "1") -> list[tuple[Any, ...]]:
        """Return a table's rows."""
        return self.rows(f"SELECT * FROM {self.named(name)} ORDER BY {order}")

    def tables(self) -> set[str]:
        """Return the names of all tables."""
        if self.engine == "sqlite":
            return {name for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
        schema = self.schema or "main"
        return {
            name
            for (name,) in self.rows(
                f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{schema}'"
            )
        }


@pytest.fixture(scope="session")
def postgres_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Postgres server of the run's own; clients reach it by the socket in this folder."""
    folder = tmp_path_factory.mktemp("postgres")
    with pytest.MonkeyPatch.context() as patch:
        # where the server's package keeps its locks
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        from pgserver import get_server  # noqa: PLC0415 - an environment of `make verify` only

        server = get_server(folder / "data", cleanup_mode="stop")
    yield folder / "data"
    server.cleanup()


@pytest.fixture(params=["sqlite", "duckdb", pytest.param("postgres", marks=pytest.mark.verify)])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """An empty database on each engine."""
    return make_warehouse(request, request.param, tmp_path, monkeypatch)


@pytest.fixture
def duck(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """An empty database on DuckDB."""
    return make_warehouse(request, "duckdb", tmp_path, monkeypatch)


def make_warehouse(
    request: pytest.FixtureRequest, engine: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Warehouse:
    """Make an empty database and the connection that names it."""
    if engine == "postgres":
        place, schema = str(request.getfixturevalue("postgres_folder")), f"s{uuid4().hex[:12]}"
        connection = {"conn_type": "postgres", "host": place, "login": "postgres", "schema": "postgres"}
    else:
        place, schema = str(folder / f"warehouse.{engine}"), None
        connection = {"conn_type": engine, "host": place}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
    return Warehouse(engine, place, schema)


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An S3 client of a local cloud with the bucket ``astro``."""
    with LocalCloud(tmp_path_factory.mktemp("cloud") / "root") as cloud:
        environment = cloud.environment
        client = boto3.client(
            "s3",
            endpoint_url=cloud.endpoint,
            region_name=environment["AWS_DEFAULT_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )
        client.create_bucket(Bucket="astro")
        connection = {
            "conn_type": "aws",
            "login": environment["AWS_ACCESS_KEY_ID"],
            "password": environment["AWS_SECRET_ACCESS_KEY"],
            "extra": {"endpoint_url": cloud.endpoint, "region_name": environment["AWS_DEFAULT_REGION"]},
        }
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AIRFLOW_CONN_OBJECTS", json.dumps(connection))
            yield client
