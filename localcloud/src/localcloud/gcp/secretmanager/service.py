"""Secret Manager's methods on secrets: what each checks, changes and answers. `versions` has those on versions.

Codes and rules: https://cloud.google.com/secret-manager/docs/reference/rpc/google.cloud.secretmanager.v1 and, for
etags, https://cloud.google.com/secret-manager/docs/etags.
"""

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from google.cloud.secretmanager_v1 import types
from google.protobuf.empty_pb2 import Empty
from grpc import StatusCode

from localcloud.gcp.secretmanager.names import (
    SecretManagerError,
    SecretName,
    checked_identifier,
    project_of,
    secret_of,
)
from localcloud.gcp.secretmanager.store import KeptSecret, Store

MAXIMUM_PAGE = 25_000
_MUTABLE = frozenset(
    {"labels", "topics", "expire_time", "ttl", "rotation", "version_aliases", "annotations", "version_destroy_ttl"}
)
_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_LABELS = 64
_TERM = re.compile(r"(?P<field>name|labels\.[a-z0-9_-]+|state)\s*(?P<operator>[:=])\s*(?P<value>[^\s()]+)")
_Item = TypeVar("_Item")


def refuse(code: StatusCode, message: str) -> SecretManagerError:
    """Return a refusal."""
    return SecretManagerError(code, message)


class Secrets:
    """The methods on secrets."""

    def __init__(self, store: Store) -> None:
        """Serve what a store keeps."""
        self.store = store

    def found(self, name: SecretName) -> KeptSecret:
        """Return a secret that has not expired."""
        kept = self.store.secret(name)
        if kept is not None and _has_expired(kept.described):
            self.store.delete_secret(kept)
            kept = None
        if kept is None:
            raise refuse(StatusCode.NOT_FOUND, f"Secret [{name}] not found.")
        return kept

    def create(self, request: types.CreateSecretRequest) -> types.Secret:
        """Create a secret without versions."""
        name = SecretName(project_of(request.parent), checked_identifier(request.secret_id, "secret_id"))
        described = types.Secret(request.secret)
        if types.Secret.pb(described).replication.WhichOneof("replication") is None:
            message = "Secret.replication must be provided. Set it to automatic or user_managed."
            raise refuse(StatusCode.INVALID_ARGUMENT, message)
        _check(described)
        described.name, described.etag = str(name), new_etag()
        stamp(described, "create_time", datetime.now(UTC))
        _settle_expiry(described)
        with self.store.changing():
            if self.store.secret(name) is not None:
                raise refuse(StatusCode.ALREADY_EXISTS, f"Secret [{name}] already exists.")
            self.store.write_secret(name, described)
        return described

    def get(self, request: types.GetSecretRequest) -> types.Secret:
        """Return what describes a secret."""
        return self.found(secret_of(request.name)).described

    def update(self, request: types.UpdateSecretRequest) -> types.Secret:
        """Replace the fields that the mask names."""
        name = secret_of(request.secret.name, "secret.name")
        fields = [path.split(".")[0] for path in request.update_mask.paths]
        if not fields or not _MUTABLE.issuperset(fields):
            message = f"update_mask must name fields among {', '.join(sorted(_MUTABLE))}, got {fields}."
            raise refuse(StatusCode.INVALID_ARGUMENT, message)
        with self.store.changing():
            kept = self.found(name)
            check_etag(request.secret.etag, kept.described.etag)
            described = types.Secret(kept.described)
            raw, given = types.Secret.pb(described), types.Secret.pb(request.secret)
            for field in fields:
                if field in {"expire_time", "ttl"}:
                    raw.ClearField("expire_time")
                raw.ClearField(field)
                change = type(raw)()
                change.CopyFrom(given)
                for other, _ in given.ListFields():
                    if other.name != field:
                        change.ClearField(other.name)
                raw.MergeFrom(change)
            _check(described)
            _settle_expiry(described)
            described.etag = new_etag()
            self.store.write_secret(name, described)
        return described

    def delete(self, request: types.DeleteSecretRequest) -> Empty:
        """Remove a secret with all its versions."""
        with self.store.changing():
            kept = self.found(secret_of(request.name))
            check_etag(request.etag, kept.described.etag)
            self.store.delete_secret(kept)
        return Empty()

    def listed(self, request: types.ListSecretsRequest) -> types.ListSecretsResponse:
        """Return a project's secrets, the newest first."""
        wanted = filtering(request.filter)
        found = [
            kept.described
            for kept in self.store.secrets(project_of(request.parent))
            if wanted(kept.described.name.rsplit("/", 1)[1], kept.described.labels, "")
        ]
        page, following = paged(found, request.page_size, request.page_token)
        return types.ListSecretsResponse(secrets=page, next_page_token=following, total_size=len(found))


