"""What the Astro CLI (1.45, read in its source) does around a project, for tests on machines that cannot run it.

Only the parts that decide whether this project works: how it reads .env, which environment standalone mode gets, which
commands install and start it, and which services its compose file has for Airflow 3.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECT = Path(__file__).resolve().parents[2]
PARSE_TEST = ".astro/test_dag_integrity_default.py"
DEFAULT_PORT = 8080
# the services of its compose file that run Airflow and get the .env file; db-migration gets none
AIRFLOW_SERVICES = {"api-server", "dag-processor", "scheduler", "triggerer"}
# what it sets in standalone mode, whatever .env says: made-up keys, the same for everybody
_FERNET_KEY = "d6Vefz3G9U_ynXB3cr7y_Ak35tAHkEGAVxuz_B-jzWw="
_SIGNING_KEY = "flightdeck_made_up_for_the_test_of_standalone_mode_and_long_enough_for_a_signature"
_KEPT = ("HOME", "LANG", "LC_ALL", "LOGNAME", "TMPDIR", "TZ", "USER")


def read_env_file(text: str) -> dict[str, str]:
    """Read .env as standalone mode does: one pair of quotes around a value is taken off, nothing else is special."""
    variables = {}
    for line in map(str.strip, text.splitlines()):
        if line and not line.startswith("#") and "=" in line:
            name, _, value = line.partition("=")
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
            variables[name] = value[1:-1] if quoted else value
    return variables


def standalone_environment(project: Path, port: int = DEFAULT_PORT) -> dict[str, str]:
    """Return what `airflow standalone` and `pytest` get in standalone mode.

    The CLI adds to the shell's environment; here the shell's is what a test run can vouch for: a home, a language and a
    PATH. Its .env is read if there is one, and what the CLI itself sets wins over it.
    """
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    env_file = project / ".env"
    if env_file.exists():
        environment |= read_env_file(env_file.read_text(encoding="utf-8"))
    environment |= {
        "PATH": f"{project / '.venv' / 'bin'}:{os.environ.get('PATH', os.defpath)}",
        "PYTHONPATH": str(project),
        "AIRFLOW_HOME": str(project / ".astro" / "standalone"),
        "ASTRONOMER_ENVIRONMENT": "local",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(project / "dags"),
        "AIRFLOW__CORE__FERNET_KEY": _FERNET_KEY,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://localhost:{port}/execution/",
        "AIRFLOW__API__SECRET_KEY": _SIGNING_KEY,
        "AIRFLOW__API_AUTH__JWT_SECRET": _SIGNING_KEY,
        # it has no proxy to keep, so it switches proxies off
        "NO_PROXY": "*",
        "no_proxy": "*",
    }
    if port != DEFAULT_PORT:
        environment["AIRFLOW__API__PORT"] = str(port)
    return environment


def parse(project: Path, environment: Mapping[str, str], pytest: Path) -> subprocess.CompletedProcess[str]:
    """Run `astro dev parse`: the test file's fixed path, in the project's folder."""
    return subprocess.run(
        [str(pytest), PARSE_TEST],
        cwd=project,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def copy_project(target: Path) -> None:
    """Copy what a clone of this work tree would hold: tracked files, and new ones that are not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source = PROJECT / name
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
