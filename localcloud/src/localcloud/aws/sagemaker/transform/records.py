"""Records of a transform: an object cut into them, filtered, batched into requests, joined with the answers.

How it works: without filters and joins bytes pass through untouched. With them a record is one line (CSV, JSON Lines,
or any file split by line) or a whole JSON document, and is read and written again.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.aws.sagemaker.transform.paths import WHOLE, PathError, RecordPath

CSV, JSON, JSON_LINES = "text/csv", "application/json", "application/jsonlines"
PROCESSED_TYPES = (CSV, JSON, JSON_LINES)
DEFAULT_PAYLOAD_MB = 6
INPUT_KEY, OUTPUT_KEY = "SageMakerInput", "SageMakerOutput"


class RecordError(ValueError):
    """An object cannot be split, filtered or joined; the message says why."""


@dataclass(frozen=True)
class Batch:
    """One request's body, and the records in it when they are joined with the answer."""

    payload: bytes
    records: tuple[Any, ...] = ()


def media_type(value: str) -> str:
    """Return a content type without its parameters."""
    return value.partition(";")[0].strip().lower()


class Records:
    """How one transform job cuts objects into requests and puts the answers together."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        """Read a CreateTransformJob request that has been checked."""
        source, output = request["TransformInput"], request["TransformOutput"]
        selection = request.get("DataProcessing") or {}
        self._by_line = source.get("SplitType", "None") == "Line"
        self._single = request.get("BatchStrategy") == "SingleRecord"
        megabytes = request.get("MaxPayloadInMB")
        self._limit = (DEFAULT_PAYLOAD_MB if megabytes is None else megabytes) << 20
        self._lines_out = output.get("AssembleWith", "None") == "Line"
        self._input_type = media_type(source.get("ContentType") or "")
        self._output_type = media_type(output.get("Accept") or "")
        self._input_filter = RecordPath(selection.get("InputFilter") or WHOLE)
        self._output_filter = RecordPath(selection.get("OutputFilter") or WHOLE)
        self._joins = selection.get("JoinSource", "None") == "Input"

    def batches(self, data: bytes) -> Iterator[Batch]:
        """Cut one object into requests.

        Raises:
            RecordError: a record is larger than a request may be, or is not what its content type says.
        """
        if not self._by_line:
            yield self._checked(self._whole(data), "the object")
            return
        collected: list[Batch] = []
        size = 0
        for line in data.splitlines(keepends=True):
            record = self._checked(self._line(line), "a record")
            full = self._limit and size + len(record.payload) > self._limit
            if collected and (self._single or full):
                yield _combined(collected)
                collected, size = [], 0
            collected.append(record)
            size += len(record.payload)
        if collected:
            yield _combined(collected)

    def assembled(self, answers: list[tuple[Batch, bytes]]) -> bytes:
        """Return the output object for an input object's requests and their answers, in order.

        Raises:
            RecordError: an answer cannot be joined or filtered.
        """
        if not self._joins and self._output_filter.selects_all:
            parts = [answer for _, answer in answers]
            return b"".join(_ended(part) for part in parts) if self._lines_out else b"".join(parts)
        lines: list[bytes] = []
        for batch, answer in answers:
            outputs = self._outputs(batch, answer)
            joined = self._joined(batch, outputs) if self._joins else outputs
            lines.extend(self._selected(self._output_filter, record, self._output_type) for record in joined)
        return b"".join(_ended(line) for line in lines) if self._lines_out else b"\n".join(lines)

    def _line(self, line: bytes) -> Batch:
        if not self._joins and self._input_filter.selects_all:
            return Batch(line)
        record = _read(line, self._input_type)
        payload = line
        if not self._input_filter.selects_all:
            payload = _ended(self._selected(self._input_filter, record, self._input_type))
        return Batch(payload, (record,))

    def _whole(self, data: bytes) -> Batch:
        if not self._joins and self._input_filter.selects_all:
            return Batch(data)
        if self._input_type == JSON:
            record = _read(data, JSON)
            payload = data
            if not self._input_filter.selects_all:
                payload = self._selected(self._input_filter, record, JSON)
            return Batch(payload, (record,))
        return _combined([self._line(line) for line in data.splitlines(keepends=True)])

    def _checked(self, batch: Batch, what: str) -> Batch:
        if self._limit and len(batch.payload) > self._limit:
            message = (
                f"{what} has {len(batch.payload)} bytes, more than MaxPayloadInMB allows ({self._limit >> 20} MB). "
                "Split the input by Line or raise MaxPayloadInMB."
            )
            raise RecordError(message)
        return batch

    def _outputs(self, batch: Batch, answer: bytes) -> list[Any]:
        """Return the records of one answer."""
        one_document = self._output_type == JSON and (not self._by_line or len(batch.records) == 1)
        if one_document:
            return [_read(answer, JSON)]
        return [_read(line, self._output_type) for line in answer.splitlines() if line.strip()]

    def _joined(self, batch: Batch, outputs: list[Any]) -> list[Any]:
        if len(outputs) != len(batch.records):
            message = (
                f"the model's answer has {len(outputs)} records for {len(batch.records)} records of input, "
                "so they cannot be joined"
            )
            raise RecordError(message)
        pairs = zip(batch.records, outputs, strict=True)
        if self._input_type == CSV:
            return [[*record, *output] for record, output in pairs]
        return [_join(record, output) for record, output in pairs]

    @staticmethod
    def _selected(path: RecordPath, record: Any, kind: str) -> bytes:
        try:
            chosen = path.select(record)
        except PathError as error:
            raise RecordError(str(error)) from error
        return _written(chosen, kind)


def _join(record: Any, output: Any) -> dict[str, Any]:
    """Join two JSON values as AWS does: an attribute more, or a new object where there were no attributes."""
    if isinstance(record, dict):
        return {**record, OUTPUT_KEY: output}
    return {INPUT_KEY: record, OUTPUT_KEY: output}


def _read(data: bytes, kind: str) -> Any:
    try:
        if kind == CSV:
            return next(csv.reader(io.StringIO(data.decode())), [])
        return json.loads(data)
    except (ValueError, csv.Error) as error:
        message = f"a record is not {kind}: {error}"
        raise RecordError(message) from error


def _written(value: Any, kind: str) -> bytes:
    if kind != CSV:
        return json.dumps(value).encode()
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(value if isinstance(value, list) else [value])
    return text.getvalue().encode()


def _combined(batches: list[Batch]) -> Batch:
    return Batch(
        b"".join(batch.payload for batch in batches), tuple(record for batch in batches for record in batch.records)
    )


def _ended(line: bytes) -> bytes:
    return line if line.endswith(b"\n") else line + b"\n"
