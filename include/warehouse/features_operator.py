"""One month of a model's features: the Astro SDK's ``transform``, with the lake before and behind it.

How it works, in one task:

1. The raw files of the month and of the month before are fetched, their digests compared with the manifests', and each
   is loaded into a temporary table of the warehouse (the SDK's ``load_file``).
2. ``transform`` makes a temporary table of features.sql.
3. The table is checked (``include.warehouse.checks``). What follows happens only to a table that passed.
4. ``merge`` puts its rows into the model's table in the warehouse (``include.warehouse.features_table``).
5. The month's snapshot is written into the lake, its manifest last. Only then is the month no longer due; a crash
   anywhere before leads to the same month being built again, with the same outcome.

The lake is the truth and the warehouse is derived from it. The DuckDB file of the connection ``warehouse`` lies on the
worker's own disk and need not survive: everything between the raw files and the snapshot happens in this one task, and
no later task, run or worker reads what the file holds. A file that was lost is made again; its table then has the
months that were built since.

Kept from before, where the SDK would do worse:

- Reading from S3. ``load_file`` of an object's address does not compare its digest; here it loads the file that was
  compared, from the disk.
- Writing the snapshot. ``export_to_file`` writes through pandas, whose bytes change with its version, and an object at
  a time; a snapshot is several files that appear together, known by their digests.

What it does not do: say which months are due (``include.warehouse.features``). Known limitations: the warehouse is
DuckDB; a task that is killed leaves its temporary tables in the file.

Import ``include.warehouse.astro_sdk`` first. Costs a DAG file the SDK's import (benchmarks/README.md).
"""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from include.connections import WAREHOUSE_CONN_ID, open_lake
from include.core.errors import AstroSdkRefused, FeatureCheckFailed
from include.core.lake import features_prefix
from include.core.model_spec import MODELS_FOLDER, load_model_spec
from include.core.months import Month
from include.core.snapshots import write_snapshot
from include.core.source import load_source
from include.warehouse.duckdb_month import BUILT, SETTINGS, statement, write_features, write_labels
from include.warehouse.features import BuiltMonth, month_to_build

from astro.files import File
from astro.query_modifier import QueryModifier
from astro.sql.operators.transform import TransformOperator
from astro.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from include.core.lake import Lake
    from include.core.model_spec import ModelSpec
    from include.core.snapshots import Snapshot
    from include.warehouse.features import MonthToBuild


