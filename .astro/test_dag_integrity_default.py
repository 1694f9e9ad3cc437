"""Every DAG file imports and defines a DAG, and every DAG has a tag: what `astro dev parse` and `astro deploy` ask.

How it works: the dags folder is read as the dag processor reads it; nothing is patched. In place of the CLI's own file,
which raises TypeError on Airflow >= 3.3 and answers variables, connections and os.getenv with made-up values, so that
it cannot see a DAG file which asks for them when it is parsed.

What it does not do: run anything. Needs Airflow and pytest only. dag_integrity_exceptions.txt names files to leave out.
"""
# ruff: noqa: INP001 - the CLI names folder and file

from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

PROJECT = Path(__file__).resolve().parent.parent
DAGS = PROJECT / "dags"
EXCEPTIONS = Path(__file__).with_name("dag_integrity_exceptions.txt")


def _from_project(path: str) -> str:
    """Return a path below the dags folder as the project's root sees it."""
    return (DAGS / path).relative_to(PROJECT).as_posix()


def _exceptions() -> list[str]:
    lines = EXCEPTIONS.read_text(encoding="utf-8").splitlines() if EXCEPTIONS.exists() else []
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


_EXCEPTIONS = _exceptions()
_BAG = DagBag(dag_folder=str(DAGS), bundle_path=DAGS, bundle_name="dags-folder")
_ERRORS = {_from_project(path): error for path, error in _BAG.import_errors.items()}
_FILES = sorted({_from_project(stat.file) for stat in _BAG.dagbag_stats} | set(_ERRORS))
_CHECKED = [file for file in _FILES if file not in _EXCEPTIONS]


def test_the_folder_holds_dag_files() -> None:
    """A folder in which nothing is found is a wrong path or a wrong .airflowignore, not a success."""
    if not _CHECKED:
        pytest.fail(f"no DAG file was found below {DAGS}")


@pytest.mark.parametrize("exception", _EXCEPTIONS)
def test_an_exception_names_a_dag_file(exception: str) -> None:
    """An exception for a file that is gone would hide the next file of that name."""
    if exception not in _FILES:
        pytest.fail(f"{EXCEPTIONS.name} names {exception}, which is no DAG file: remove the line")


@pytest.mark.parametrize("file", _CHECKED)
def test_file_imports(file: str) -> None:
    """The dag processor would show no import error."""
    if file in _ERRORS:
        pytest.fail(f"{file} does not import:\n{_ERRORS[file].strip()}", pytrace=False)


@pytest.mark.parametrize("file", [file for file in _CHECKED if file not in _ERRORS])
def test_file_defines_tagged_dags(file: str) -> None:
    """A DAG file defines at least one DAG, and people find each by a tag."""
    dags = [dag for dag in _BAG.dags.values() if Path(dag.fileloc).resolve() == PROJECT / file]
    if not dags:
        pytest.fail(f"{file} defines no DAG", pytrace=False)
    untagged = sorted(dag.dag_id for dag in dags if not dag.tags)
    if untagged:
        pytest.fail(f"{file} defines DAGs without a tag: {', '.join(untagged)}", pytrace=False)
