"""What cannot work, or was not tested, is refused by name; each refusal says what to do instead."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from airflow.sdk import DAG, Asset, AssetAll, task
from packaging.specifiers import SpecifierSet

from include.core.errors import AstroSdkRefused
from include.warehouse.astro_sdk import asset, refusals, versions

from astro import sql as aql
from astro.files import File
from astro.table import Metadata, Table

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("package", ["astro-sdk-python", "apache-airflow-core", "sqlalchemy", "pandas"])
def test_a_version_that_was_not_tested(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names what was found, what was tested and what to do."""
    monkeypatch.setitem(versions.TESTED, package, SpecifierSet("<0.1"))

    with pytest.raises(AstroSdkRefused) as refused:
        versions.check()

    assert package == refused.value.where
    assert f"found {version(package)}" == refused.value.what
    assert f"{package}<0.1" in refused.value.rule
    assert f"install {package}<0.1" in refused.value.remedy


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is not there is refused like a wrong version."""
    monkeypatch.setitem(versions.TESTED, "no-such-package", SpecifierSet(">=1"))

    with pytest.raises(AstroSdkRefused, match="found not installed"):
        versions.check()


@pytest.mark.parametrize("schedule", [[Table("t", conn_id="c")], Table("t", conn_id="c"), [File("/a.csv")]])
def test_a_table_is_no_schedule(schedule: object) -> None:
    """A schedule of tables or files offers the way to schedule on them."""
    with pytest.raises(AstroSdkRefused, match=r"schedule=\[asset\(\.\.\.\)\]"):
        DAG("d", schedule=schedule)  # type: ignore[arg-type] # what a user of Airflow 2 writes


def test_tables_are_not_combined() -> None:
    """`a | b` is Airflow's word for assets."""
    with pytest.raises(AstroSdkRefused, match="schedule"):
        Table("t", conn_id="c") | asset(Table("u", conn_id="c"))


@pytest.mark.parametrize(
    ("source", "uri"),
    [
        (Table("t", conn_id="c"), "astro://c/-/-/t"),
        (Table("t", conn_id="c", metadata=Metadata(schema="s", database="d")), "astro://c/d/s/t"),
        (File("s3://bucket/a.csv", conn_id="c"), "s3://bucket/a.csv"),
        (File("/data/a b.csv"), "file:///data/a%20b.csv"),
    ],
)
def test_assets_of_tables_and_files(source: Table | File, uri: str) -> None:
    """A table or file has one asset, on which a DAG can be scheduled."""
    with DAG("d", schedule=[asset(source)]) as dag:
        pass

    assert uri == asset(source).uri
    assert AssetAll(asset(source)) == dag.timetable.asset_condition


@pytest.mark.parametrize("source", [Table(conn_id="c"), Table("{{ ds }}", conn_id="c"), File("/{{ ds }}.csv"), "t"])
def test_no_asset_of_what_is_not_known_yet(source: object) -> None:
    """A temporary table, a template and anything else have no asset."""
    with pytest.raises(AstroSdkRefused, match="known when the DAG file is read"):
        asset(source)


@pytest.mark.parametrize("argument", ["inlets", "outlets"])
def test_a_table_is_no_outlet_of_other_operators(argument: str) -> None:
    """Airflow would ignore it in silence."""

    @task(**{argument: [Table("t", conn_id="c")]})  # type: ignore[call-overload] # what a user of Airflow 2 writes
    def writes(of: int = 0) -> None: ...

    with DAG("d"), pytest.raises(AstroSdkRefused, match=rf"{argument}=\[asset\(\.\.\.\)\]"):
        writes()
    with DAG("d"), pytest.raises(AstroSdkRefused, match=rf"{argument}=\[asset\(\.\.\.\)\]"):
        writes.expand(of=[1, 2])


def test_an_asset_is_an_outlet() -> None:
    """The asset of a table may be any operator's outlet."""

    @task(outlets=[asset(Table("t", conn_id="c"))])
    def writes() -> None: ...

    with DAG("d") as dag:
        writes()

    assert [Asset("astro://c/-/-/t")] == dag.get_task("writes").outlets


