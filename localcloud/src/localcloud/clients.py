"""The environment that makes any AWS client (boto3, the CLI, another language's SDK) talk to the local cloud only.

Everything is made up: no value here opens anything. The configuration and credential files point at nothing and the
instance metadata service is switched off, so that a client cannot fall back to a real account.
"""

ACCESS_KEY_ID = "LOCALCLOUDACCESSKEY0"
SECRET_ACCESS_KEY = "made-up-secret-for-the-local-cloud"  # noqa: S105 - a made-up value, accepted by the local cloud only
DEFAULT_REGION = "us-east-1"


def client_environment(endpoint: str, region: str = DEFAULT_REGION) -> dict[str, str]:
    """Return the variables that a process needs to use the local cloud at `endpoint`."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }
