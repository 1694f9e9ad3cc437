"""Images: which stand-in an address gets, the user's own map, environments that servers share, a job's layer."""

import fcntl
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from localcloud.aws.sagemaker.jobs.images import BUILT_IN
from localcloud.engine.environments import Environments, EnvironmentSpec
from localcloud.engine.indexes import index_settings, without_listings
from localcloud.engine.layers import lay_over
from localcloud.errors import ImagesError
from localcloud.images import Image, ImageMap, UnknownImageError, read_images
from tests.contract.local_cloud import until

REGISTRY = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
TINY = EnvironmentSpec("tiny", ("iniconfig==2.1.0",))
# a server that builds an environment and says where its interpreter is, and since when
BUILDER = """
import sys
from pathlib import Path
from localcloud.engine.environments import Environments, EnvironmentSpec
spec = EnvironmentSpec("tiny", (sys.argv[2],))
python = Path(Environments(Path(sys.argv[1])).get(spec, print).python)
print(python, python.lstat().st_ctime_ns, flush=True)
"""
# a package that takes its time to be built, and says when that begins
SLOW = """
import pathlib, time, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    pathlib.Path(__file__).with_name("begun").touch()
    time.sleep(1)
    with zipfile.ZipFile(pathlib.Path(folder, "slow-1-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("slow.py", "")
        wheel.writestr("slow-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: slow\\nVersion: 1\\n")
        wheel.writestr("slow-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("slow-1.dist-info/RECORD", "")
    return "slow-1-py3-none-any.whl"
"""


@pytest.mark.parametrize(
    ("address", "package"),
    [
        (f"{REGISTRY}/sagemaker-xgboost:3.0-5", "xgboost-cpu==3.0.5"),
        (f"{REGISTRY}/sagemaker-xgboost:1.7-1", "xgboost==1.7.6"),
        (f"{REGISTRY}/sagemaker-scikit-learn:1.4-2-cpu-py3", "scikit-learn==1.4.2"),
        (f"{REGISTRY}/sagemaker-scikit-learn:1.2-1", "scikit-learn==1.2.2; python_version < '3.12'"),
    ],
)
def test_versions_of_framework_images(address: str, package: str) -> None:
    """A framework image's tag decides which packages stand in for it."""
    assert package in ImageMap(BUILT_IN).find(address).base


@pytest.mark.parametrize("tag", [":0.90-2", ":latest", "", "@sha256:00", ":3.0-50"])
def test_unknown_versions(tag: str) -> None:
    """A version that nothing stands in for is refused, and the refusal names those that are known and the remedy."""
    with pytest.raises(UnknownImageError, match=r"sagemaker-xgboost:3\.0-5 and 1\.7-1.*add its address.*--images FILE"):
        ImageMap(BUILT_IN).find(f"{REGISTRY}/sagemaker-xgboost{tag}")


def test_every_built_in_image_says_how_it_differs() -> None:
    """Stand-ins are near, not equal, and say so."""
    assert [image.name for image in BUILT_IN if not image.remark and image.base] == []


def test_a_users_map(tmp_path: Path) -> None:
    """A file maps further images and goes before the built-in map; `*` does not cross a slash."""
    file = tmp_path / "images.yaml"
    file.write_text(
        textwrap.dedent("""
            images:
              - name: trainer
                address: 123456789012.dkr.ecr.*.amazonaws.com/trainer:*
                packages: [iniconfig==2.1.0]
                python: "3.12"
                entrypoint: [python, -m, trainer]
              - {name: mine, address: "*/sagemaker-xgboost:3.0-5", packages: []}
        """)
    )
    images = ImageMap(BUILT_IN)
    images.extend(read_images(file))
    trainer = images.find("123456789012.dkr.ecr.eu-west-1.amazonaws.com/trainer:7")
    assert (trainer.base, trainer.python, trainer.entrypoint) == (
        ("iniconfig==2.1.0",),
        "3.12",
        ("python", "-m", "trainer"),
    )
    assert images.find(f"{REGISTRY}/sagemaker-xgboost:3.0-5").name == "mine"
    for other in ("x/123456789012.dkr.ecr.eu-west-1.amazonaws.com/trainer:7", "evil.example/a/sagemaker-xgboost:3.0-5"):
        with pytest.raises(UnknownImageError, match="trainer"):
            images.find(other)


