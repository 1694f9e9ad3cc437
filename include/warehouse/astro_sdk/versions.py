"""The versions that the bridge changes, and the refusal to touch any other.

The bridge replaces parts of the Astro SDK that were read in one version, and stands on private corners of pandas and
SQLAlchemy. With another version a change could miss its mark in silence: rows that are rolled back while the task is
green. So a version that no test has seen is an error at import.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from packaging.specifiers import SpecifierSet

from include.core.errors import AstroSdkRefused

# What the tests in tests/astro have passed with; docs/astro-sdk.md says where.
TESTED = {
    "astro-sdk-python": SpecifierSet("==1.9.0"),
    "apache-airflow-core": SpecifierSet(">=3.2.1,<=3.3.2"),
    "sqlalchemy": SpecifierSet(">=2.0.49,<2.1"),
    "pandas": SpecifierSet(">=2.2.3,<3.1"),
}


def check() -> None:
    """Compare what is installed with what was tested.

    Raises:
        AstroSdkRefused: a package is missing, or its version is outside the tested range.
    """
    for package, tested in TESTED.items():
        try:
            found = version(package)
        except PackageNotFoundError:
            found = "not installed"
        # a local version (1.9.0+airflow3, a rebuilt wheel with other metadata) holds the same code
        if found == "not installed" or not tested.contains(found.partition("+")[0], prereleases=False):
            raise AstroSdkRefused(
                package,
                f"found {found}",
                rule=f"the bridge was tested with {package}{tested} and changes no other version",
                remedy=f"install {package}{tested}, or extend the range in {__name__} after running tests/astro",
            )
