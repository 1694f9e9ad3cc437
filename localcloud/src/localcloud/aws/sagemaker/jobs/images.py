"""The images of SageMaker that the local cloud stands in for (`localcloud.images` says how).

Known limitation: the packages are near, not equal, to those of AWS's images. AWS's images have Python 3.8 to 3.10, for
which several of their packages have no counterpart on the Python that runs the server; `remark` says what differs.
"""

import re
from pathlib import Path

import localcloud
from localcloud.images import Image, ImageMap

_REGISTRY = r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/"
_SCIENTIFIC = ("numpy==2.3.5", "pandas==2.3.3", "pyarrow==22.0.0", "scikit-learn==1.7.2", "scipy==1.16.3")
# the newest releases of that time that the server's Python can run
_SCIENTIFIC_2023 = (
    "numpy==1.24.4; python_version < '3.12'",
    "numpy==1.26.4; python_version >= '3.12'",
    "pandas==1.5.3; python_version < '3.12'",
    "pandas==2.1.4; python_version >= '3.12'",
    "pyarrow==14.0.2",
    "scikit-learn==1.2.2; python_version < '3.12'",
    "scikit-learn==1.3.2; python_version >= '3.12'",
    "scipy==1.10.1; python_version < '3.12'",
    "scipy==1.11.4; python_version >= '3.12'",
)


def _framework(name: str, tag: str, base: tuple[str, ...], remark: str) -> Image:
    return Image(name, rf"{_REGISTRY}{name}:{re.escape(tag)}(-[a-z0-9-]+)?", base, remark=remark)


# imported from where the server has it: the analyzer needs nothing but the standard library
_ANALYZER = (
    f"import sys; sys.path.append({str(Path(localcloud.__file__).parents[1])!r}); "
    "from localcloud.aws.sagemaker.monitoring.analyzer.program import main; main()"
)

BUILT_IN = (
    _framework(
        "sagemaker-xgboost",
        "3.0-5",
        ("xgboost-cpu==3.0.5", "matplotlib==3.10.7", *_SCIENTIFIC),
        "xgboost 3.0.5 as on AWS, without GPU; newer numpy, pandas (AWS: 2.1.0, 2.2.3) and Python (AWS: 3.10)",
    ),
    _framework(
        "sagemaker-xgboost",
        "1.7-1",
        ("xgboost==1.7.6", "matplotlib==3.7.5; python_version < '3.12'", *_SCIENTIFIC_2023),
        "xgboost 1.7.6 (AWS: 1.7.4); much newer numpy, pandas, scikit-learn and Python (AWS: 1.24, 1.1, 0.24, 3.8)",
    ),
    _framework(
        "sagemaker-scikit-learn",
        "1.4-2",
        ("scikit-learn==1.4.2", "numpy==1.26.4", "pandas==2.2.3", "pyarrow==17.0.0", "scipy==1.13.1"),
        "scikit-learn 1.4.2 as on AWS; numpy 1.26.4, for which it was built (AWS: 2.1.0), newer Python (AWS: 3.10)",
    ),
    _framework(
        "sagemaker-scikit-learn",
        "1.2-1",
        _SCIENTIFIC_2023,
        "scikit-learn 1.2.2, on Python 3.12 1.3.2 (AWS: 1.2.1); newer pandas (AWS: 1.1.3) and Python (AWS: 3.9)",
    ),
    Image(
        "sagemaker-model-monitor-analyzer",
        rf"{_REGISTRY}sagemaker-model-monitor-analyzer(:[A-Za-z0-9_.-]+)?",
        (),
        entrypoint=("python", "-c", _ANALYZER, "/opt/ml/output/message"),
        remark="a program of our own: CSV, JSON lines and captured invocations; no scripts, metrics or Parquet",
    ),
)


IMAGES = ImageMap(BUILT_IN)


def find_image(address: str) -> Image:
    """Return what stands in for the image at `address`.

    Raises:
        UnknownImageError: nothing does; the message says how to map it.
    """
    return IMAGES.find(address)