ENTRY = "name: a, address: b, packages: []"
WRONG = {
    "not-yaml": ("images: [", "is not YAML"),
    "top": ("image: []", r"\(top level\) must be a mapping with the one key `images`, got \['image'\]"),
    "no-list": ("images: {}", "images must be a list of entries, got {}"),
    "entry": ("images: [a]", r"images\[0\] must be a mapping, got 'a'"),
    "unknown": (f"images: [{{{ENTRY}, tag: 1}}]", r"images\[0\].tag is not one of name, address, .* got 1. Remedy: "),
    "missing": ("images: [{name: a, packages: []}]", r"images\[0\].address is needed, got \['name', 'packages'\]"),
    "number": (f"images: [{{{ENTRY}, python: 3.12}}]", r"images\[0\].python must be text, got 3.12. Remedy: put it in"),
    "version": (f'images: [{{{ENTRY}, python: "3"}}]', r'images\[0\].python must be a version such as "3.12", got'),
    "packages": ("images: [{name: a, address: b, packages: numpy}]", r"images\[0\].packages must be a list of texts"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_map_that_breaks_a_rule(tmp_path: Path, case: str) -> None:
    """Each complaint names file, key, rule, value and remedy."""
    content, message = WRONG[case]
    file = tmp_path / "images.yaml"
    file.write_text(content)
    with pytest.raises(ImagesError, match=f"images file .*images.yaml: {message}"):
        read_images(file)


def test_a_map_that_is_not_there(tmp_path: Path) -> None:
    """A file that cannot be read is named."""
    with pytest.raises(ImagesError, match=r"images file .*none\.yaml: cannot be read"):
        read_images(tmp_path / "none.yaml")


def build(folder: Path, package: str) -> "subprocess.Popen[str]":
    """Start a process that builds an environment with a package in `folder`."""
    return subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(folder), package],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_two_servers_share_a_cache(tmp_path: Path) -> None:
    """Of two servers that need an environment at the same time one builds it and the other waits for it."""
    builders = [build(tmp_path, *TINY.base) for _ in range(2)]
    said = [builder.communicate(timeout=120)[0].split() for builder in builders]
    assert [builder.returncode for builder in builders] == [0, 0], said
    # what the second had built again would be younger than what the first saw
    assert said[0] == said[1]
    assert [str(path) for path in tmp_path.glob("*/bin/python")] == [said[0][0]]


def test_a_server_that_is_killed_while_it_builds(tmp_path: Path) -> None:
    """The half-built environment is noticed: the next server waits for the installer left behind, and builds again."""
    source, cache = tmp_path / "source", tmp_path / "cache"
    source.mkdir()
    (source / "backend.py").write_text(SLOW)
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "slow"\nversion = "1"\n'
    )
    package = f"slow @ {source.as_uri()}"
    builder = build(cache, package)
    until((source / "begun").exists, "the beginning of a build")
    os.kill(builder.pid, signal.SIGKILL)
    builder.communicate()
    assert builder.returncode == -signal.SIGKILL
    (lock,) = cache.glob("*.lock")
    with lock.open("w") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert list(cache.glob("*/environment.json")) == []
    (place,) = (path for path in cache.iterdir() if path.is_dir())
    (place / "rubbish").touch()
    found = Environments(cache).get(EnvironmentSpec("tiny", (package,)), lambda _: None)
    assert not (place / "rubbish").exists()
    answer = subprocess.run([found.python, "-c", "import slow, pip"], check=False)
    assert answer.returncode == 0


