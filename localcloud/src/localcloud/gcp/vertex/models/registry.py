"""Models and their versions as they are kept.

A version is a Model message of its own, kept under `<model>@<version>`; the model itself is kept as a copy of its
default version, which is what lists show. Version ids count from 1 and are never used again. Exactly one version has
the alias `default`.

Known limitation: Vertex copies a model's artifact to storage of its own; here the artifact stays where it was.

Source: https://cloud.google.com/vertex-ai/docs/model-registry/versioning,
https://cloud.google.com/vertex-ai/docs/model-registry/model-alias
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from localcloud.gcp.vertex.errors import FailedPreconditionError, NotFoundError, refuse
from localcloud.gcp.vertex.names import id_of
from localcloud.gcp.vertex.resources import Resources

MODELS, VERSIONS = "models", "modelVersions"
DEFAULT = "default"
_ALIAS = re.compile(r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]")


class Registry:
    """The models of a cloud. Whoever reads and then writes holds `resources.unchanging()`."""

    def __init__(self, resources: Resources) -> None:
        """Look into `resources`."""
        self._resources = resources

    def versions(self, model: str) -> list[Any]:
        """Return a model's versions, oldest first."""
        return self._resources.under(model, VERSIONS)

    def find(self, name: str) -> Any:
        """Return the version that a name means: `<model>`, `<model>@<version>` or `<model>@<alias>`.

        Raises:
            NotFoundError: There is none.
        """
        model, _, wanted = name.partition("@")
        wanted = wanted or DEFAULT
        for version in self.versions(model):
            if wanted == version.version_id or wanted in version.version_aliases:
                return version
        raise NotFoundError(f"The Model {name!r} does not exist.")

    def add(self, parent: str, model: Any, *, version_id: str) -> None:
        """Keep a new version; the first one makes the model. Aliases that others have are moved."""
        aliases = {alias for alias in model.version_aliases if alias}
        if version_id == "1":
            aliases.add(DEFAULT)
            self._resources.add(parent, MODELS, model)
        model.version_id = version_id
        model.version_create_time.GetCurrentTime()
        model.version_update_time.CopyFrom(model.version_create_time)
        model.update_time.CopyFrom(model.version_create_time)
        del model.version_aliases[:]
        self._resources.add(model.name, VERSIONS, model, key=f"{model.name}@{version_id}")
        self.merge(model.name, version_id, aliases)

    def next_version(self, model: str) -> str:
        """Return the id of the next version; one that was deleted is not given again."""
        kept = [int(version.version_id) for version in self.versions(model)]
        with self._resources.change(f"{model}@last") as last:
            if last is not None:
                kept.append(int(last.version_id))
        return str(max(kept, default=0) + 1)

    def merge(self, model: str, version_id: str, aliases: Iterable[str]) -> Any:
        """Give a version aliases, and take away those with a leading `-`; return the version.

        An alias that another version has is taken from it: of a model one version at a time has an alias, and Vertex AI
        documents that applying it elsewhere removes it there.

        Raises:
            InvalidArgumentError: An alias is not well formed.
            FailedPreconditionError: `default` would be taken away.
        """
        asked = set(aliases)
        added = {alias for alias in asked if not alias.startswith("-")}
        removed = {alias[1:] for alias in asked if alias.startswith("-")}
        # one that is added and removed at once stays as it is
        added, removed = added - removed, removed - added
        for alias in sorted(added | removed):
            if not _ALIAS.fullmatch(alias):
                refuse(("version_aliases", f"{alias!r} must match {_ALIAS.pattern}, so that it is no version's id."))
        if DEFAULT in removed:
            message = "The alias 'default' cannot be removed; give it to another version instead."
            raise FailedPreconditionError(message)
        for version in self.versions(model):
            with self._resources.change(f"{model}@{version.version_id}") as kept:
                before = set(kept.version_aliases)
                own = version.version_id == version_id
                after = (before | added) - removed if own else before - added
                if after != before:
                    self._write_aliases(kept, after)
        self.show(model)
        return self.find(f"{model}@{version_id}")

    def change(self, version: Any) -> None:
        """Keep a changed version."""
        version.version_update_time.GetCurrentTime()
        version.update_time.CopyFrom(version.version_update_time)
        version.etag = etag_of(version)
        with self._resources.change(f"{version.name}@{version.version_id}") as kept:
            kept.CopyFrom(version)
        self.show(version.name)

    def show(self, model: str) -> None:
        """Make the model a copy of its default version again."""
        with self._resources.change(model) as shown:
            shown.CopyFrom(self.find(model))

    def remove_version(self, version: Any) -> None:
        """Delete a version; its id is not given again."""
        self._resources.remove(f"{version.name}@{version.version_id}")
        last = f"{version.name}@last"
        if self._resources.get(last) is None:
            self._resources.add(version.name, "lastModelVersions", version, key=last)
        with self._resources.change(last) as kept:
            if int(version.version_id) > int(kept.version_id):
                kept.CopyFrom(version)

    def remove(self, model: str) -> None:
        """Delete a model with all its versions and evaluations."""
        for version in self.versions(model):
            self._resources.remove_under(f"{model}@{version.version_id}")
        self._resources.remove_under(model)
        self._resources.remove(model)

    @staticmethod
    def _write_aliases(version: Any, aliases: Iterable[str]) -> None:
        del version.version_aliases[:]
        version.version_aliases.extend(sorted(aliases))
        version.version_update_time.GetCurrentTime()
        version.update_time.CopyFrom(version.version_update_time)
        version.etag = etag_of(version)


def etag_of(message: Any) -> str:
    """Return what changes whenever a resource does."""
    return hashlib.sha256(f"{id_of(message.name)} {message.update_time.ToNanoseconds()}".encode()).hexdigest()[:16]
