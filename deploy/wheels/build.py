"""`make wheels`: the Astro SDK's published wheel, with limits that let it in beside Airflow 3, into dist/.

Purpose: astro-sdk-python 1.9.0 declares limits that are stricter than what its code runs with. uv overrides them
([tool.uv] in pyproject.toml); plain pip, and so Amazon MWAA and Cloud Composer, cannot.

How it works: pip fetches the published wheel from the index that is configured, its digest is compared with the pinned
one, and the result is marked by the local version ``1.9.0+airflow3``.

What it does not do: make the Astro SDK run on Airflow 3. That is include/warehouse/astro_sdk.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.wheels.corrected import Correction, correct
from deploy.wheels.errors import WheelRefused

PROJECT = Path(__file__).resolve().parents[2]
REQUIREMENT = "astro-sdk-python==1.9.0"
# of astro_sdk_python-1.9.0-py3-none-any.whl, as in uv.lock
SHA256 = "cd59b4bbae28f65bb100ab6b1b0bfeaf5381f0c821be384df87673abe14cb96f"
# pandas: what the bridge was tested with (include/warehouse/astro_sdk/versions.py). Flask-Session is never imported,
# and smart-open's later versions kept what the SDK calls.
CORRECTION = Correction("airflow3", {"pandas": ">=2.2.3,<3.1", "flask-session": "", "smart-open": ">=5.2.1"})
_FETCH_SECONDS = 300


def fetch(folder: Path) -> Path:
    """Fetch the published wheel with pip, from the index that pip is configured for.

    Raises:
        WheelRefused: pip did not find it.
    """
    command = [_uv(), "tool", "run", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    ran = subprocess.run(
        [*command, "--dest", str(folder), REQUIREMENT],
        capture_output=True,
        text=True,
        timeout=_FETCH_SECONDS,
        check=False,
    )
    found = sorted(folder.glob("*.whl"))
    if ran.returncode or len(found) != 1:
        raise WheelRefused(
            REQUIREMENT,
            f"pip fetched {len(found)} wheels; it said: {ran.stderr.strip()[-500:]}",
            rule="the published wheel comes from the index that pip is configured for",
            remedy="let pip reach an index that has it (`pip config list`), or give the wheel with --published",
        )
    return found[0]


def require_published(wheel: Path) -> None:
    """Compare a wheel with the pinned digest.

    Raises:
        WheelRefused: it is another one.
    """
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != SHA256:
        raise WheelRefused(
            wheel.name,
            f"sha256 {found}",
            rule=f"the published wheel of {REQUIREMENT} has sha256 {SHA256}",
            remedy="look at where it came from: the index, or a mirror of it, serves another file",
        )


def build(folder: Path, published: Path | None = None) -> Path:
    """Write the corrected wheel into a folder and return its path.

    Args:
        folder: Where it goes; made if it is not there.
        published: The published wheel; fetched when it is None.

    Raises:
        WheelRefused: the published wheel cannot be had, or is another one than the pinned.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if published is not None:
        require_published(published)
        return correct(published, folder, CORRECTION)
    with tempfile.TemporaryDirectory() as fetched:
        wheel = fetch(Path(fetched))
        require_published(wheel)
        return correct(wheel, folder, CORRECTION)


def main() -> int:
    """Build, and print what was built."""
    parser = argparse.ArgumentParser(prog="make wheels", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--into", type=Path, default=PROJECT / "dist", help="the folder for the wheel")
    parser.add_argument("--published", type=Path, help="the published wheel, instead of fetching it")
    options = parser.parse_args()
    try:
        wheel = build(options.into, options.published)
    except WheelRefused as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    sys.stdout.write(f"{hashlib.sha256(wheel.read_bytes()).hexdigest()}  {wheel}\n")
    return 0


def _uv() -> str:
    import uv  # noqa: PLC0415 - of localcloud's environment, needed for fetching only

    return uv.find_uv_bin()


if __name__ == "__main__":
    raise SystemExit(main())
