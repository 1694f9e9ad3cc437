"""The assets that connect the DAGs. An asset's event wakes a DAG; what is due, the DAG reads from the lake."""

from __future__ import annotations

from airflow.sdk import Asset


def raw(source: str) -> Asset:
    """A month of a source that kept its contract lies in the lake."""
    return Asset(f"{source}/raw")


def features(source: str) -> Asset:
    """A month's features of the source's models lie in the lake."""
    return Asset(f"{source}/features")


def retrain(model: str) -> Asset:
    """A model has to be trained again."""
    return Asset(f"retrain/{model}")


def champion(model: str) -> Asset:
    """A model has a new champion."""
    return Asset(f"model/{model}")


def predictions(model: str) -> Asset:
    """A month's predictions of a model lie in the lake."""
    return Asset(f"predictions/{model}")
