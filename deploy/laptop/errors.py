"""What can go wrong on the laptop around the pipeline.

FlightdeckError (include.core.errors)
└── TerminalError
    ├── ServiceFailed     a local cloud or a part of Airflow did not start, or ended
    ├── LandingRefused    a month that the data package does not hold, or that cannot be landed
    ├── PipelineFailed    a task or a DAG run failed, or did not come to rest in time
    └── RestFailed        Airflow's REST interface refused a request
"""

from __future__ import annotations

from include.core.errors import TerminalError


class ServiceFailed(TerminalError):
    """A local cloud or a part of Airflow did not start, or ended."""


class LandingRefused(TerminalError):
    """A month cannot be landed."""


class PipelineFailed(TerminalError):
    """A task or a DAG run failed, or the pipeline did not come to rest in time."""


class RestFailed(TerminalError):
    """Airflow's REST interface refused a request."""
