"""A tabular dataset's rows, divided for training, validation and test, as CSV in Cloud Storage.

Fractions divide at random by the row's own digest, so that a row always goes to the same part; `predefined_split` reads
a column that says `training`, `validation` or `test`. Without a split all rows are for training, 80 % of them as
Vertex divides by default (80, 10, 10).

Source: https://cloud.google.com/vertex-ai/docs/training/using-managed-datasets
"""

import csv
import hashlib
import io
from collections.abc import Callable
from typing import Any

from localcloud.gcp.objects import ObjectStore
from localcloud.gcp.vertex.datasets.api import sources_of
from localcloud.gcp.vertex.jobs.failures import JobFailedError

_PARTS = ("training", "validation", "test")
_DEFAULT_FRACTIONS = (0.8, 0.1, 0.1)
_UNITS = float(1 << 64)


def write_splits(objects: ObjectStore, dataset: Any, config: Any) -> dict[str, str]:
    """Write the parts below the configuration's destination; return the variables that tell a program where.

    Raises:
        JobFailedError: There is no destination, or the files do not fit together.
        ObjectError: Cloud Storage does not have a file.
    """
    base = config.gcs_destination.output_uri_prefix.rstrip("/")
    if not base:
        raise JobFailedError("input_data_config.gcs_destination is needed where a dataset is given.")
    header, rows = _read(objects, dataset)
    part_of = _divide(config, header)
    parts: dict[str, list[list[str]]] = {part: [] for part in _PARTS}
    for row in rows:
        part = part_of(row)
        if part:
            parts[part].append(row)
    top = f"{base}/dataset-{config.dataset_id}-tables"
    variables = {"AIP_DATA_FORMAT": "csv"}
    for part, found in parts.items():
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([header, *found])
        objects.write(f"{top}/{part}-00000-of-00001.csv", text.getvalue().encode())
        variables[f"AIP_{part.upper()}_DATA_URI"] = f"{top}/{part}-*.csv"
    return variables


def _read(objects: ObjectStore, dataset: Any) -> tuple[list[str], list[list[str]]]:
    header: list[str] = []
    rows: list[list[str]] = []
    for uri in sources_of(dataset):
        lines = list(csv.reader(io.StringIO(objects.read(uri).decode())))
        if not lines or (header and lines[0] != header):
            raise JobFailedError(f"{uri}: the first line must be {header or 'a header'}, got {lines[:1]}.")
        header = lines[0]
        rows += lines[1:]
    return header, rows


def _divide(config: Any, header: list[str]) -> Callable[[list[str]], str]:
    if config.HasField("predefined_split"):
        if config.predefined_split.key not in header:
            message = f"predefined_split.key {config.predefined_split.key!r} is none of the columns {header}."
            raise JobFailedError(message)
        column = header.index(config.predefined_split.key)
        # a row that says anything else is left out
        return lambda row: row[column].lower() if row[column].lower() in _PARTS else ""
    if config.WhichOneof("split") not in {None, "fraction_split"}:
        raise JobFailedError(
            f"localcloud divides by fraction_split and predefined_split, not {config.WhichOneof('split')}."
        )
    given = config.fraction_split
    fractions = (given.training_fraction, given.validation_fraction, given.test_fraction)
    training, validation, test = fractions if any(fractions) else _DEFAULT_FRACTIONS

    def part_of(row: list[str]) -> str:
        place = int.from_bytes(hashlib.sha256("\x1f".join(row).encode()).digest()[:8], "big") / _UNITS
        if place < training:
            return "training"
        if place < training + validation:
            return "validation"
        return "test" if place < training + validation + test else ""

    return part_of
