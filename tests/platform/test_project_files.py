"""The Astro project's files agree with each other and with their formats; nothing is built or started."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.laptop.profile import SECRETS_BACKEND, SECRETS_BACKEND_ARGUMENTS, Profile
from localcloud.clients import client_environment
from localcloud.engine.isolation import MODES
from tests.platform.astro_cli import AIRFLOW_SERVICES, PROJECT, read_env_file

DOCKERFILES = ("Dockerfile", "deploy/astro/localcloud.Dockerfile")
OVERRIDE = "docker-compose.override.yml"


def text_of(path: str) -> str:
    """Return the text of a file of the project."""
    return (PROJECT / path).read_text(encoding="utf-8")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the environment that the tests run in."""
    program, *arguments = command
    path = Path(sys.executable).with_name(program)
    return subprocess.run([str(path), *arguments], cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)


def instructions(dockerfile: str) -> list[str]:
    """Return a Dockerfile's instructions, each on one line, without comments."""
    lines = [line for line in text_of(dockerfile).splitlines() if not line.lstrip().startswith("#")]
    return [line for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line.strip()]


def variables_of(dockerfile: str) -> dict[str, str]:
    """Return what its ENV instructions set, read with a shell's rules for quotes, as Docker does."""
    words = [word for line in instructions(dockerfile) if line.startswith("ENV ") for word in shlex.split(line)[1:]]
    return dict(word.split("=", 1) for word in words)


def services() -> dict[str, Any]:
    """Return the services of the override file."""
    found: dict[str, Any] = yaml.safe_load(text_of(OVERRIDE))["services"]
    return found


@pytest.fixture
def laptop(tmp_path: Path) -> dict[str, str]:
    """The environment of a component on the laptop."""
    return Profile(tmp_path, 8080, client_environment("http://127.0.0.1:4567")).environment("scheduler")


@pytest.fixture
def env_example() -> dict[str, str]:
    """The variables of .env.example."""
    return read_env_file(text_of(".env.example"))


def test_secrets_backend_is_the_same_everywhere(env_example: dict[str, str]) -> None:
    """Image, standalone mode and laptop ask the same backend with the same arguments."""
    for variables in (variables_of("Dockerfile"), env_example):
        assert SECRETS_BACKEND == variables["AIRFLOW__SECRETS__BACKEND"]
        assert SECRETS_BACKEND_ARGUMENTS == json.loads(variables["AIRFLOW__SECRETS__BACKEND_KWARGS"])


def test_connections_lookup_pattern_leaves_out_aws_default_only() -> None:
    """No request is spent on the hooks' default connection; every other connection is looked up."""
    pattern = SECRETS_BACKEND_ARGUMENTS["connections_lookup_pattern"]

    names = ("aws_default", "aws_default_eu", "flightdeck_aws", "warehouse")
    assert ["aws_default_eu", "flightdeck_aws", "warehouse"] == [name for name in names if re.match(pattern, name)]


def test_env_example_says_what_the_laptop_says(env_example: dict[str, str], laptop: dict[str, str]) -> None:
    """Standalone mode differs from `make up` in the plugins' path only, which the CLI resolves in the project."""
    assert "plugins" == env_example.pop("AIRFLOW__CORE__PLUGINS_FOLDER")
    assert env_example == {name: laptop.get(name) for name in env_example}


def test_env_example_means_the_same_to_each_reader() -> None:
    """No value has what standalone mode, compose and `docker create` read differently: quotes, `$`, a comment."""
    values = [line.partition("=")[2] for line in text_of(".env.example").splitlines() if not line.startswith("#")]

    assert [] == [value for value in values if value[:1] in {"'", '"'} or "$" in value or " #" in value]


def test_env_example_has_no_secret(env_example: dict[str, str], laptop: dict[str, str]) -> None:
    """What looks like a credential is the made-up one of the local cloud."""
    named = {name for name in env_example if re.search("KEY|SECRET_|PASSWORD|TOKEN|CONN", name)}

    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} == named
    assert {name: laptop[name] for name in named} == {name: env_example[name] for name in named}


def test_docker_mode_reaches_the_local_cloud_by_its_service() -> None:
    """Every Airflow service of the CLI, and no other, gets the client's variables with Docker's endpoint."""
    expected = client_environment("http://localcloud:4567")

    found = {name: service["environment"] for name, service in services().items() if name != "localcloud"}
    assert found.keys() == AIRFLOW_SERVICES
    for environment in found.values():
        assert expected == {name: value for name, value in environment.items() if name.startswith("AWS_")}


def test_docker_mode_survives_a_standalone_env_file(env_example: dict[str, str]) -> None:
    """What .env.example sets for loopback is set again by the override, which wins."""
    loopback = {name for name, value in env_example.items() if "127.0.0.1" in value}

    for name in AIRFLOW_SERVICES:
        environment = services()[name]["environment"]
        assert loopback <= environment.keys()
        assert [] == [name for name in loopback if "127.0.0.1" in environment[name]]


def test_ports_are_published_on_loopback_only() -> None:
    """Nobody else on the network reaches the local cloud."""
    published = [port for service in services().values() for port in service.get("ports", [])]

    assert ["127.0.0.1:4567:4567"] == published


