"""What ``pip install`` gets: the wheel, the source archive, and a command that needs the light dependencies only."""

import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from zoo.samples import DATA, HOME

from kmr_cli import __version__

ROOT = Path(__file__).resolve().parents[2]
LIGHT = {"click", "h5py", "ml-dtypes", "numpy", "protobuf", "rich", "xxhash"}
FOR_PYTHON_3_10 = {"tomli"}
PYTHONS = {"3.10", "3.11", "3.12", "3.13"}
EXTRAS = {
    "tensorflow": {"keras", "tensorflow"},
    "torch": {"keras", "torch"},
    "keras2": {"keras", "tensorflow", "tf-keras"},
    "onnx": {"onnxruntime"},
    "data": {"pillow", "pyarrow", "safetensors"},
    "dump": {"distributed", "zarr"},
    "all": {
        "distributed",
        "keras",
        "onnxruntime",
        "pillow",
        "pyarrow",
        "safetensors",
        "tensorflow",
        "tf-keras",
        "torch",
        "zarr",
    },
}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-build-isolation", "--no-deps"]
    run(*pip, "--wheel-dir", str(folder), str(ROOT))
    (path,) = folder.iterdir()
    assert path.name == f"kmr_inspect-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.fixture(scope="session")
def sdist(tmp_path_factory):
    """The files of the source archive, without the folder around them."""
    folder = tmp_path_factory.mktemp("sdist")
    code = "import sys; from hatchling.build import build_sdist; build_sdist(sys.argv[1])"
    run(sys.executable, "-c", code, str(folder))
    (path,) = folder.iterdir()
    top = f"kmr_inspect-{__version__}"
    assert path.name == f"{top}.tar.gz"
    with tarfile.open(path) as archive:
        names = archive.getnames()
    assert all(name.startswith(f"{top}/") for name in names)
    return {name.removeprefix(f"{top}/") for name in names}


