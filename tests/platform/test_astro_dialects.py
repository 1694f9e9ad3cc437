"""Databases without a server here: the statements that the Astro SDK makes for them are statements of their dialects.

sqlglot (https://sqlglot.com) reads them; it is put beside this environment. It knows the grammar, not the server: that
the statements run, and loading, are not shown. Snowflake's provider is not installed, so that it is refused.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy
import uv

import include.warehouse.astro_sdk  # noqa: F401 - before astro
from include.core.errors import AstroSdkRefused

from astro.databases import create_database
from astro.table import Metadata, Table

if TYPE_CHECKING:
    from types import ModuleType

CONNECTIONS = {
    "bigquery": {"conn_type": "gcpbigquery", "extra": {"project": "project-1"}},
    "redshift": {
        "conn_type": "redshift",
        "host": "127.0.0.1",
        "login": "user-1",
        "password": "word-1",
        "schema": "dev",
    },
}
COLUMNS = {"id": "id", "name": "label"}


@pytest.fixture(scope="module")
def sqlglot(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The parser."""
    folder = tmp_path_factory.mktemp("sqlglot")
    command = [uv.find_uv_bin(), "pip", "install", "--python", sys.executable, "--no-deps", "--target", str(folder)]
    done = subprocess.run([*command, "sqlglot==30.30.0"], capture_output=True, text=True, timeout=300, check=False)
    assert 0 == done.returncode, done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        import sqlglot as parser  # noqa: PLC0415 - it is there from here on

        found: ModuleType = parser
        yield found


@pytest.mark.verify  # a package that nothing else here needs
@pytest.mark.parametrize("engine", ["bigquery", "redshift"])
def test_statements_of_the_dialect(engine: str, sqlglot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Transform, append, drop and, on BigQuery, merge name their tables, and the dialect's parser takes them."""
    monkeypatch.setenv("AIRFLOW_CONN_FAR", json.dumps(CONNECTIONS[engine]))
    database = create_database("far")
    assert engine == database.sql_type
    said: list[str] = []
    # what would go to the server
    monkeypatch.setattr(database, "run_sql", lambda sql="", *_, **__: said.append(compiled(engine, sql)))
    source, target = (Table(name, conn_id="far", metadata=Metadata(schema="flights")) for name in ("s", "t"))
    # what the server would be asked for
    monkeypatch.setattr(database, "get_sqla_table", lambda table: reflected(table.name))
    database.create_table_from_select_statement("SELECT id FROM flights.s WHERE id > 1", target)
    database.append_table(source, target, COLUMNS)
    database.drop_table(target)
    expected = [("Create", {"flights.s", "flights.t"}), ("Insert", {"flights.s", "flights.t"}), ("Drop", {"flights.t"})]
    if engine == "bigquery":
        database.merge_table(source, target, {"id": "id"}, ["id"], "exception")
        expected.append(("Merge", {"flights.s", "flights.t"}))

    assert expected == [read(sqlglot, statement, engine) for statement in said]


@pytest.mark.parametrize("kind", ["snowflake", "databricks", "mssql", "mysql"])
def test_a_database_without_its_provider(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal names the connection, its type and the module that is not there."""
    monkeypatch.setenv("AIRFLOW_CONN_FAR", json.dumps({"conn_type": kind, "host": "127.0.0.1"}))

    with pytest.raises(AstroSdkRefused, match=rf"connection far.*{kind}.*no module airflow\.providers\."):
        create_database("far")


def reflected(name: str) -> sqlalchemy.Table:
    """Return a table as it would be found on the server."""
    columns = [sqlalchemy.Column(column, sqlalchemy.Text) for column in ("id", "name" if name == "s" else "label")]
    return sqlalchemy.Table(name, sqlalchemy.MetaData(schema="flights"), *columns)


def compiled(engine: str, statement: Any) -> str:
    """Return a statement as the engine's SQLAlchemy dialect writes it; Redshift's is Postgres' in the SDK."""
    if isinstance(statement, str):
        return statement
    name = {"bigquery": "bigquery", "redshift": "postgresql"}[engine]
    dialect = sqlalchemy.dialects.registry.load(name)()
    return str(statement.compile(dialect=dialect))


def read(parser: Any, statement: str, engine: str) -> tuple[str, set[str]]:
    """Return what kind a statement is, and the tables that it names."""
    (parsed,) = parser.parse(statement, read=engine, error_level=parser.ErrorLevel.RAISE)
    return type(parsed).__name__, {f"{table.db}.{table.name}" for table in parsed.find_all(parser.exp.Table)}
