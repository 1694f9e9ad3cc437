"""The environment that makes any Google client talk to the local cloud only.

Everything is made up: no value here opens anything. gRPC clients hard-code `<region>-aiplatform.googleapis.com`; what
brings them here is a proxy that they ask for a tunnel, and an authority that signed the certificate they find at its
end (`localcloud.gcp.front`, `localcloud.gcp.certificates`). HTTPS takes the same way, because google-auth asks
iamcredentials.googleapis.com in the background and has no switch for it: other HTTPS of such a process is refused by
name. Configuration of gcloud and the metadata of a virtual machine are pointed at nothing.
"""

from dataclasses import dataclass

PROJECT_ID = "localcloud-project"
PROJECT_NUMBER = "100000000000"
SERVICE_ACCOUNT = f"localcloud@{PROJECT_ID}.iam.gserviceaccount.com"
DEFAULT_REGION = "us-central1"
_DIRECT = "127.0.0.1,localhost"


@dataclass(frozen=True)
class GoogleEndpoints:
    """Where a running Google half is found: addresses of its front and of its storage, and paths of two files."""

    front: str
    storage: str
    ca: str
    key_file: str


def google_environment(endpoints: GoogleEndpoints, region: str = DEFAULT_REGION) -> dict[str, str]:
    """Return the variables that a process needs to use the local Google cloud at `endpoints`."""
    return {
        "GOOGLE_APPLICATION_CREDENTIALS": endpoints.key_file,
        "GOOGLE_CLOUD_PROJECT": PROJECT_ID,
        "GOOGLE_CLOUD_REGION": region,
        "STORAGE_EMULATOR_HOST": endpoints.storage,
        "grpc_proxy": endpoints.front,
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": endpoints.ca,
        # a program looks at either spelling, and an inherited one must not win
        "https_proxy": endpoints.front,
        "HTTPS_PROXY": endpoints.front,
        "no_proxy": _DIRECT,
        "NO_PROXY": _DIRECT,
        "no_grpc_proxy": _DIRECT,
        "REQUESTS_CA_BUNDLE": endpoints.ca,
        "CLOUDSDK_CONFIG": "/dev/null",
        "GCE_METADATA_HOST": endpoints.front.removeprefix("http://"),
        "NO_GCE_CHECK": "true",
        # else gcsfs speaks gRPC and TLS to the storage's plain port, to ask what kind a bucket is, for minutes
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
        "GOOGLE_API_USE_CLIENT_CERTIFICATE": "false",
        "GOOGLE_API_USE_MTLS_ENDPOINT": "never",
    }
