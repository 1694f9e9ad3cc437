from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from deploy.laptop.profile import PROJECT, SECRETS_BACKEND_ARGUMENTS, Profile, password, prepare_home
from localcloud.clients import client_environment

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    """An Airflow that nobody starts."""
    made = Profile(tmp_path / "airflow", 8080, client_environment("http://127.0.0.1:4567"))
    prepare_home(made)
    return made


def test_no_connection_comes_from_the_environment(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections come from the secrets backend only, whatever the user's shell holds."""
    monkeypatch.setenv("AIRFLOW_CONN_FLIGHTDECK_AWS", "aws://")
    monkeypatch.setenv("AIRFLOW_VAR_LAKE_URI", "s3://mine")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")

    environment = profile.environment("scheduler")

    assert [] == [name for name in environment if name.startswith(("AIRFLOW_CONN_", "AIRFLOW_VAR_"))]
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"


@pytest.mark.parametrize("name", ["AWS_PROFILE", "AWS_SESSION_TOKEN", "HTTPS_PROXY", "PYTHONDONTWRITEBYTECODE"])
def test_the_users_own_settings_stay_out(profile: Profile, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What is inherited is listed; a real account or a proxy in the shell reaches no task."""
    monkeypatch.setenv(name, "set")

    assert name not in profile.environment("scheduler")


def test_endpoint_and_credentials_are_the_clouds_alone(profile: Profile) -> None:
    """Besides the name that the request log shows, AWS variables are those of the local cloud's client."""
    environment = profile.environment("triggerer")

    assert environment.pop("AWS_SDK_UA_APP_ID") == "airflow-triggerer"
    assert profile.cloud == {name: value for name, value in environment.items() if name.startswith("AWS_")}


def test_no_secret_stands_in_the_environment(profile: Profile) -> None:
    """Keys and password lie in files that only their owner reads."""
    settings = (profile.home / "airflow.cfg").read_text(encoding="utf-8")
    keys = [line.partition(" = ")[2] for line in settings.splitlines() if " = " in line]

    assert len(keys) == 3
    values = " ".join(profile.environment("scheduler").values())
    assert [] == [key for key in [*keys, password(profile)] if key in values]
    assert {0o600} == {path.stat().st_mode & 0o777 for path in (profile.home / "airflow.cfg", profile.passwords)}


def test_each_home_has_its_own_keys_and_keeps_them(profile: Profile, tmp_path: Path) -> None:
    """Nothing is shared between two homes, and a second start of one changes nothing."""
    other = Profile(tmp_path / "other", 8081, profile.cloud)
    prepare_home(other)
    before = password(profile)
    prepare_home(profile)

    assert before == password(profile) != password(other)


def test_the_secrets_backend_takes_what_mwaa_takes(profile: Profile) -> None:
    """Prefixes and a lookup pattern, neither region nor endpoint: these are the environment's."""
    given = json.loads(profile.environment("scheduler")["AIRFLOW__SECRETS__BACKEND_KWARGS"])

    assert given == SECRETS_BACKEND_ARGUMENTS
    assert set(given) <= {"connections_prefix", "variables_prefix", "connections_lookup_pattern"}


def test_everything_listens_on_loopback(profile: Profile) -> None:
    """Nobody else on the network reaches the pages."""
    environment = profile.environment("api-server")

    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"] == "False"


def test_tests_add_folders_of_their_own(tmp_path: Path) -> None:
    """Each folder becomes a bundle; the project's comes first."""
    folders = {"dags-folder": PROJECT / "dags", "probes": tmp_path}
    environment = Profile(tmp_path / "airflow", 8080, {}, folders).environment("dag-processor")

    bundles = json.loads(environment["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"])
    assert [("dags-folder", str(PROJECT / "dags")), ("probes", str(tmp_path))] == [
        (bundle["name"], bundle["kwargs"]["path"]) for bundle in bundles
    ]


def test_another_project_brings_its_own_folders(tmp_path: Path) -> None:
    """DAGs, what they import and plugins come from that folder, nothing from this one."""
    (tmp_path / "plugins").mkdir()
    environment = Profile(tmp_path / "airflow", 8080, {}, project=tmp_path).environment("dag-processor")

    assert str(tmp_path) == environment["PYTHONPATH"]
    assert str(tmp_path / "plugins") == environment["AIRFLOW__CORE__PLUGINS_FOLDER"]
    assert str(tmp_path / "dags") == environment["AIRFLOW__CORE__DAGS_FOLDER"]
    bundles = json.loads(environment["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"])
    assert [str(tmp_path / "dags")] == [bundle["kwargs"]["path"] for bundle in bundles]
    assert str(PROJECT) not in [value for name, value in environment.items() if name != "PATH"]
