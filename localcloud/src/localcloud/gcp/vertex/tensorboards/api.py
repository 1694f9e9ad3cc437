"""TensorboardService: TensorBoards, their experiments, runs and time series of scalars.

Purpose: `aiplatform.init(experiment=…)` gives an experiment a TensorBoard unless it is told otherwise, and a run's
metrics over time are kept there.

What it does not do: tensors and blobs, the pages that show them, uploads of whole log folders.

Source: https://cloud.google.com/vertex-ai/docs/reference/rpc/google.cloud.aiplatform.v1#tensorboardservice
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import empty_pb2, field_mask_pb2

from localcloud.gcp.vertex.errors import AlreadyExistsError, NotFoundError, refuse, unsupported
from localcloud.gcp.vertex.listing.pages import Listed, list_page
from localcloud.gcp.vertex.messages import pb, types
from localcloud.gcp.vertex.models.registry import etag_of
from localcloud.gcp.vertex.names import check_parent, new_id
from localcloud.gcp.vertex.operations import Operations
from localcloud.gcp.vertex.resources import Resources
from localcloud.gcp.vertex.server import Method
from localcloud.gcp.vertex.surroundings import Surroundings

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,127}")
_DATA = "timeSeriesData"
_SCALAR = types.TensorboardTimeSeries.ValueType.SCALAR


@dataclass(frozen=True)
class Level:
    """One of the levels that lie in each other.

    Args:
        word: Its message, as in TensorboardRun.
        plural: What its list is called, as in TensorboardRuns.
        collection: The part of a name, as in runs.
        field: The request's field, as in tensorboard_run.
        listed: The list's field, as in tensorboard_runs.
        needs_id: Whether the id is the user's to choose.
    """

    word: str
    plural: str
    collection: str
    field: str
    listed: str
    needs_id: bool = True


TENSORBOARD = Level("Tensorboard", "Tensorboards", "tensorboards", "tensorboard", "tensorboards", needs_id=False)
EXPERIMENT = Level(
    "TensorboardExperiment",
    "TensorboardExperiments",
    "experiments",
    "tensorboard_experiment",
    "tensorboard_experiments",
)
RUN = Level("TensorboardRun", "TensorboardRuns", "runs", "tensorboard_run", "tensorboard_runs")
TIME_SERIES = Level(
    "TensorboardTimeSeries",
    "TensorboardTimeSeries",
    "timeSeries",
    "tensorboard_time_series",
    "tensorboard_time_series",
    needs_id=False,
)


class _Items:
    """Create, get, list, update and delete the resources of one level."""

    def __init__(self, level: Level, resources: Resources, operations: Operations) -> None:
        self._level = level
        self._resources = resources
        self._operations = operations

    def methods(self) -> Mapping[str, Method]:
        """Return the methods of the API."""
        word = self._level.word
        return {
            f"TensorboardService/Create{word}": self._create,
            f"TensorboardService/Get{word}": lambda request: self.find(request.name),
            f"TensorboardService/List{self._level.plural}": self._list,
            f"TensorboardService/Update{word}": self._update,
            f"TensorboardService/Delete{word}": self._delete,
        }

    def find(self, name: str) -> Any:
        """Return a resource.

        Raises:
            NotFoundError: There is none.
        """
        found = self._resources.get(name)
        if found is None or found.DESCRIPTOR.name != self._level.word:
            raise NotFoundError(f"The {self._level.word} {name!r} does not exist.")
        return found

    def _create(self, request: Any) -> Any:
        item = getattr(request, self._level.field)
        if self._level is TENSORBOARD:
            check_parent(request.parent)
        elif self._resources.get(request.parent) is None:
            raise NotFoundError(f"The parent {request.parent!r} does not exist.")
        identity = getattr(request, f"{self._level.field}_id", "")
        if not _ID.fullmatch(identity or "x") or (self._level.needs_id and not identity):
            refuse((f"{self._level.field}_id", f"{identity!r} must match {_ID.pattern}."))
        item.name = f"{request.parent}/{self._level.collection}/{identity or new_id()}"
        item.create_time.GetCurrentTime()
        _touch(item)
        if self._resources.get(item.name) is not None:
            raise AlreadyExistsError(f"The {self._level.word} {item.name!r} already exists.")
        if self._level is not TENSORBOARD:
            self._resources.add(request.parent, self._level.collection, item)
            return item

        def work() -> Any:
            self._resources.add(request.parent, self._level.collection, item)
            return item

        return self._operations.start(item.name, pb.CreateTensorboardOperationMetadata(), work)

    def _list(self, request: Any) -> Any:
        page = list_page(Listed.of(request), self._resources.under(request.parent, self._level.collection))
        answer = getattr(pb, f"List{self._level.plural}Response")(next_page_token=page.next_token)
        getattr(answer, self._level.listed).extend(page.items)
        return answer

    def _update(self, request: Any) -> Any:
        given = getattr(request, self._level.field)
        self.find(given.name)
        paths = [path for path in request.update_mask.paths if path not in {"name", "create_time"}]
        with self._resources.change(given.name) as item:
            field_mask_pb2.FieldMask(paths=paths).MergeMessage(given, item)
            _touch(item)
        if self._level is not TENSORBOARD:
            return item
        return self._operations.start(item.name, pb.UpdateTensorboardOperationMetadata(), lambda: item)

    def _delete(self, request: Any) -> Any:
        self.find(request.name)

        def work() -> Any:
            self._resources.remove_below(request.name)
            self._resources.remove(request.name)
            return empty_pb2.Empty()

        return self._operations.start(request.name, pb.DeleteOperationMetadata(), work)


class Tensorboards:
    """The whole service."""

    def __init__(self, surroundings: Surroundings) -> None:
        """Serve the TensorBoards of `surroundings`."""
        self._resources = surroundings.resources
        self._items = {
            level: _Items(level, surroundings.resources, surroundings.operations)
            for level in (TENSORBOARD, EXPERIMENT, RUN, TIME_SERIES)
        }

    def methods(self) -> Mapping[str, Method]:
        """Return the methods of the API."""
        methods: dict[str, Method] = {
            "TensorboardService/WriteTensorboardRunData": self._write_run,
            "TensorboardService/WriteTensorboardExperimentData": self._write_experiment,
            "TensorboardService/ReadTensorboardTimeSeriesData": self._read,
            "TensorboardService/BatchReadTensorboardTimeSeriesData": self._read_batch,
        }
        for items in self._items.values():
            methods |= items.methods()
        return methods

    def _write_run(self, request: Any) -> Any:
        self._write(request)
        return pb.WriteTensorboardRunDataResponse()

    def _write_experiment(self, request: Any) -> Any:
        for part in request.write_run_data_requests:
            self._write(part)
        return pb.WriteTensorboardExperimentDataResponse()

    def _write(self, request: Any) -> None:
        self._items[RUN].find(request.tensorboard_run)
        for data in request.time_series_data:
            name = f"{request.tensorboard_run}/timeSeries/{data.tensorboard_time_series_id}"
            series = self._items[TIME_SERIES].find(name)
            if series.value_type != _SCALAR:
                unsupported(f"time series of anything but scalars ({name})")
            self._resources.add(name, _DATA, data, key=f"{name}#{new_id()}")

    def _read(self, request: Any) -> Any:
        return pb.ReadTensorboardTimeSeriesDataResponse(time_series_data=self._data(request.tensorboard_time_series))

    def _read_batch(self, request: Any) -> Any:
        found = [self._data(name) for name in request.time_series]
        return pb.BatchReadTensorboardTimeSeriesDataResponse(time_series_data=found)

    def _data(self, name: str) -> Any:
        series = self._items[TIME_SERIES].find(name)
        written = [point for data in self._resources.under(name, _DATA) for point in data.values]
        # of two values of a step the later one is kept, as TensorBoard shows it
        points = {point.step: point for point in written}
        return pb.TimeSeriesData(
            tensorboard_time_series_id=name.rsplit("/", 1)[1],
            value_type=series.value_type,
            values=[points[step] for step in sorted(points)],
        )


def _touch(item: Any) -> None:
    item.update_time.GetCurrentTime()
    item.etag = etag_of(item)
