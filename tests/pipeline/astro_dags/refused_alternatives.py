"""Airflow 2's way to wait for one table or another, which Airflow 3 would not understand."""

from airflow.sdk import DAG

import include.warehouse.astro_sdk  # noqa: F401 - before astro

from astro.table import Table

with DAG("refused_alternatives", schedule=Table("a", conn_id="x") | Table("b", conn_id="x")):
    pass
