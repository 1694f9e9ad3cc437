"""Airflow 2's way to wait for a table, which Airflow 3 would not understand."""

from airflow.sdk import DAG

import include.warehouse.astro_sdk  # noqa: F401 - before astro

from astro.table import Table

with DAG("refused_schedule", schedule=[Table("a", conn_id="x")]):
    pass
