"""LocalExecutor whose workers know the provider's operators before they run a task.

Purpose: importing them costs seconds of CPU for each task, and tells these tests nothing.

How it works: the scheduler imports the modules before it forks its workers, and a task's process is a fork of its
worker's.

What it does not do: anything to how a task runs. A gRPC channel does not survive a fork; none is made here.
"""

from __future__ import annotations

import importlib

from airflow.executors.local_executor import LocalExecutor

MODULES = tuple(
    f"airflow.providers.google.cloud.operators.vertex_ai.{name}"
    for name in (
        "batch_prediction_job",
        "custom_job",
        "dataset",
        "endpoint_service",
        "experiment_service",
        "hyperparameter_tuning_job",
        "model_service",
    )
)


class PreloadingExecutor(LocalExecutor):
    """LocalExecutor that imports MODULES before it starts its workers."""

    def start(self) -> None:
        """Import, then start."""
        for name in MODULES:
            importlib.import_module(name)
        super().start()