def _check(described: types.Secret) -> None:
    labels = described.labels
    wrong = [
        f"{key}={value}"
        for key, value in labels.items()
        if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value)
    ]
    if wrong or len(labels) > _LABELS:
        message = (
            f"Secret.labels must be at most {_LABELS}, with keys of {_LABEL_KEY.pattern} and values of "
            f"{_LABEL_VALUE.pattern}, got {wrong or len(labels)}."
        )
        raise refuse(StatusCode.INVALID_ARGUMENT, message)


def _settle_expiry(described: types.Secret) -> None:
    """Turn a time to live into the moment that it means; `ttl` is never answered."""
    raw = types.Secret.pb(described)
    if raw.HasField("ttl"):
        stamp(described, "expire_time", datetime.now(UTC) + raw.ttl.ToTimedelta())
        raw.ClearField("ttl")


def _has_expired(described: types.Secret) -> bool:
    raw = types.Secret.pb(described)
    expired: bool = raw.HasField("expire_time") and raw.expire_time.ToDatetime(UTC) <= datetime.now(UTC)
    return expired


def stamp(described: types.Secret | types.SecretVersion, field: str, moment: datetime) -> None:
    """Set a field of the type Timestamp."""
    getattr(type(described).pb(described), field).FromDatetime(moment)


def new_etag() -> str:
    """Return an etag that no other state of anything has."""
    return f'"{secrets.token_hex(7)}"'


def check_etag(given: str, kept: str) -> None:
    """Refuse a request that was made for another state."""
    if given and given != kept:
        message = f"The etag provided in the request: [{given}] does not match the resource's current etag: [{kept}]."
        raise refuse(StatusCode.FAILED_PRECONDITION, message)


def filtering(text: str) -> Callable[[str, Mapping[str, str], str], bool]:
    """Return whether a name, labels and a state pass a filter: terms joined by AND.

    Source: https://cloud.google.com/secret-manager/docs/filtering, of which it understands `name`, `labels.<key>` and
    `state` with `:` (contains) and `=` (is).
    """
    terms = []
    for part in re.split(r"\s+AND\s+", text.strip()) if text.strip() else []:
        found = _TERM.fullmatch(part.strip())
        if found is None:
            message = (
                f"filter: localcloud understands name, labels.<key> and state with `:` or `=`, joined by AND; "
                f"got {part.strip()!r}."
            )
            raise refuse(StatusCode.INVALID_ARGUMENT, message)
        terms.append((found["field"], found["operator"], found["value"].strip('"')))

    def wanted(name: str, labels: Mapping[str, str], state: str) -> bool:
        values = {"name": name, "state": state, **{f"labels.{key}": value for key, value in labels.items()}}
        return all(
            field in values
            and (value == values[field] if operator == "=" else value in {"*", ""} or value in values[field])
            for field, operator, value in terms
        )

    return wanted


def paged(items: Sequence[_Item], size: int, token: str) -> tuple[Sequence[_Item], str]:
    """Return a page of a list and the token of the next one; the token is empty on the last."""
    if size < 0 or not (token == "" or token.isdigit()):
        message = f"page_size must not be negative and page_token must be one that was answered, got {size}, {token!r}."
        raise refuse(StatusCode.INVALID_ARGUMENT, message)
    start = int(token or 0)
    end = start + min(size or MAXIMUM_PAGE, MAXIMUM_PAGE)
    return items[start:end], str(end) if end < len(items) else ""