def test_an_environment_survives_a_restart(tmp_path: Path) -> None:
    """A later server takes the environment as it is: nothing is installed a second time."""
    first = Environments(tmp_path).get(TINY, lambda _: None)
    written = Path(first.python).lstat().st_ctime_ns
    later = Environments(tmp_path)
    assert [known.python for known in later.known()] == [first.python]
    assert later.get(TINY, lambda _: None) == first
    assert Path(first.python).lstat().st_ctime_ns == written


def test_an_environment_whose_interpreter_is_gone(tmp_path: Path) -> None:
    """A finished environment whose interpreter was removed is built again."""
    python = Path(Environments(tmp_path).get(TINY, lambda _: None).python)
    python.unlink()
    assert Environments(tmp_path).get(TINY, lambda _: None).python == str(python)
    assert python.exists()


def test_a_layer_is_the_jobs_own(tmp_path: Path) -> None:
    """What a job installs is found before the shared packages, and by this job alone; pip gets the given settings."""
    programs = Path(Environments(tmp_path / "shared").get(TINY, lambda _: None).programs)
    package = tmp_path / "own"
    (package / "own").mkdir(parents=True)
    (package / "own" / "__init__.py").write_text("")
    (package / "pyproject.toml").write_text('[project]\nname = "own"\nversion = "1"\n')
    layers = [lay_over(programs, tmp_path / name, {"no-index": "true"}) for name in ("first", "second")]
    find = ["-c", "import importlib.util as u; print([bool(u.find_spec(n)) for n in ('iniconfig', 'own')])"]
    site = next((layers[0].parent / "lib").glob("*/site-packages"))
    (site / "own.py").touch()
    answers = [
        subprocess.run([layer / "python", *find], capture_output=True, text=True, check=True).stdout for layer in layers
    ]
    assert answers == ["[True, True]\n", "[True, False]\n"]
    listed = subprocess.run([layers[0] / "pip", "config", "list"], capture_output=True, text=True, check=True).stdout
    assert "site.no-index='true'" in listed.replace("global", "site")
    shown = subprocess.run(
        [layers[0] / "pip", "install", "--dry-run", "iniconfig==2.1.0"], capture_output=True, text=True, check=True
    ).stdout
    assert "already satisfied" in shown


def test_index_settings(tmp_path: Path) -> None:
    """Only what says where packages are is passed on: files first, then uv's variables, then pip's."""
    file = tmp_path / "pip.conf"
    file.write_text("[global]\nindex-url = https://a\nextra_index_url = https://b\n  https://c\nuser = true\n")
    environ = {
        "UV_INDEX": "mirror=https://u:p@d https://e",
        "UV_FIND_LINKS": "/w,/x",
        "UV_CACHE_DIR": "/cache",
        "PIP_INDEX_URL": "https://f",
        "PIP_REQUIRE_VIRTUALENV": "1",
        "AWS_SECRET_ACCESS_KEY": "s",
    }
    assert index_settings(environ, [file]) == {
        "index-url": "https://f",
        "extra-index-url": "https://u:p@d https://e",
        "find-links": "/w /x",
    }
    assert index_settings({}, [file]) == {"index-url": "https://a", "extra-index-url": "https://b https://c"}
    assert index_settings({"PIP_CONFIG_FILE": os.devnull}) == {}


def test_pips_listing_of_indexes_is_no_output_of_a_job() -> None:
    """What pip says about the server's indexes stays out of a job's log."""
    lines: list[str] = []
    take = without_listings(lines.append)
    for line in ("Looking in indexes: https://a", "Looking in links: /w", "Collecting a"):
        take(line)
    assert lines == ["Collecting a"]


def test_an_image_of_another_python() -> None:
    """The version of an image's Python is part of what its environment is known by."""
    image = Image("a", "a", ())
    assert EnvironmentSpec(image.name, image.base).digest("x") != EnvironmentSpec("a", (), python="3.12").digest("x")
