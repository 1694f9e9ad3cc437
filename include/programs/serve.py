"""Serve a model: the handlers that SageMaker's script mode calls for batch transform and endpoints alike.

How it works: rows come as one Parquet file or as CSV with a header, and carry a ``row_id``; predictions go out as CSV
with the header ``row_id,prediction``, each number so that it reads back as the same float. The prediction itself is
that of ``predict.py`` beside this file.

What it does not do: split, batch or reorder rows; import anything of this project but that ``predict.py``.
"""

from __future__ import annotations

import io
from typing import Any

import pandas as pd
import predict

_PARQUET = "application/x-parquet"
_CSV = "text/csv"


def model_fn(model_dir: str) -> Any:
    """Load the model that lies in ``model_dir``."""
    return predict.load(model_dir)


def input_fn(input_data: bytes | str, content_type: str) -> pd.DataFrame:
    """Read the rows of a request.

    Raises:
        ValueError: the content type is not served, or the rows have no ``row_id``.
    """
    content = input_data.encode() if isinstance(input_data, str) else bytes(input_data)
    kind = content_type.partition(";")[0].strip().lower()
    if kind == _PARQUET:
        rows = pd.read_parquet(io.BytesIO(content))
    elif kind == _CSV:
        # only an empty field is a missing value: NA may be an airport or a carrier
        rows = pd.read_csv(io.BytesIO(content), dtype={"row_id": "str"}, keep_default_na=False, na_values=[""])
    else:
        message = f"content type {content_type!r} is not served; send {_PARQUET} or {_CSV} with a header"
        raise ValueError(message)
    if "row_id" not in rows.columns:
        message = f"rows carry a row_id; these have {', '.join(map(str, rows.columns))}"
        raise ValueError(message)
    return rows


def predict_fn(input_object: pd.DataFrame, model: Any) -> pd.DataFrame:
    """Return row_id and prediction of each row, in the order of the rows."""
    return pd.DataFrame({"row_id": input_object["row_id"], "prediction": predict.predict(model, input_object)})


def output_fn(prediction: pd.DataFrame, accept: str) -> str:
    """Write predictions as CSV.

    Raises:
        ValueError: the client accepts no CSV.
    """
    accepted = {each.partition(";")[0].strip().lower() for each in (accept or "*/*").split(",")}
    if not accepted & {_CSV, "text/*", "*/*"}:
        message = f"accept {accept!r} cannot be served; predictions are {_CSV}"
        raise ValueError(message)
    return prediction.to_csv(index=False, float_format="%.17g")
