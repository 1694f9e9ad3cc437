"""The Astro SDK (astro-sdk-python 1.9.0) on Airflow 3, SQLAlchemy 2, pandas 2.2 to 3.0 and psycopg 3.

Import it in the DAG file, before ``astro``; everything after that is what the Astro SDK's own documentation says::

    import include.warehouse.astro_sdk  # noqa: F401
    from astro import sql as aql
    from astro.files import File
    from astro.table import Table

How it works: nothing of ``astro`` is imported here. A module of ``astro`` is changed in the moment in which it is first
imported (``on_import``); each change is one module beside this one. ``asset(table)`` gives the asset of a table or
file, for ``schedule=[asset(Table(...))]``.

What it does not do: touch versions that its tests have not seen (``versions``), or let anything that cannot work pass
in silence (``refusals``). Snowflake, BigQuery, Redshift, Databricks, MSSQL and MySQL go through the changes of the
common base class only, which is unproven.
"""

from __future__ import annotations

from include.warehouse.astro_sdk import on_import, refusals, versions
from include.warehouse.astro_sdk.assets import asset

__all__ = ["asset"]

versions.check()
refusals.check_configuration()
refusals.guard_assets()
on_import.install()
