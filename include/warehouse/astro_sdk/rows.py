"""What ``run_raw_sql`` returns: rows that pass through XCom, and errors that are not swallowed.

A row keeps what SQLAlchemy 1 offered and the SDK's users wrote: ``row[0]``, ``row["id"]``, ``row.id``, ``row.keys()``.
SQLAlchemy 2's own rows have only the first and the third of these and no way through XCom.

Upstream answers None to *every* error of a handler, so that a result of a query without rows is None. Here a handler's
error is None only if the query gave no rows; any other error fails the task: on SQLAlchemy 2 handlers can fail that did
not fail before.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

from include.warehouse.astro_sdk.xcoms import allow_through_xcom

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType


def change_raw_sql(module: ModuleType) -> None:
    """Change ``astro.sql.operators.raw_sql``."""
    operator = module.RawSQLOperator
    operator.make_row_serializable = staticmethod(plain)
    operator.results_as_list = staticmethod(lambda result: [list(row) for row in result.fetchall()])
    operator.results_as_pandas_dataframe = staticmethod(_as_frame)
    operator.get_wrapped_handler = staticmethod(_tolerant_of_no_rows)
    # XCom keeps a class by the name under which it is found again
    Row.__module__, Row.__qualname__, Row.__name__ = module.__name__, "SdkLegacyRow", "SdkLegacyRow"
    module.SdkLegacyRow = Row  # type: ignore[attr-defined] # the SDK's own one stands on SQLAlchemy 1
    allow_through_xcom(Row)


class Row(tuple[Any, ...]):
    """One row of a result: a tuple that knows its columns' names.

    Airflow rebuilds a tuple that it renders as ``type(row)(*values)``, so the names belong to a class of their own for
    each list of columns (``Row.of``).
    """

    __slots__ = ()

    version: ClassVar[int] = 1
    _names: ClassVar[tuple[str, ...]] = ()

    def __new__(cls, *values: Any) -> Self:
        """Make a row of its values."""
        return super().__new__(cls, values)

    @staticmethod
    def of(names: Iterable[str], values: Iterable[Any]) -> Row:
        """Return a row with these columns."""
        return _with_columns(tuple(names))(*values)

    def __getitem__(self, key: Any) -> Any:
        """Return a value by position or by its column's name."""
        if isinstance(key, str):
            if key not in self._names:
                raise KeyError(key)
            return super().__getitem__(self._names.index(key))
        return super().__getitem__(key)

    def __getattr__(self, name: str) -> Any:
        """Return a value by its column's name."""
        if name in self._names:
            return self[name]
        raise AttributeError(name)

    def __reduce__(self) -> tuple[Callable[..., Row], tuple[Any, ...]]:
        return Row.of, (self._names, tuple(self))

    def keys(self) -> tuple[str, ...]:
        """Return the columns' names."""
        return self._names

    def values(self) -> list[Any]:
        """Return the values."""
        return list(self)

    def items(self) -> list[tuple[str, Any]]:
        """Return names with values."""
        return list(zip(self._names, self, strict=True))

    def serialize(self) -> dict[str, Any]:
        """Return what XCom keeps."""
        return {"names": list(self._names), "values": list(self)}

    @staticmethod
    def deserialize(data: dict[str, Any], version: int) -> Row:  # noqa: ARG004 - Airflow's signature
        """Return the row that XCom kept."""
        return Row.of(data["names"], data["values"])


@cache
def _with_columns(names: tuple[str, ...]) -> type[Row]:
    # under Row's own name, by which XCom finds the class again
    own = {"__slots__": (), "__module__": Row.__module__, "__qualname__": Row.__qualname__, "_names": names}
    return type(Row.__name__, (Row,), own)


def plain(value: Any) -> Any:
    """Return what a handler returned, with SQLAlchemy's rows as rows that pass through XCom."""
    from sqlalchemy.engine import Row as SqlalchemyRow  # noqa: PLC0415 - heavy

    if isinstance(value, SqlalchemyRow):
        return Row.of(value._fields, value)
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


def _as_frame(result: Any) -> Any:
    from astro.dataframes.pandas import PandasDataframe  # noqa: PLC0415 - astro is imported when it is used

    return PandasDataframe([tuple(row) for row in result.fetchall()], columns=list(result.keys()))


def _tolerant_of_no_rows(fail_on_empty: bool, conversion_func: Callable[[Any], Any]) -> Callable[[Any], Any]:  # noqa: FBT001 - the SDK's signature
    if fail_on_empty:
        return conversion_func

    def convert(result: Any) -> Any:
        try:
            return conversion_func(result)
        except Exception as error:
            if result.returns_rows and result.rowcount:
                raise
            logging.getLogger(__name__).info("The query gave no rows, so the handler's error is None: %s", error)
            return None

    return convert
