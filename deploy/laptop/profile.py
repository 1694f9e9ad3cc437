"""Airflow's settings on the laptop, all of them, in one place.

Only what differs between a laptop and a managed Airflow is set here: where things lie, how fast loops turn, who may log
in, and the secrets backend with the arguments that Amazon MWAA documents. Endpoint and credentials come as the
environment of an AWS client, and from nowhere else. No variable holds a secret: Airflow's own keys lie in
``airflow.cfg`` in its home, readable by its owner only.

What it does not do: start anything (``airflow_services``).
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECT = Path(__file__).resolve().parents[2]
_LOCAL_SETTINGS = Path(__file__).with_name("airflow_local_settings.py")
USER = "admin"
HOST = "127.0.0.1"

# What Airflow and its tasks need of the environment that the launcher was started in. Everything else stays out, so
# that no account, proxy, connection or Python setting of the user's shell reaches a task.
INHERITED = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "TMPDIR", "TZ", "USER")

SECRETS_BACKEND = "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend"
SECRETS_BACKEND_ARGUMENTS = {
    "connections_prefix": "airflow/connections",
    # aws_default is every AWS hook's default; asking for it would cost a request each time and find nothing.
    # Without `$`, which Docker's env files would take for a variable.
    "connections_lookup_pattern": "^(?!aws_default(?!.)).+",
    "variables_prefix": "airflow/variables",
}

_SPEED = {
    # a step in sequence is mostly the wait for the scheduler's next loop
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    "AIRFLOW__CORE__PARALLELISM": "4",
    # a task's supervisor that misses the moment of its end (the sockets close before the process is gone) sleeps until
    # the next heartbeat is due: 5 s by default, seen at every tenth task
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    # a file that changed, or appeared, is parsed within seconds; one that did not change is left alone
    "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
    "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "1",
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "2",
    # the name of this machine without asking a name server
    "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
    # how often a deferred wait looks, in seconds; DAG files read it, managed environments leave it unset
    "FLIGHTDECK_POLL_SECONDS": "2",
    # threads of numeric libraries fight for the cores that the components share
    "OMP_NUM_THREADS": "1",
}

_SILENCE = {
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "SCARF_ANALYTICS": "false",
    "DO_NOT_TRACK": "1",
}


@dataclass(frozen=True)
class Profile:
    """Where one Airflow lives and what it reads.

    Args:
        home: Its home: database, logs, keys. One Airflow has one home.
        port: Where its API server listens, on 127.0.0.1.
        cloud: The environment that an AWS client needs.
        dags_folders: Folders of DAG files by bundle name; the project's own when none is named.
        extra: Further variables for every component, for tests.
        project: The folder that holds dags/, include/ and plugins/, and in which every component runs.
        python: The interpreter of the environment that Airflow is installed in.
        postgres: SQLAlchemy's address of a Postgres database to use instead of a file in the home.
    """

    home: Path
    port: int
    cloud: Mapping[str, str]
    dags_folders: Mapping[str, Path] = field(default_factory=dict)
    extra: Mapping[str, str] = field(default_factory=dict)
    project: Path = PROJECT
    python: Path = Path(sys.executable)
    postgres: str | None = None

    @property
    def url(self) -> str:
        """Where the API server and the pages answer."""
        return f"http://{HOST}:{self.port}"

    @property
    def database(self) -> str:
        """SQLAlchemy's address of Airflow's metadata database."""
        return self.postgres or f"sqlite:///{self.home / 'airflow.db'}"

    @property
    def passwords(self) -> Path:
        """The file that holds the user's password."""
        return self.home / "passwords.json"

    def environment(self, component: str) -> dict[str, str]:
        """Return all of the environment of one component (``scheduler``, ``triggerer`` …)."""
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        environment |= {
            "PATH": os.pathsep.join([str(self.python.parent), os.environ.get("PATH", os.defpath)]),
            "PYTHONPATH": str(self.project),
            "PYTHONUNBUFFERED": "1",
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(next(iter(self._folders().values()))),
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([*self._bundles()]),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.database,
            "AIRFLOW__API__HOST": HOST,
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            # to its one user, on loopback, the server says which error of the database it met
            "AIRFLOW__API__EXPOSE_STACKTRACE": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.passwords),
            "AIRFLOW__SECRETS__BACKEND": SECRETS_BACKEND,
            "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps(SECRETS_BACKEND_ARGUMENTS),
            # the cloud's request log tells by this which component asked; tasks are the scheduler's children
            "AWS_SDK_UA_APP_ID": f"airflow-{component}",
        }
        plugins = self.project / "plugins"
        if plugins.is_dir():
            environment["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(plugins)
        return environment | _SPEED | _SILENCE | dict(self.cloud) | dict(self.extra)

    def _folders(self) -> Mapping[str, Path]:
        return self.dags_folders or {"dags-folder": self.project / "dags"}

    def _bundles(self) -> list[dict[str, object]]:
        return [
            {
                "name": name,
                "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
                "kwargs": {
                    "path": str(folder),
                    "refresh_interval": int(_SPEED["AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL"]),
                },
            }
            for name, folder in self._folders().items()
        ]


def prepare_home(profile: Profile) -> None:
    """Make Airflow's home with its local settings, and with keys and a password of its own, which are kept if there."""
    profile.home.mkdir(parents=True, exist_ok=True)
    profile.home.chmod(0o700)
    _create_private(
        profile.home / "airflow.cfg",
        f"""\
[core]
fernet_key = {base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}
[api]
secret_key = {secrets.token_urlsafe(32)}
[api_auth]
jwt_secret = {secrets.token_urlsafe(64)}
""",
    )
    _create_private(profile.passwords, json.dumps({USER: secrets.token_urlsafe(16)}) + "\n")
    if profile.postgres is None:
        (profile.home / "config").mkdir(exist_ok=True)
        shutil.copy(_LOCAL_SETTINGS, profile.home / "config")


def password(profile: Profile) -> str:
    """Return the password of the one user."""
    found: dict[str, str] = json.loads(profile.passwords.read_text(encoding="utf-8"))
    return found[USER]


def _create_private(path: Path, content: str) -> None:
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(content)