class FeaturesOperator(TransformOperator):  # type: ignore[misc] # the SDK carries no types
    """Builds a month's features and labels into ``features/<model>/month=…`` of the lake.

    Returns the month's record (BuiltMonth). Skipped when the month is up to date.

    Args:
        model: The model's name.
        month: The month, written ``2013-01``.
        models: The folder of the models.

    Raises:
        ArtifactError: the month has not landed, or a raw file is not the one that its manifest names.
        FeatureCheckFailed: features.sql is refused or breaks a check; lake and model's table are unchanged.
        AstroSdkRefused: the connection ``warehouse`` is not DuckDB's.
    """

    template_fields = ("month",)

    def __init__(self, *, model: str, month: str, models: str = str(MODELS_FOLDER), **kwargs: Any) -> None:
        self.model, self.month, self.models = model, month, models
        super().__init__(
            conn_id=WAREHOUSE_CONN_ID,
            python_callable=lambda: self.sql,
            query_modifier=QueryModifier(pre_queries=list(SETTINGS)),
            **kwargs,
        )

    def render_template_fields(self, context: Any, jinja_env: Any = None) -> None:
        """Render the month; the statement, which the SDK would want now, is made when the raw files are there."""
        BaseOperator.render_template_fields(self, context, jinja_env)

    def execute(self, context: Any) -> dict[str, Any]:
        """Build the month."""
        lake, models = open_lake(), Path(self.models)
        spec = load_model_spec(models / self.model)
        todo = month_to_build(lake, spec, Month.parse(self.month), models)
        if not todo.is_due:
            raise AirflowSkipException(f"{spec.name} has the features of {todo.month}")
        _require_duckdb(self.database_impl)
        with tempfile.TemporaryDirectory(prefix="flightdeck-features-") as folder:
            staged = self._staged(context, lake, spec, todo, Path(folder))
            try:
                snapshot = self._publish(lake, spec, todo, staged, Path(folder))
            finally:
                self.database_impl.drop_table(staged)
        built = BuiltMonth(
            month=str(todo.month),
            rows=snapshot.files["features"].rows,
            labelled=snapshot.files["labels"].rows,
            uri=lake.uri(f"{features_prefix(spec.name, todo.month)}/manifest.json"),
        )
        return built.model_dump(mode="json")

    def _staged(self, context: Any, lake: Lake, spec: ModelSpec, todo: MonthToBuild, folder: Path) -> Table:
        """Return the table that features.sql makes of the raw files."""
        import duckdb  # noqa: PLC0415 - heavy
        from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 - heavy

        with self._loaded(lake, spec, todo, folder) as tables:
            self.sql = _literally(
                f"SELECT '{todo.month}' AS _month, * FROM ({statement(todo.month, todo.sql, tables)})"
            )
            try:
                return super().execute(context)
            except (duckdb.Error, DBAPIError) as error:
                raise FeatureCheckFailed(
                    _where(spec, todo),
                    f"DuckDB refuses it: {getattr(error, 'orig', error)}",
                    rule="features.sql is one SELECT that the warehouse can run",
                    remedy="correct the SQL",
                ) from error

    @contextmanager
    def _loaded(
        self, lake: Lake, spec: ModelSpec, todo: MonthToBuild, folder: Path
    ) -> Iterator[Mapping[str, list[str]]]:
        """Load the raw files into temporary tables; give their names by the source's tables."""
        database, loaded = self.database_impl, []
        try:
            names: dict[str, list[str]] = {}
            for name in load_source(spec.source).tables:
                for month, snapshot in todo.raw.items():
                    path = _fetch(lake, snapshot, name, folder / str(month))
                    table = Table(conn_id=self.conn_id, temp=True)
                    loaded.append(table)
                    if snapshot.files[name].rows:
                        database.load_file_to_table(File(str(path)), table, enable_native_fallback=False)
                    else:
                        # load_file takes a file without rows for a mistake; a source's table may be empty in a month
                        database.run_sql(f"CREATE TABLE {table.name} AS SELECT * FROM read_parquet('{path}')")
                    names.setdefault(name, []).append(table.name)
            yield names
        finally:
            for table in loaded:
                database.drop_table(table)

    def _publish(self, lake: Lake, spec: ModelSpec, todo: MonthToBuild, staged: Table, folder: Path) -> Snapshot:
        """Check the table, merge it into the model's, write the snapshot."""
        from include.warehouse.checks import check_features  # noqa: PLC0415 - with the task only
        from include.warehouse.features_table import merge_month  # noqa: PLC0415 - with the task only

        features, labels = folder / "features.parquet", folder / "labels.parquet"
        main_rows = todo.raw[todo.month].files[load_source(spec.source).main_table].rows
        with self.database_impl.sqlalchemy_engine.connect() as connection:
            raw = connection.connection.dbapi_connection
            for setting in SETTINGS:
                raw.execute(setting)
            raw.execute(f"CREATE TEMP VIEW {BUILT} AS SELECT * FROM {staged.name}")
            check_features(raw, spec.objective, spec.features, main_rows, _where(spec, todo))
            files = {
                "features": (features, write_features(raw, spec.features, features)),
                "labels": (labels, write_labels(raw, spec.objective, labels)),
            }
        merge_month(self.database_impl, spec, todo.month, staged)
        return write_snapshot(lake, features_prefix(spec.name, todo.month), todo.month, files, todo.inputs)


def _require_duckdb(database: Any) -> None:
    if database.sql_type != "duckdb":
        raise AstroSdkRefused(
            f"the connection {WAREHOUSE_CONN_ID}",
            f"it leads to {database.sql_type}",
            rule="features are checked, and their files written, by DuckDB",
            remedy="give it conn_type duckdb, and as host a file on the worker's own disk, or none",
        )


def _fetch(lake: Lake, snapshot: Snapshot, table: str, folder: Path) -> Path:
    file = snapshot.files[table]
    return lake.download(file.key, folder / f"{table}.parquet", sha256=file.sha256)


def _literally(sql: str) -> str:
    """Return SQL in which neither Jinja nor SQLAlchemy finds anything to replace."""
    bound = re.sub(r"(?<![:\w\\]):(?=\w)", r"\\:", sql)
    return f"{{% raw %}}{bound}{{% endraw %}}"


def _where(spec: ModelSpec, todo: MonthToBuild) -> str:
    return f"include/models/{spec.name}/features.sql for {todo.month}"
