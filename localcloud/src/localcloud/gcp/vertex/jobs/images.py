"""The container images of Vertex AI that the local cloud stands in for (`localcloud.images` says how).

Google's prebuilt training and prediction containers are named by framework, processor and version, as in
`us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-6:latest`. Any other image needs an entry in the user's file.

Known limitation: the packages are near, not equal, to those of Google's images, and so is the Python.

Source: https://cloud.google.com/vertex-ai/docs/training/pre-built-containers,
https://cloud.google.com/vertex-ai/docs/predictions/pre-built-containers
"""

import re

from localcloud.images import Image, ImageMap

TAG = r"(:[A-Za-z0-9_.-]+|@sha256:[0-9a-f]{64})?"
_PLACE = r"((us|europe|asia)-docker\.pkg\.dev/vertex-ai|((us|eu|asia)\.)?gcr\.io/cloud-aiplatform)"
# what every prebuilt container brings besides its framework
_COMMON = ("cloudml-hypertune==0.1.0.dev6", "google-cloud-storage==3.4.1", "setuptools==80.9.0", "wheel==0.45.1")
_SCIENTIFIC = ("numpy==2.3.5", "pandas==2.3.3", "pyarrow==22.0.0", "scipy==1.16.3")
# where a job finds the server of the prebuilt prediction containers (localcloud.gcp.vertex.serving.prebuilt)
PREDICTION_SERVER = "/opt/ml/localcloud-prediction-server.py"


def _training(framework: str, version: str, packages: tuple[str, ...], remark: str) -> Image:
    name = f"training/{framework}-cpu.{version}"
    return Image(name, f"{_PLACE}/{re.escape(name)}{TAG}", (*packages, *_SCIENTIFIC, *_COMMON), remark=remark)


def _prediction(framework: str, version: str, packages: tuple[str, ...], remark: str) -> Image:
    name = f"prediction/{framework}-cpu.{version}"
    return Image(
        name,
        f"{_PLACE}/{re.escape(name)}{TAG}",
        (*packages, *_SCIENTIFIC, *_COMMON),
        entrypoint=("python", PREDICTION_SERVER),
        remark=remark,
    )


_SKLEARN_16, _SKLEARN_15 = ("scikit-learn==1.6.1", "joblib==1.5.2"), ("scikit-learn==1.5.2", "joblib==1.5.2")
_XGBOOST_21 = ("xgboost-cpu==2.1.4", "scikit-learn==1.6.1", "joblib==1.5.2")
_NEWER = "newer numpy, pandas and Python"

BUILT_IN = (
    _training("sklearn", "1-6", _SKLEARN_16, _NEWER),
    _training("xgboost", "2-1", _XGBOOST_21, _NEWER),
    _prediction("sklearn", "1-6", _SKLEARN_16, _NEWER),
    _prediction("sklearn", "1-5", _SKLEARN_15, _NEWER),
    _prediction("xgboost", "2-1", _XGBOOST_21, _NEWER),
)

IMAGES = ImageMap(BUILT_IN)
