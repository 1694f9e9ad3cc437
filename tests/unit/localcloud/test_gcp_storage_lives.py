"""The storage over random lives: whatever is asked of it, in any order, it answers as a dictionary would."""

from __future__ import annotations

import json
import tempfile
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from localcloud.gcp.storage.api import Api
from localcloud.gcp.storage.messages import Request, Response
from localcloud.gcp.storage.store import Store

NAMES = st.sampled_from(["a", "a/b", "a/", "é", "../x", "b?#%"])
DATA = st.binary(max_size=20)
# what is expected of the generation: nothing, that there is none, the current one, or one that has gone
EXPECTED = st.sampled_from(["nothing", "absent", "current", "gone"])
BUCKET = "/storage/v1/b/bucket/o"
UPLOAD = "/upload/storage/v1/b/bucket/o"


class Lives(RuleBasedStateMachine):
    """A storage beside a dictionary of what each object's bytes and generation should be."""

    @initialize()
    def begin(self) -> None:
        """Begin with one empty bucket."""
        self.folder = tempfile.TemporaryDirectory()
        self.kept: dict[str, tuple[bytes, str]] = {}
        self.open()
        self.ask("POST", "/storage/v1/b", body=b'{"name": "bucket"}')

    def open(self) -> None:
        """Open a storage over what is kept."""
        self.store = Store(Path(self.folder.name))
        self.api = Api(self.store)

    def ask(self, method: str, path: str, query: dict[str, str] | None = None, body: bytes = b"") -> Response:
        """Ask the storage for something."""
        return self.api.answer(Request(method, path, query or {}, {}, (body,)))

    def condition(self, name: str, expected: str) -> tuple[dict[str, str], bool]:
        """Return a precondition on an object, and whether it holds."""
        generation = self.kept[name][1] if name in self.kept else None
        if expected == "nothing":
            return {}, True
        if expected == "absent":
            return {"ifGenerationMatch": "0"}, generation is None
        if expected == "current":
            return {"ifGenerationMatch": generation or "1"}, generation is not None
        return {"ifGenerationMatch": "1"}, False

    def changed(self, answer: Response, name: str, data: bytes, *, holds: bool) -> None:
        """Compare an answer to a change with what should have become of it."""
        if not holds:
            assert answer.status == HTTPStatus.PRECONDITION_FAILED
            return
        assert answer.status == HTTPStatus.OK
        resource = _content(answer)
        resource = resource.get("resource", resource)
        assert all(int(resource["generation"]) > int(generation) for _, generation in self.kept.values())
        self.kept[name] = (data, resource["generation"])

    @rule(name=NAMES, data=DATA, expected=EXPECTED)
    def write(self, name: str, data: bytes, expected: str) -> None:
        """Write an object in one request."""
        query, holds = self.condition(name, expected)
        answer = self.ask("POST", UPLOAD, {"uploadType": "media", "name": name, **query}, data)
        self.changed(answer, name, data, holds=holds)

    @rule(name=NAMES, data=DATA, expected=EXPECTED, meanwhile=st.booleans())
    def write_in_two_requests(self, name: str, data: bytes, expected: str, *, meanwhile: bool) -> None:
        """Write an object in two requests, with another write of it between them or not."""
        query, holds = self.condition(name, expected)
        begun = self.ask("POST", UPLOAD, {"uploadType": "resumable", "name": name, **query})
        if not holds:
            assert begun.status == HTTPStatus.PRECONDITION_FAILED
            return
        if meanwhile:
            self.write(name, b"meanwhile", "nothing")
            holds = expected == "nothing"
        identity = begun.headers["X-GUploader-UploadID"]
        self.changed(self.ask("PUT", UPLOAD, {"upload_id": identity}, data), name, data, holds=holds)

    @rule(source=NAMES, name=NAMES, expected=EXPECTED)
    def copy(self, source: str, name: str, expected: str) -> None:
        """Copy an object, onto itself too."""
        query, holds = self.condition(name, expected)
        answer = self.ask("POST", f"{BUCKET}/{_quoted(source)}/rewriteTo/b/bucket/o/{_quoted(name)}", query)
        if source not in self.kept:
            assert answer.status == HTTPStatus.NOT_FOUND
            return
        self.changed(answer, name, self.kept[source][0], holds=holds)

    @rule(sources=st.lists(NAMES, min_size=1, max_size=3), name=NAMES, expected=EXPECTED)
    def compose(self, sources: list[str], name: str, expected: str) -> None:
        """Join objects, the one that is replaced among them or not."""
        query, holds = self.condition(name, expected)
        body = json.dumps({"sourceObjects": [{"name": source} for source in sources]}).encode()
        answer = self.ask("POST", f"{BUCKET}/{_quoted(name)}/compose", query, body)
        if not set(sources) <= self.kept.keys():
            assert answer.status == HTTPStatus.NOT_FOUND
            return
        self.changed(answer, name, b"".join(self.kept[source][0] for source in sources), holds=holds)

    @rule(name=NAMES, expected=EXPECTED)
    def delete(self, name: str, expected: str) -> None:
        """Delete an object."""
        query, holds = self.condition(name, expected)
        answer = self.ask("DELETE", f"{BUCKET}/{_quoted(name)}", query)
        if name not in self.kept:
            assert answer.status == HTTPStatus.NOT_FOUND
        elif holds:
            assert answer.status == HTTPStatus.NO_CONTENT
            del self.kept[name]
        else:
            assert answer.status == HTTPStatus.PRECONDITION_FAILED

    @rule()
    def restart(self) -> None:
        """Start a new storage over what the old one has kept."""
        self.store.close()
        self.open()

    @invariant()
    def as_expected(self) -> None:
        """Each object has its bytes and its generation, and no file is left that no object names."""
        if not hasattr(self, "store"):
            return
        items = _content(self.ask("GET", BUCKET)).get("items", [])
        assert [item["name"] for item in items] == sorted(self.kept, key=str.encode)
        for item in items:
            answer = self.ask("GET", f"{BUCKET}/{_quoted(item['name'])}", {"alt": "media"})
            assert (b"".join(answer.body), item["generation"]) == self.kept[item["name"]]
        assert len(list(Path(self.folder.name, "bodies").iterdir())) <= len(items)

    def teardown(self) -> None:
        """Remove what was kept."""
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _content(answer: Response) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(b"".join(answer.body))
    return content


test_lives = Lives.TestCase
test_lives.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
