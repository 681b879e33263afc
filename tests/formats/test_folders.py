"""A format is one folder and one line in the table: nothing outside knows it by name, nothing inside leaks."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from zoo.samples import HOME

import kmr_cli
from kmr_cli.formats import FORMATS, all_formats, load_format
from kmr_cli.formats.interface import REQUIRED

PACKAGE = Path(kmr_cli.__file__).parent
HOMES = {name: Path(import_module(line.module).__file__).parent for name, line in FORMATS.items()}
FRAMEWORKS = {"tensorflow", "torch", "keras", "tf_keras", "jax", "onnx", "onnxruntime"}
EXAMPLES = {
    "keras": "digits.keras",
    "h5": "digits.h5",
    "savedmodel": "digits_savedmodel",
    "torchscript": "digits_traced.pt",
    "onnx": "digits.onnx",
    "pt2": "digits.pt2",
}


def literals(tree):
    """(text, line) of every string in code that is not documentation."""
    documentation = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value, node.lineno


def known_by_name(path, source):
    names = {name for name, home in HOMES.items() if home not in path.parents}
    return [f"{path.name}:{line}: {text!r}" for text, line in literals(ast.parse(source)) if text in names]


def test_nothing_outside_its_folder_knows_a_format_by_name():
    table = PACKAGE / "formats" / "__init__.py"
    operators = PACKAGE / "proof" / "vocabularies"  # one is called as the runtime whose operators it knows
    elsewhere = [path for path in PACKAGE.rglob("*.py") if path != table and path.parent != operators]
    found = [line for path in elsewhere for line in known_by_name(path, path.read_text())]
    assert found == []


def test_the_search_for_names_can_fail():
    elsewhere = PACKAGE / "render" / "anything.py"
    assert known_by_name(elsewhere, 'TITLES = {"savedmodel": "SavedModel"}') == ["anything.py:1: 'savedmodel'"]
    assert known_by_name(elsewhere, '"""savedmodel"""') == []
    assert known_by_name(HOMES["savedmodel"] / "__init__.py", 'NAME = "savedmodel"') == []


def forbidden(source):
    """Imports of a framework, or of what runs models, at any place of a file that only describes."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.split(".")[0] in FRAMEWORKS or "run" in name.split(".")]


def test_what_describes_imports_neither_a_framework_nor_what_runs():
    files = [path for home in set(HOMES.values()) for path in (home / "describe").rglob("*.py")]
    assert len(files) > 30
    assert {path.name: forbidden(path.read_text()) for path in files if forbidden(path.read_text())} == {}


def test_the_search_for_imports_can_fail():
    assert forbidden("def f():\n    import torch.nn") == ["torch.nn"]
    assert forbidden("from kmr_cli.formats.keras.run import load") != []
    assert forbidden("from kmr_cli.formats.keras.describe import load") == []


LOADED = """
import sys
from pathlib import Path
from kmr_cli.formats import describe
from kmr_cli.formats.interface import OpenOptions
{more}
found, info = describe(Path({path!r}), OpenOptions())
print(found.NAME, len(info.layers) > 0, sorted(name for name in sys.modules if name.split(".")[0] in {frameworks!r}
      or name.startswith("kmr_cli.formats.") and "run" in name.split(".")))
"""


def loaded_by_describing(name, more=""):
    script = LOADED.format(path=str(HOME / EXAMPLES[name]), frameworks=FRAMEWORKS, more=more)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", EXAMPLES)
def test_describing_loads_neither_a_framework_nor_what_runs(name):
    assert loaded_by_describing(name) == f"{name} True []"


def test_the_look_at_what_is_loaded_can_fail():
    assert "kmr_cli.formats.keras.run" in loaded_by_describing("keras", "import kmr_cli.formats.keras.run.backend")


def test_reading_the_facts_loads_nothing_that_reads_files():
    script = (
        "import sys; from kmr_cli.formats.facts import frameworks, title; frameworks(); title('savedmodel')\n"
        "print(sorted({'h5py', 'google.protobuf'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_has_all_that_is_asked_for(name):
    found = load_format(name)
    assert name == found.NAME
    assert [part for part in REQUIRED if not hasattr(found, part)] == []
    for path in sorted((HOMES[name] / "describe").glob("*.py")):
        import_module(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
    assert callable(found.describe), "the folder describe has taken the place of the function describe"


def test_help_names_every_format():
    from click.testing import CliRunner

    from kmr_cli.cli import cli

    text = " ".join(CliRunner().invoke(cli, ["--help"]).output.split())
    for found in all_formats():
        assert found.FILE.split(" ", 1)[1].split(" file")[0] in text
