"""The seed file: what exists in the cloud before the first client comes. Read strictly, applied through the API.

    buckets: [name, …]
    secrets: {name: "text" or a mapping, stored as JSON}
    roles: [name, …]           # IAM roles that sagemaker.amazonaws.com may assume
    google:                    # the same in Google's cloud; passed over where only the AWS half runs
      buckets: [name, …]
      secrets: {name: "text" or a mapping, stored as JSON}

An unknown key is refused: a misspelt one would otherwise be missed much later, somewhere else.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from localcloud.errors import SeedError

if TYPE_CHECKING:
    from localcloud.gcp.cloud import GoogleCloud

KEYS = ("buckets", "secrets", "roles", "google")
GOOGLE_KEYS = ("buckets", "secrets")
_EXISTS = frozenset({"BucketAlreadyOwnedByYou", "ResourceExistsException", "EntityAlreadyExists"})
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@dataclass(frozen=True)
class Seed:
    """A seed file's content. Values of secrets are the strings to store."""

    buckets: tuple[str, ...] = ()
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    roles: tuple[str, ...] = ()
    google_buckets: tuple[str, ...] = ()
    google_secrets: dict[str, str] = field(default_factory=dict, repr=False)


def read_seed(path: Path) -> Seed:
    """Read a seed file; a SeedError names file, key, rule, value and remedy."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"seed file {path}: cannot be read ({error.strerror}). Give the path of an existing file to --seed."
        raise SeedError(message) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        message = f"seed file {path}: is not YAML: {' '.join(str(error).split())}. Correct the file's syntax."
        raise SeedError(message) from error
    content = _mapping(path, "", content, KEYS)
    google = _mapping(path, "google", content.get("google"), GOOGLE_KEYS)
    return Seed(
        buckets=_names(path, "buckets", content.get("buckets")),
        secrets=_secrets(path, "secrets", content.get("secrets")),
        roles=_names(path, "roles", content.get("roles")),
        google_buckets=_names(path, "google.buckets", google.get("buckets")),
        google_secrets=_secrets(path, "google.secrets", google.get("secrets")),
    )


def apply_seed(seed: Seed, path: Path, client: Callable[[str], Any]) -> None:
    """Create what does not exist yet through the clients that `client(service)` returns.

    What an earlier server left is kept as it is: a secret that was changed, or deleted and not yet gone, stays so.
    """
    for name in seed.buckets:
        _create(path, "buckets", name, client("s3").create_bucket, Bucket=name)
    for name, value in seed.secrets.items():
        _create(path, "secrets", name, client("secretsmanager").create_secret, Name=name, SecretString=value)
    for name in seed.roles:
        trust = json.dumps(_TRUST)
        _create(path, "roles", name, client("iam").create_role, RoleName=name, AssumeRolePolicyDocument=trust)


def apply_google_seed(seed: Seed, path: Path, google: "GoogleCloud") -> None:
    """Create what does not exist yet in Google's cloud; what an earlier server left is kept as it is."""
    made = [
        *(("google.buckets", name, google.create_bucket(name)) for name in seed.google_buckets),
        *(("google.secrets", name, google.create_secret(name, value)) for name, value in seed.google_secrets.items()),
    ]
    for key, name, refusal in made:
        if refusal is not None:
            raise _wrong(path, key, f"was refused by the cloud ({refusal})", name, "choose a valid, unique name")


def _mapping(path: Path, place: str, value: object, keys: tuple[str, ...]) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        remedy = f"write the keys {', '.join(keys)}"
        raise _wrong(path, place or "(top level)", "must be a mapping", value, remedy)
    for key in value:
        if key not in keys:
            shown = f"{place}.{key}" if place else key
            raise _wrong(path, shown, f"is not one of {', '.join(keys)}", value[key], "remove or rename it")
    return value


def _names(path: Path, key: str, value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _wrong(path, key, "must be a list of names", value, "write one name per line, each after `- `")
    for name in value:
        if not isinstance(name, str) or not name:
            raise _wrong(path, key, "must hold names (strings)", name, "put the name in quotes")
    return tuple(value)


def _secrets(path: Path, key: str, value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        shown = type(value).__name__
        raise _wrong(path, key, "must be a mapping of names to values", shown, "write `name: value`")
    found = {}
    for name, content in value.items():
        if not isinstance(name, str) or not isinstance(content, str | dict):
            # the type only: a secret's value does not belong into a message
            shown = type(content).__name__
            raise _wrong(path, f"{key}.{name}", "must be a string or a mapping", shown, "put the value in quotes")
        found[name] = content if isinstance(content, str) else json.dumps(content)
    return found


def _create(path: Path, key: str, name: str, create: Callable[..., object], **parameters: str) -> None:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - slow, and not needed to read a file

    try:
        create(**parameters)
    except (ClientError, BotoCoreError) as error:
        if isinstance(error, ClientError) and _exists(error.response["Error"]):
            return
        raise _wrong(path, key, f"was refused by the cloud ({error})", name, "choose a valid, unique name") from error


def _exists(error: Any) -> bool:
    return error["Code"] in _EXISTS or "scheduled for deletion" in error["Message"]


def _wrong(path: Path, key: str, rule: str, value: object, remedy: str) -> SeedError:
    return SeedError(f"seed file {path}: {key} {rule}, got {value!r}. Remedy: {remedy}.")
