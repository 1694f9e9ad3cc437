"""The instances of a batch prediction, read from files, and what `instance_config` makes of them.

JSON Lines: each line is an instance. CSV: the first line names the columns, each other line is an instance; quoted
values are texts, others numbers. `instance_type` makes them arrays (the default of CSV) or objects.

Source: https://cloud.google.com/vertex-ai/docs/predictions/get-batch-predictions#input_data_requirements
"""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


class InstanceError(Exception):
    """A file cannot be read. The message names the line."""


@dataclass(frozen=True)
class Instance:
    """One instance: as it was read, as the model gets it, and its key where `key_field` names one."""

    given: Any
    sent: Any
    key: Any = None


def read_instances(text: str, instances_format: str, config: Any) -> Iterator[Instance]:
    """Return the instances of a file; `config` is the API's InstanceConfig.

    Raises:
        InstanceError: The file is not of the format.
    """
    rows = _json_lines(text) if instances_format == "jsonl" else _csv(text, config.instance_type)
    for row in rows:
        yield _configured(row, config)


def _json_lines(text: str) -> Iterator[Any]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise InstanceError(f"line {number} is no JSON: {error}") from error


def _csv(text: str, instance_type: str) -> Iterator[Any]:
    # a quoted value stays a text, which the csv module's QUOTE_NONNUMERIC knows; it reads the header's names likewise
    header = next(csv.reader(io.StringIO(text)), None)
    if header is None:
        return
    rest = text.split("\n", 1)[1] if "\n" in text else ""
    try:
        for row in csv.reader(io.StringIO(rest), quoting=csv.QUOTE_NONNUMERIC):
            if len(row) != len(header):
                raise InstanceError(f"a row has {len(row)} values where the header has {len(header)}: {row}")
            values = [_whole(value) for value in row]
            yield dict(zip(header, values, strict=True)) if instance_type == "object" else values
    except ValueError as error:
        raise InstanceError(f"an unquoted value is no number: {error}") from error


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _configured(row: Any, config: Any) -> Instance:
    if not isinstance(row, dict):
        return Instance(row, row)
    key = row.get(config.key_field) if config.key_field else None
    kept = {name: value for name, value in row.items() if name != config.key_field}
    if config.included_fields:
        kept = {name: value for name, value in kept.items() if name in set(config.included_fields)}
    kept = {name: value for name, value in kept.items() if name not in set(config.excluded_fields)}
    return Instance(row, list(kept.values()) if config.instance_type == "array" else kept, key)