def test_local_cloud_is_started_as_its_command_line_allows() -> None:
    """The service's arguments are ones that `localcloud` takes, and its files are where it looks for them."""
    cloud = services()["localcloud"]
    command = cloud["command"]
    mounts = dict(volume.split(":")[:2] for volume in cloud["volumes"])
    image = variables_of("deploy/astro/localcloud.Dockerfile")

    assert ["up", "--host", "0.0.0.0"] == command[:3]  # noqa: S104 - inside a container
    assert "/etc/localcloud/seed.yaml" == command[command.index("--seed") + 1] == mounts["./deploy/laptop/seed.yaml"]
    assert command[command.index("--isolation") + 1] in MODES
    assert image["LOCALCLOUD_ENVIRONMENTS"] == mounts["localcloud_environments"]
    assert ["airflow"] == cloud["networks"]


def test_local_cloud_image_can_be_built_beforehand() -> None:
    """The CLI does not build an override's images: the service names one, and the files say how it is built."""
    cloud = services()["localcloud"]
    build = f"docker build --file {cloud['build']['dockerfile']} --tag {cloud['image']} ."

    for path in (OVERRIDE, cloud["build"]["dockerfile"], "docs/astro.md"):
        assert build in text_of(path)


def test_override_keeps_the_compose_specification() -> None:
    """The file is valid for every compose implementation."""
    checked = run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", OVERRIDE)

    assert 0 == checked.returncode, checked.stdout + checked.stderr


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_dockerfile_has_nothing_that_hadolint_reports(dockerfile: str) -> None:
    """No finding of any severity; exceptions stand in the file with their reasons."""
    checked = run("hadolint", dockerfile)

    assert ("", 0) == (checked.stdout, checked.returncode)


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_containers_do_not_run_as_root(dockerfile: str) -> None:
    """The last USER is an ordinary one."""
    users = [line.split()[1] for line in instructions(dockerfile) if line.startswith("USER ")]

    assert users[-1] not in {"root", "0"}


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_what_a_dockerfile_copies_is_there(dockerfile: str) -> None:
    """Each source is in the tree and not left out by .dockerignore."""
    ignored = {line.strip("/") for line in text_of(".dockerignore").splitlines() if line and not line.startswith("#")}
    words = [line.split()[1:-1] for line in instructions(dockerfile) if line.startswith("COPY ")]
    sources = {word for line in words for word in line if not word.startswith("--")}

    assert sources
    assert [] == [source for source in sources if not (PROJECT / source).exists() or source in ignored]


def test_requirements_are_the_projects_dependencies() -> None:
    """requirements.txt adds to the image what pyproject.toml asks for but Airflow, and pytest for the parse test."""
    project = tomllib.loads(text_of("pyproject.toml"))
    dependencies = project["project"]["dependencies"]
    pytest_requirement = next(line for line in project["dependency-groups"]["dev"] if re.match(r"pytest\b(?!-)", line))
    lines = [line.partition("#")[0].strip() for line in text_of("requirements.txt").splitlines()]

    expected = [line for line in dependencies if not line.startswith("apache-airflow==")] + [pytest_requirement]
    assert sorted(expected) == sorted(filter(None, lines))


def test_image_keeps_the_airflow_of_the_project() -> None:
    """The installation in the image fails rather than replace Airflow; the tag's runtime brings that version."""
    dependencies = tomllib.loads(text_of("pyproject.toml"))["project"]["dependencies"]
    airflow = next(line for line in dependencies if line.startswith("apache-airflow=="))

    (install,) = [line for line in instructions("Dockerfile") if "uv pip install" in line]
    assert airflow in install.split()
    # Astro Runtime 3.3-8 is Airflow 3.3.2
    assert ("FROM astrocrpublic.azurecr.io/runtime:3.3-8-python-3.12-base", "apache-airflow==3.3.2") == (
        instructions("Dockerfile")[0],
        airflow,
    )


def test_cli_settings() -> None:
    """The CLI finds a project, and a Postgres that Airflow 3 supports."""
    settings = yaml.safe_load(text_of(".astro/config.yaml"))

    assert ("flightdeck", "docker", "16") == (
        settings["project"]["name"],
        settings["dev"]["mode"],
        settings["postgres"]["tag"],
    )


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        (".env", True),
        (".astro/standalone/airflow.db", True),
        ("airflow_settings.yaml", False),
        (".env.example", False),
        (".astro/config.yaml", False),
    ],
)
def test_git_keeps_settings_and_leaves_secrets(path: str, ignored: bool) -> None:  # noqa: FBT001 - a table's column
    """.env stays on its machine; airflow_settings.yaml, which the stock .gitignore leaves out, is the project's."""
    asked = subprocess.run(["git", "check-ignore", "--quiet", "--no-index", path], cwd=PROJECT, check=False)

    assert ignored is (asked.returncode == 0)


def test_image_takes_no_private_file() -> None:
    """Neither .env nor what local runs leave behind goes into the image or to a deployment."""
    ignored = text_of(".dockerignore").splitlines()

    assert {"**/.env", "**/.env.*", ".git", ".local", ".venv", ".astro/standalone"} <= set(ignored)
