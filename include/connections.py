"""The connections and the variables that Flightdeck's tasks read, and what they open with them.

All of them come from the secrets backend (Secrets Manager), under the names below; nothing else differs between a
laptop and a managed Airflow. What it does not do: read anything at import.
"""

from __future__ import annotations

from airflow.sdk import Variable

from include.core.lake import Lake

AWS_CONN_ID = "flightdeck_aws"
WAREHOUSE_CONN_ID = "warehouse"
LAKE_VARIABLE = "lake_uri"
FEED_VARIABLE = "feed_uri"
JOB_ROLE_VARIABLE = "job_role_arn"
DEPLOYMENT_VARIABLE = "flightdeck_deployment"


def open_lake() -> Lake:
    """Return the lake that the variable ``lake_uri`` names."""
    return _open(LAKE_VARIABLE)


def open_feed() -> Lake:
    """Return the bucket in which the sources' months land, which the variable ``feed_uri`` names."""
    return _open(FEED_VARIABLE)


def job_role() -> str:
    """Return the ARN of the IAM role that cloud jobs run as."""
    return str(Variable.get(JOB_ROLE_VARIABLE))


def deployment_id() -> str:
    """Return what tells this Airflow's remote jobs from those of others in the same account.

    The variable ``flightdeck_deployment``; where there is none, the lake's address. Give it another value when the
    metadata database is begun anew over the same lake.
    """
    return str(Variable.get(DEPLOYMENT_VARIABLE, default=None) or Variable.get(LAKE_VARIABLE))


def _open(variable: str) -> Lake:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook  # noqa: PLC0415 - DAG files that import this stay cheap

    return Lake(S3Hook(aws_conn_id=AWS_CONN_ID).get_conn(), str(Variable.get(variable)))
