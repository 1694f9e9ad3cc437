"""A DAG file that uses the SDK's XCom backend of Airflow 2."""

import include.warehouse.astro_sdk  # noqa: F401 - before astro

from astro.custom_backend.astro_custom_backend import AstroCustomXcomBackend

AstroCustomXcomBackend()