def test_operators_of_the_sdk_emit_assets() -> None:
    """What a load reads and writes are its inlets and outlets, unless it is told others."""
    with DAG("d") as dag:
        aql.load_file(File("/a.csv"), Table("t", conn_id="c"), task_id="known")
        aql.load_file(File("/a.csv"), Table("t", conn_id="c"), task_id="told", outlets=[Table("u", conn_id="c")])
        aql.load_file(File("/a.csv"), Table(conn_id="c"), task_id="temporary")

    found = {each.task_id: ([a.uri for a in each.inlets], [a.uri for a in each.outlets]) for each in dag.tasks}
    assert {
        "known": (["file:///a.csv"], ["astro://c/-/-/t"]),
        "told": (["file:///a.csv"], ["astro://c/-/-/u"]),
        "temporary": (["file:///a.csv"], []),
    } == found


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("AIRFLOW__ASTRO_SDK__XCOM_STORAGE_CONN_ID", "aws_default", "xcom_storage_conn_id"),
        ("AIRFLOW__ASTRO_SDK__XCOM_STORAGE_URL", "s3://bucket", "xcom_storage_url"),
        ("AIRFLOW__ASTRO_SDK__STORE_DATA_LOCAL_DEV", "True", "store_data_local_dev"),
    ],
)
def test_options_without_effect(option: str, value: str, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An option of the SDK's own XCom storage is refused."""
    monkeypatch.setenv(option, value)

    with pytest.raises(AstroSdkRefused, match=rf"\[astro_sdk\] {named}.*XComObjectStorageBackend"):
        refusals.check_configuration()


def test_the_configured_xcom_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's XCom backend is refused where it is configured."""
    monkeypatch.setenv(
        "AIRFLOW__CORE__XCOM_BACKEND", "astro.custom_backend.astro_custom_backend.AstroCustomXcomBackend"
    )

    with pytest.raises(AstroSdkRefused, match="XComObjectStorageBackend"):
        refusals.check_configuration()


@pytest.mark.verify  # starts a process that imports Airflow
def test_refusals_come_at_import(tmp_path: Path) -> None:
    """A DAG file with the bridge is an import error that says what is wrong."""
    answer = python("import include.warehouse.astro_sdk", tmp_path, AIRFLOW__ASTRO_SDK__XCOM_STORAGE_URL="s3://b")

    assert "AstroSdkRefused: [astro_sdk] xcom_storage_url" in answer


def test_the_sdks_own_xcom_backend() -> None:
    """Its class is refused where it is imported."""
    with pytest.raises(AstroSdkRefused, match="xcom_backend"):
        importlib.import_module("astro.custom_backend.astro_custom_backend")


@pytest.mark.verify  # starts a process that imports Airflow
def test_astro_before_the_bridge(tmp_path: Path) -> None:
    """A module of astro that was imported before cannot be changed any more."""
    program = "import astro.constants, include.warehouse.astro_sdk"

    assert "write `import include.warehouse.astro_sdk` above every import of astro" in python(program, tmp_path)


def test_nothing_stays_behind(tmp_path: Path) -> None:
    """The names of Airflow 2 and SQLAlchemy 1 exist only while a module of astro runs; no warning is shown."""
    program = (
        "import include.warehouse.astro_sdk, sys, os, sqlalchemy.engine.row; from astro import sql; "
        "assert 'airflow.hooks.dbapi' not in sys.modules; assert not hasattr(sqlalchemy.engine.row, 'LegacyRow'); "
        "assert 'AIRFLOW__CORE__ENABLE_XCOM_PICKLING' not in os.environ; print('clean', end='')"
    )

    assert python(program, tmp_path, PYTHONWARNINGS="error::DeprecationWarning:astro").endswith("clean")


def python(program: str, home: Path, **environment: str) -> str:
    """Return what a fresh interpreter writes."""
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    keep["AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES"] = "airflow.* astro.*"  # what Airflow 3.2 needs
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**keep, "AIRFLOW_HOME": str(home), "PYTHONPATH": os.getcwd(), **environment},  # noqa: PTH109 - a text
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout + ran.stderr
