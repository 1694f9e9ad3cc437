"""``check_table`` and ``check_column``: the database is asked when the task runs, over the connection the SDK uses.

Upstream opens the database while the DAG file is read, opens DuckDB's file a second time with other settings (which
DuckDB refuses), and drops every argument for the operator (``pool``, ``retries``) in silence. Here ``check_column``
also takes the output of another task as its dataset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.decorator import get_unique_task_id

if TYPE_CHECKING:
    from types import ModuleType


def change_check_column(module: ModuleType) -> None:
    """Change ``astro.sql.operators.data_validations.check_column``."""
    operator, parent, table_class = module.ColumnCheckOperator, module.SQLColumnCheckOperator, module.BaseTable

    def __init__(
        self: Any,
        dataset: Any,
        column_mapping: dict[str, dict[str, Any]],
        partition_clause: str | None = None,
        task_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.dataset, self.kwargs, self.df = dataset, kwargs, None
        parent.__init__(
            self,
            table="",
            column_mapping=column_mapping,
            partition_clause=partition_clause,
            task_id=task_id or get_unique_task_id("check_column"),
            **kwargs,
        )

    def execute(self: Any, context: Any) -> None:
        if isinstance(self.dataset, table_class):
            _address(self)
            queries = (self._generate_sql_query(column, checks) for column, checks in self.column_mapping.items())
            query = "UNION ALL".join(queries)
            self.sql = f"SELECT col_name, check_type, check_result FROM ({query}) AS check_columns"
            parent.execute(self, context)
        elif isinstance(self.dataset, module.pandas.DataFrame):
            self.df = self.dataset
            self.process_checks()
        else:
            message = f"dataset can only be of type pandas.dataframe | Table object, not {type(self.dataset)}"
            raise ValueError(message)  # noqa: TRY004 - as upstream

    def check_column(
        dataset: Any,
        column_mapping: dict[str, dict[str, Any]],
        partition_clause: str | None = None,
        task_id: str | None = None,
        **kwargs: Any,
    ) -> Any:
        return operator(
            dataset=dataset,
            column_mapping=column_mapping,
            partition_clause=partition_clause,
            task_id=task_id,
            **kwargs,
        )

    operator.__init__, operator.execute, operator.get_db_hook = __init__, execute, _hook
    operator.template_fields = ("partition_clause", "dataset")
    check_column.__doc__ = module.check_column.__doc__
    module.check_column = check_column  # type: ignore[attr-defined] # a module's name


def change_check_table(module: ModuleType) -> None:
    """Change ``astro.sql.operators.data_validations.check_table``."""
    operator, parent = module.SQLCheckOperator, module.SQLTableCheckOperator

    def __init__(
        self: Any,
        *,
        dataset: Any,
        checks: dict[str, dict[str, Any]],
        partition_clause: str | None = None,
        task_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.dataset = dataset
        parent.__init__(
            self,
            table="place_holder_table_name",
            checks=checks,
            partition_clause=partition_clause,
            task_id=task_id or get_unique_task_id("check_table"),
            **kwargs,
        )

    def execute(self: Any, context: Any) -> None:
        _address(self)
        self.sql = f"SELECT check_name, check_result FROM ({self._generate_sql_query()}) AS check_table"
        parent.execute(self, context)

    def check_table(
        dataset: Any,
        checks: dict[str, dict[str, Any]],
        partition_clause: str | None = None,
        task_id: str | None = None,
        **kwargs: Any,
    ) -> Any:
        return operator(
            dataset=dataset, checks=checks, partition_clause=partition_clause, task_id=task_id, **kwargs
        ).output

    operator.__init__, operator.execute, operator.get_db_hook = __init__, execute, _hook
    check_table.__doc__ = module.check_table.__doc__
    module.check_table = check_table  # type: ignore[attr-defined] # a module's name


def _address(check: Any) -> None:
    """Tell a check the connection and the qualified name of its table."""
    from astro.databases import create_database  # noqa: PLC0415 - astro is imported when it is used

    database = create_database(check.dataset.conn_id, table=check.dataset)
    check.conn_id = check.dataset.conn_id
    check.table = database.get_table_qualified_name(database.populate_table_metadata(check.dataset))


def _hook(check: Any) -> Any:
    from astro.databases import create_database  # noqa: PLC0415 - astro is imported when it is used

    return create_database(check.conn_id, table=check.dataset).hook
