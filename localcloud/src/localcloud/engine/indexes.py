"""Where packages come from: the server's own settings for package indexes, as a job's pip gets them.

Purpose: a job that calls pip installs from where its user installs, also behind a mirror, and learns nothing else of
the server's surroundings.

How it works: an allow-list of pip's options is read from pip's configuration files, uv's variables and pip's variables
(the later wins, as for pip itself) and written to a pip.conf that only the job's own interpreter reads. What pip says
about these addresses is kept out of the job's log.

What it does not do: keep them from a job that looks for them; it has to use them.
"""

import configparser
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

# pip's options that say where packages are and how to get there
_OPTIONS = (
    "index-url",
    "extra-index-url",
    "find-links",
    "no-index",
    "trusted-host",
    "cert",
    "client-cert",
    "proxy",
    "timeout",
    "default-timeout",
    "retries",
)
# uv's variables by the option of pip that means the same; what separates their values
_OF_UV = {
    "UV_INDEX_URL": ("index-url", None),
    "UV_DEFAULT_INDEX": ("index-url", None),
    "UV_EXTRA_INDEX_URL": ("extra-index-url", None),
    "UV_INDEX": ("extra-index-url", None),
    "UV_FIND_LINKS": ("find-links", ","),
    "UV_INSECURE_HOST": ("trusted-host", None),
    "SSL_CERT_FILE": ("cert", None),
}
_SECTIONS = ("global", "install")
_LISTINGS = ("Looking in indexes: ", "Looking in links: ")


def index_settings(environ: Mapping[str, str], files: list[Path] | None = None) -> dict[str, str]:
    """Return pip's options for package indexes; values of several words are separated by blanks.

    Args:
        environ: The variables to read.
        files: The configuration files to read, the more important ones last; pip's own places if None.
    """
    found: dict[str, str] = {}
    for file in _places(environ) if files is None else files:
        found |= _read(file)
    for variable, (option, separator) in _OF_UV.items():
        if environ.get(variable):
            # an index of uv may have a name: `name=address`
            words = [word.split("=", 1)[-1] if "=http" in word else word for word in environ[variable].split(separator)]
            found[option] = " ".join(words)
    for option in _OPTIONS:
        value = environ.get("PIP_" + option.upper().replace("-", "_"))
        if value:
            found[option] = value
    return found


def write_pip_settings(settings: Mapping[str, str], file: Path) -> None:
    """Write a pip.conf that its owner alone can read: an index address may hold a password."""
    file.touch(mode=0o600)
    file.write_text("[global]\n" + "".join(f"{option} = {value}\n" for option, value in settings.items()))


def without_listings(on_line: Callable[[str], None]) -> Callable[[str], None]:
    """Return a taker of lines that drops those in which pip lists the indexes it uses."""

    def take(line: str) -> None:
        if not line.startswith(_LISTINGS):
            on_line(line)

    return take


def _places(environ: Mapping[str, str]) -> list[Path]:
    """Return the configuration files that pip reads, the more important ones last."""
    home = Path(environ.get("HOME") or "~").expanduser()
    places = [Path(folder) / "pip" / "pip.conf" for folder in environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")]
    places += [Path("/etc/pip.conf"), home / ".pip" / "pip.conf"]
    places += [Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"]
    places += [Path(sys.prefix) / "pip.conf"]
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:  # pip's way to say: none
        return []
    return [*places, Path(named)] if named else places


def _read(file: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(file, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):  # pip will say so to whoever runs it
        return {}
    found: dict[str, str] = {}
    for section in _SECTIONS:
        if parser.has_section(section):
            values = {name.lower().replace("_", "-"): " ".join(value.split()) for name, value in parser.items(section)}
            found |= {name: value for name, value in values.items() if name in _OPTIONS}
    return found