def run(*command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def info(wheel):
    """The wheel's ``dist-info`` files: text by name."""
    prefix = f"kmr_inspect-{__version__}.dist-info/"
    return {
        name.removeprefix(prefix): wheel.read(name).decode() for name in wheel.namelist() if name.startswith(prefix)
    }


@pytest.fixture(scope="session")
def headers(info):
    return HeaderParser().parsestr(info["METADATA"])


def needed(headers, extra, python="3.11"):
    """Names of what an extra adds to an install; ``""`` for what an install without any brings."""
    found = [Requirement(line) for line in headers.get_all("Requires-Dist")]
    always = {
        one.name for one in found if not one.marker or one.marker.evaluate({"extra": "", "python_version": python})
    }
    if not extra:
        return {canonicalize_name(name) for name in always}
    added = {
        one.name for one in found if one.marker and one.marker.evaluate({"extra": extra, "python_version": python})
    }
    return {canonicalize_name(name) for name in added - always}


class TestWheel:
    def test_version_is_the_one_that_the_package_says(self, headers):
        assert headers["Name"] == "kmr-inspect"
        assert headers["Version"] == __version__

    def test_console_script_and_pytest_plugin(self, info):
        command = ["[console_scripts]", "kmr-inspect", "=", "kmr_cli.__main__:command"]
        plugin = ["[pytest11]", "kmr_inspect", "=", "kmr_cli.pytest_plugin"]
        assert info["entry_points.txt"].split() == command + plugin

    def test_licence(self, headers, info):
        assert headers["License-Expression"] == "Apache-2.0"
        assert headers.get_all("License-File") == ["LICENSE"]
        assert info["licenses/LICENSE"] == (ROOT / "LICENSE").read_text(encoding="utf-8")
        assert "Apache License" in info["licenses/LICENSE"]

    def test_holds_the_whole_package_and_nothing_else(self, wheel):
        inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
        ours = {
            str(path.relative_to(ROOT))
            for path in (ROOT / "kmr_cli").rglob("*")
            if path.suffix in (".py", ".txt", ".css", ".js") or path.name == "py.typed"
        }
        assert inside == ours

    def test_dependencies_are_light(self, headers):
        assert {python: needed(headers, "", python) for python in PYTHONS} == {
            python: LIGHT | (FOR_PYTHON_3_10 if python == "3.10" else set()) for python in PYTHONS
        }

    def test_extras(self, headers):
        assert set(headers.get_all("Provides-Extra")) == {*EXTRAS, "dev"}
        assert {extra: needed(headers, extra) for extra in EXTRAS} == EXTRAS
        assert needed(headers, "dev") > {*EXTRAS["all"], "pytest", "ruff", "mypy"}

    def test_says_which_pythons(self, headers):
        assert headers["Requires-Python"] == ">=3.10"
        said = {line.rpartition(" ")[2] for line in headers.get_all("Classifier") if "Python :: 3." in line}
        assert said == PYTHONS

    def test_shows_the_readme(self, headers):
        assert headers["Description-Content-Type"] == "text/markdown"
        assert headers.get_payload().strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()


class TestSourceArchive:
    def test_holds_what_is_needed_to_build(self, sdist):
        assert sdist >= {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "kmr_cli/py.typed", "PKG-INFO"}
        assert sdist >= {str(path.relative_to(ROOT)) for path in (ROOT / "kmr_cli").rglob("*.py")}

    def test_holds_what_is_needed_to_test(self, sdist):
        assert sdist >= {"Makefile", "constraints.txt", "CONTRIBUTING.md", "tests/conftest.py", "scripts/reference.py"}
        assert sdist >= {str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.json")}
        assert {name.split("/")[1] for name in sdist if name.startswith("sample_models/")} >= set(DATA)

    def test_holds_no_leftovers(self, sdist):
        assert [name for name in sdist if re.search(r"__pycache__|_cache/|\.venv|\.so$|\.pyc$", name)] == []


# Every module must be of the standard library or of one of these distributions, as in an environment that holds
# nothing else. What is missing there raises the very error that Python raises, so optional imports stay optional.
BLOCKED = """
import sys
allowed = set(sys.argv[1].split(","))

class Blocker:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in allowed and top not in sys.stdlib_module_names:
            raise ModuleNotFoundError(f"No module named {top!r}", name=top)

sys.meta_path.insert(0, Blocker())
from kmr_cli.__main__ import main
sys.argv[1:] = sys.argv[2:]
main()
"""


def distributions(names):
    """These distributions and, recursively, what they need without any extra."""
    found = set()
    todo = set(names)
    while todo:
        name = todo.pop()
        found.add(name)
        for line in metadata.requires(name) or ():
            one = Requirement(line)
            if one.marker is None or one.marker.evaluate({"extra": ""}):
                todo |= {canonicalize_name(one.name)} - found
    return found


@pytest.fixture(scope="session")
def light_modules():
    light = distributions(LIGHT | (FOR_PYTHON_3_10 if sys.version_info < (3, 11) else set()))
    files = [file for name in light for file in metadata.files(name)]
    tops = {file.parts[0].partition(".")[0] for file in files if file.suffix in (".py", ".so")}
    assert {"click", "h5py", "ml_dtypes", "numpy", "google", "rich", "pygments"} <= tops
    assert tops.isdisjoint({"keras", "tensorflow", "torch", "pytest", "packaging", "kmr_cli"})
    return tops


def with_light_modules(tops, *arguments):
    allowed = ",".join(sorted({*tops, "kmr_cli"}))
    command = [sys.executable, "-c", BLOCKED, allowed, *map(str, arguments)]
    return subprocess.run(command, cwd=HOME, capture_output=True, text=True, timeout=120, check=False)


class TestLightInstall:
    @pytest.mark.parametrize("name", DATA)
    def test_layers_of_every_sample_model(self, light_modules, name):
        done = with_light_modules(light_modules, "layers", name)
        assert (done.returncode, done.stderr) == (0, "")
        assert "parameters in the model" in done.stdout

    def test_help(self, light_modules):
        done = with_light_modules(light_modules, "--help")
        assert (done.returncode, done.stderr) == (0, "")
        assert "Usage: kmr-inspect" in done.stdout

    @pytest.mark.parametrize(
        ("name", "extra"),
        [
            ("digits.keras", "tensorflow"),
            ("digits.h5", "tensorflow"),
            ("digits_savedmodel", "tensorflow"),
            ("digits_scripted.pt", "torch"),
        ],
    )
    def test_sample_names_the_extra(self, light_modules, name, extra):
        done = with_light_modules(
            light_modules, "sample", name, "--layer", "conv1", "--index", "4", "--input", "digits.npz"
        )
        assert (done.returncode, done.stdout) == (2, "")
        note, error, hint = done.stderr.splitlines()
        assert note == "note:  digits.npz: left out 'label'"
        assert re.fullmatch(r"error: (keras|tensorflow|torch) is not installed", error)
        assert hint == f"hint:  pip install 'kmr-inspect[{extra}]'"

    @pytest.mark.parametrize(("name", "module"), [("digits.keras", "h5py"), ("digits_savedmodel", "google")])
    def test_the_blocker_can_fail(self, light_modules, name, module):
        done = with_light_modules(light_modules - {module}, "layers", name)
        assert done.returncode != 0
        assert f"No module named '{module}'" in done.stderr
