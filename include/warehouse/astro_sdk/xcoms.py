"""Which of the SDK's classes Airflow may build from an XCom.

From Airflow 3.3 on the bridge registers each class for the process. Before, the deployment has to allow them by name;
if it does not, that is said when the class is imported and not when the first downstream task fails.
"""

from __future__ import annotations

import re
from fnmatch import fnmatch
from typing import Any

from airflow.sdk import serde
from airflow.sdk.configuration import conf

from include.core.errors import AstroSdkRefused


def allow_through_xcom(kind: type[Any]) -> None:
    """Let a class pass through XCom.

    Raises:
        AstroSdkRefused: this Airflow leaves it to the deployment, which does not allow it.
    """
    if hasattr(serde, "allow_class"):
        # allow_class() would import the class's module, which is being imported at this moment
        serde._extra_allowed.add(f"{kind.__module__}.{kind.__qualname__}")  # noqa: SLF001 - as said
        return
    name = f"{kind.__module__}.{kind.__qualname__}"
    globs = conf.get("core", "allowed_deserialization_classes", fallback="").split()
    regexes = conf.get("core", "allowed_deserialization_classes_regexp", fallback="").split()
    if any(fnmatch(name, glob) for glob in globs) or any(re.fullmatch(regex, name) for regex in regexes):
        return
    raise AstroSdkRefused(
        "[core] allowed_deserialization_classes",
        f"it is {' '.join(globs) or 'empty'!r}",
        rule=f"{name} passes through XCom, and this Airflow builds only what the deployment allows",
        remedy='set AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES="airflow.* astro.*"',
    )
