"""Secret Manager's methods on versions: adding, reading, disabling, enabling, destroying, listing.

A version is a number that is never used again. `latest` is the one that was added last, whatever its state is: when it
is disabled, reading `latest` is refused, as
https://cloud.google.com/secret-manager/docs/access-secret-version says.
"""

from datetime import UTC, datetime

import google_crc32c
from google.cloud.secretmanager_v1 import types
from grpc import StatusCode

from localcloud.gcp.secretmanager.names import LATEST, secret_of, version_of
from localcloud.gcp.secretmanager.service import Secrets, check_etag, filtering, new_etag, paged, refuse, stamp
from localcloud.gcp.secretmanager.store import KeptSecret, KeptVersion

State = types.SecretVersion.State
# bytes; https://cloud.google.com/secret-manager/quotas
LARGEST_PAYLOAD = 65_536
_Change = types.DisableSecretVersionRequest | types.EnableSecretVersionRequest | types.DestroySecretVersionRequest


class Versions:
    """The methods on versions."""

    def __init__(self, secrets: Secrets) -> None:
        """Serve the versions of what `secrets` serves."""
        self._secrets, self._store = secrets, secrets.store

    def add(self, request: types.AddSecretVersionRequest) -> types.SecretVersion:
        """Add an enabled version."""
        name, payload = secret_of(request.parent, "parent"), request.payload
        _check(payload)
        with self._store.changing():
            secret = self._secrets.found(name)
            number = max((version.number for version in self._kept(secret)), default=0) + 1
            described = types.SecretVersion(
                name=f"{name}/versions/{number}",
                state=State.ENABLED,
                replication_status=_replicated(secret),
                etag=new_etag(),
                client_specified_payload_checksum="data_crc32c" in payload,
            )
            stamp(described, "create_time", _now())
            self._store.write_version(secret, KeptVersion(number, described, payload.data))
        return described

    def get(self, request: types.GetSecretVersionRequest) -> types.SecretVersion:
        """Return what describes a version, never its payload."""
        return self._found(request.name)[1].described

    def access(self, request: types.AccessSecretVersionRequest) -> types.AccessSecretVersionResponse:
        """Return an enabled version's payload with its checksum."""
        version = self._found(request.name)[1]
        if version.payload is None or version.described.state != State.ENABLED:
            message = f"Secret Version [{version.described.name}] is in {version.described.state.name} state."
            raise refuse(StatusCode.FAILED_PRECONDITION, message)
        payload = types.SecretPayload(data=version.payload, data_crc32c=google_crc32c.value(version.payload))
        return types.AccessSecretVersionResponse(name=version.described.name, payload=payload)

    def disable(self, request: types.DisableSecretVersionRequest) -> types.SecretVersion:
        """Make a version unreadable until it is enabled again."""
        return self._change(request, State.DISABLED)

    def enable(self, request: types.EnableSecretVersionRequest) -> types.SecretVersion:
        """Make a version readable."""
        return self._change(request, State.ENABLED)

    def destroy(self, request: types.DestroySecretVersionRequest) -> types.SecretVersion:
        """Forget a version's payload for good, or schedule that where the secret says so."""
        return self._change(request, State.DESTROYED)

    def listed(self, request: types.ListSecretVersionsRequest) -> types.ListSecretVersionsResponse:
        """Return a secret's versions, the newest first."""
        wanted = filtering(request.filter)
        found = [
            version.described
            for version in self._kept(self._secrets.found(secret_of(request.parent, "parent")))
            if wanted(str(version.number), {}, version.described.state.name)
        ]
        page, following = paged(found, request.page_size, request.page_token)
        return types.ListSecretVersionsResponse(versions=page, next_page_token=following, total_size=len(found))

    def _kept(self, secret: KeptSecret) -> list[KeptVersion]:
        """Return a secret's versions, the newest first, and destroy those whose time has come."""
        versions = self._store.versions(secret)
        for at, version in enumerate(versions):
            raw = types.SecretVersion.pb(version.described)
            if raw.HasField("scheduled_destroy_time") and raw.scheduled_destroy_time.ToDatetime(UTC) <= _now():
                raw.destroy_time.CopyFrom(raw.scheduled_destroy_time)
                raw.ClearField("scheduled_destroy_time")
                raw.state = State.DESTROYED
                versions[at] = KeptVersion(version.number, version.described, None)
                self._store.write_version(secret, versions[at])
        return versions

    def _found(self, named: str) -> tuple[KeptSecret, KeptVersion]:
        name, wanted = version_of(named)
        secret = self._secrets.found(name)
        versions = self._kept(secret)
        aliases = secret.described.version_aliases
        number = versions[0].number if versions and wanted == LATEST else aliases.get(wanted, wanted)
        found = next((version for version in versions if str(version.number) == str(number)), None)
        if found is None:
            message = (
                f"Secret [{name}] not found or has no versions."
                if wanted == LATEST
                else f"Secret Version [{name}/versions/{wanted}] not found."
            )
            raise refuse(StatusCode.NOT_FOUND, message)
        return secret, found

    def _change(self, request: _Change, state: int) -> types.SecretVersion:
        with self._store.changing():
            secret, version = self._found(request.name)
            check_etag(request.etag, version.described.etag)
            if version.described.state == State.DESTROYED:
                message = f"Secret Version [{version.described.name}] is in DESTROYED state, which is final."
                raise refuse(StatusCode.FAILED_PRECONDITION, message)
            described, payload = types.SecretVersion(version.described), version.payload
            rules, raw = types.Secret.pb(secret.described), types.SecretVersion.pb(described)
            if state == State.DESTROYED and rules.HasField("version_destroy_ttl"):
                raw.state = State.DISABLED
                stamp(described, "scheduled_destroy_time", _now() + rules.version_destroy_ttl.ToTimedelta())
            else:
                raw.state = state
                raw.ClearField("scheduled_destroy_time")
            if raw.state == State.DESTROYED:
                stamp(described, "destroy_time", _now())
                payload = None
            described.etag = new_etag()
            self._store.write_version(secret, KeptVersion(version.number, described, payload))
        return described


def _now() -> datetime:
    return datetime.now(UTC)


def _check(payload: types.SecretPayload) -> None:
    if not payload.data:
        raise refuse(StatusCode.INVALID_ARGUMENT, "Secret Payload cannot be empty.")
    if len(payload.data) > LARGEST_PAYLOAD:
        message = f"The payload must be at most {LARGEST_PAYLOAD} bytes, got {len(payload.data)}."
        raise refuse(StatusCode.INVALID_ARGUMENT, message)
    computed = google_crc32c.value(payload.data)
    if "data_crc32c" in payload and payload.data_crc32c != computed:
        message = (
            f"The checksum of the payload does not match the data: data_crc32c is {payload.data_crc32c}, and the data "
            f"that arrived have {computed}. Send them again."
        )
        raise refuse(StatusCode.INVALID_ARGUMENT, message)


def _replicated(secret: KeptSecret) -> types.ReplicationStatus:
    managed = secret.described.replication.user_managed
    if not managed.replicas:
        return types.ReplicationStatus(automatic=types.ReplicationStatus.AutomaticStatus())
    replicas = [
        types.ReplicationStatus.UserManagedStatus.ReplicaStatus(location=replica.location)
        for replica in managed.replicas
    ]
    return types.ReplicationStatus(user_managed=types.ReplicationStatus.UserManagedStatus(replicas=replicas))
