"""``check_table`` and ``check_column``: the database is asked when the task runs, over the connection the SDK uses.

Upstream opens the database while the DAG file is read, opens DuckDB's file a second time with other settings (which
DuckDB refuses), and drops every argument for the operator (``pool``, ``retries``) in silence. Here ``check_column``
also takes the output of another task as its dataset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.decorator import get_unique_task_id

from include.warehouse.astro_sdk.on_import import put

if TYPE_CHECKING:
    from types import ModuleType


def change_check_column(module: ModuleType) -> None:
    """Change ``astro.sql.operators.data_validations.check_column``."""
    upstream, parent, table_class = module.ColumnCheckOperator, module.SQLColumnCheckOperator, module.BaseTable

    class ColumnCheckOperator(upstream):  # type: ignore[misc, valid-type] # the SDK carries no types
        """As upstream's, which see."""

        template_fields = ("partition_clause", "dataset")

        def __init__(
            self, dataset: Any, column_mapping: dict[str, dict[str, Any]], task_id: str | None = None, **kwargs: Any
        ) -> None:
            self.dataset, self.kwargs, self.df = dataset, kwargs, None
            task_id = task_id or get_unique_task_id("check_column")
            parent.__init__(self, table="", column_mapping=column_mapping, task_id=task_id, **kwargs)

        def execute(self, context: Any) -> None:
            """Check a table in its database, or a dataframe."""
            if isinstance(self.dataset, table_class):
                _address(self)
                queries = (self._generate_sql_query(column, checks) for column, checks in self.column_mapping.items())
                query = "UNION ALL".join(queries)
                self.sql = f"SELECT col_name, check_type, check_result FROM ({query}) AS check_columns"
                parent.execute(self, context)
            else:
                upstream.execute(self, context)

        def get_db_hook(self) -> Any:
            """Return the hook of the table's database."""
            return _hook(self)

    def check_column(dataset: Any, column_mapping: dict[str, dict[str, Any]], **kwargs: Any) -> Any:
        return ColumnCheckOperator(dataset=dataset, column_mapping=column_mapping, **kwargs)

    put(module, ColumnCheckOperator, upstream)
    put(module, check_column, module.check_column)


def change_check_table(module: ModuleType) -> None:
    """Change ``astro.sql.operators.data_validations.check_table``."""
    upstream, parent = module.SQLCheckOperator, module.SQLTableCheckOperator

    class SQLCheckOperator(upstream):  # type: ignore[misc, valid-type] # the SDK carries no types
        """As upstream's, which see."""

        def __init__(
            self, *, dataset: Any, checks: dict[str, dict[str, Any]], task_id: str | None = None, **kwargs: Any
        ) -> None:
            self.dataset = dataset
            task_id = task_id or get_unique_task_id("check_table")
            parent.__init__(self, table="to_be_told", checks=checks, task_id=task_id, **kwargs)

        def execute(self, context: Any) -> None:
            """Check a table in its database."""
            _address(self)
            self.sql = f"SELECT check_name, check_result FROM ({self._generate_sql_query()}) AS check_table"
            parent.execute(self, context)

        def get_db_hook(self) -> Any:
            """Return the hook of the table's database."""
            return _hook(self)

    def check_table(dataset: Any, checks: dict[str, dict[str, Any]], **kwargs: Any) -> Any:
        return SQLCheckOperator(dataset=dataset, checks=checks, **kwargs).output

    put(module, SQLCheckOperator, upstream)
    put(module, check_table, module.check_table)


def _address(check: Any) -> None:
    """Tell a check the connection and the qualified name of its table."""
    from astro.databases import create_database  # noqa: PLC0415 - astro is imported when it is used

    database = create_database(check.dataset.conn_id, table=check.dataset)
    check.conn_id = check.dataset.conn_id
    check.table = database.get_table_qualified_name(database.populate_table_metadata(check.dataset))


def _hook(check: Any) -> Any:
    from astro.databases import create_database  # noqa: PLC0415 - astro is imported when it is used

    return create_database(check.conn_id, table=check.dataset).hook
