"""What a trial's program reports: lines of JSON in the file that CLOUD_ML_HP_METRIC_FILE names.

The package cloudml-hypertune writes `{"timestamp": …, "trial": "1", "<metric>": "0.5", "global_step": "3",
"checkpoint_path": ""}` for each report.

Source: https://github.com/GoogleCloudPlatform/cloudml-hypertune
"""

import json
import math
from collections.abc import Sequence
from typing import Any

from localcloud.engine.tree import JOB_BASE
from localcloud.gcp.vertex.messages import types

METRIC_FILE = f"{JOB_BASE}/hypertune/output.metrics"
_Measurement = types.Measurement.pb()


def read_measurements(text: str, metrics: Sequence[str]) -> list[Any]:
    """Return the reports that hold all metrics of a study, in their order; what is no report is skipped."""
    found = []
    for line in text.splitlines():
        try:
            report = json.loads(line)
            values = {metric: float(report[metric]) for metric in metrics}
            step = int(float(report.get("global_step") or 0))
        except (ValueError, LookupError, TypeError, AttributeError):
            continue
        if all(math.isfinite(value) for value in values.values()):
            measurement = _Measurement(step_count=step)
            for metric, value in values.items():
                measurement.metrics.add(metric_id=metric, value=value)
            found.append(measurement)
    return found


def final_measurement(measurements: Sequence[Any], *, best: bool, maximize: bool) -> Any:
    """Return the last measurement, or the one with the best first metric; None when there is none."""
    if not measurements:
        return None
    if not best:
        return measurements[-1]
    sign = -1 if maximize else 1
    return min(measurements, key=lambda item: sign * item.metrics[0].value)
