"""The house rules that a tool can hold: one direction of imports, no cycles, no framework where none is needed."""

import ast
import functools
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import kmr_cli

PACKAGE = Path(kmr_cli.__file__).parent
FRAMEWORKS = {"tensorflow", "torch", "keras", "tf_keras", "jax", "onnx", "onnxruntime"}
GROUND = {"errors", "records", "rules", "version"}
# Who may import whom: a package may import what stands before it. The ground imports nothing of ours.
ORDER = (
    "errors", "records", "rules", "version",
    "arrays", "layers", "config", "formats", "scan", "proof", "batch", "evidence", "check", "snapshot", "compare",
    "process", "api", "render", "pytest_plugin", "cli", "__main__",
)  # fmt: skip


@functools.cache
def modules():
    return {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}


def part_of(path):
    """The name in ORDER that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree, *, at_load=False):
    """(module, node) of every import; ``at_load``: only those that run when the module is imported."""
    skipped = set()
    if at_load:
        for node in ast.walk(tree):
            lazy = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
            if lazy or typing:
                skipped |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "absolute imports only"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(tree, **options):
    for name in imports(tree, **options):
        parts = name.split(".")
        if parts[0] == "kmr_cli" and len(parts) > 1 and parts[1] in ORDER:
            yield parts[1]


def test_every_part_has_its_place():
    parts = {part_of(path) for path in modules() if path.parent != PACKAGE or path.name != "__init__.py"}
    assert parts <= set(ORDER), "a new part must be put into ORDER"


def test_imports_go_one_way():
    wrong = []
    for path, tree in modules().items():
        here = part_of(path)
        if here == "__init__":
            continue
        for there in set(ours(tree)):
            if there != here and (here in GROUND or ORDER.index(there) > ORDER.index(here)):
                wrong.append(f"{path.relative_to(PACKAGE)} imports {there}")
    assert wrong == []


def test_only_formats_and_layers_import_a_framework_and_formats_only_lazily():
    wrong = []
    for path, tree in modules().items():
        here = part_of(path)
        for name in imports(tree, at_load=here == "formats"):
            if name.split(".")[0] in FRAMEWORKS and here != "layers":
                wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert wrong == []


def test_no_cycles():
    names = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): tree for path, tree in modules().items()}
    names = {name.removesuffix(".__init__"): tree for name, tree in names.items()}
    edges = {name: {there for there in imports(tree) if there in names} - {name} for name, tree in names.items()}
    edges["kmr_cli"] = set()  # its names are resolved on first use
    state = {}

    def visit(name, trail):
        if state.get(name) == "done":
            return
        assert state.get(name) != "open", " -> ".join([*trail, name])
        state[name] = "open"
        for there in sorted(edges[name]):
            # A package's own members may name the package: its __init__ is their table of contents.
            if not (name.startswith(there + ".") or there.startswith(name + ".")):
                visit(there, [*trail, name])
        state[name] = "done"

    for name in edges:
        visit(name, [])


def test_no_file_is_too_long_to_read_in_one_sitting():
    long = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in modules()}
    assert {name: lines for name, lines in long.items() if lines > 500} == {}
    assert not list(PACKAGE.rglob("util*.py"))


PROBE = """
import sys
from kmr_cli.cli import run
code = run({arguments!r})
loaded = sorted({frameworks!r} & set(sys.modules))
print("LOADED", loaded, code)
"""


def loaded_by(arguments, code=PROBE):
    script = code.format(arguments=arguments, frameworks=FRAMEWORKS)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return next(line for line in run.stdout.splitlines() if line.startswith("LOADED"))


@pytest.mark.parametrize("arguments", [["--help"], ["layers", "--help"], ["sample", "--help"]])
def test_help_imports_no_framework(arguments):
    assert loaded_by(arguments) == "LOADED [] 0"


def test_the_import_check_can_fail():
    assert loaded_by(["--help"], "import onnxruntime\n" + PROBE) == "LOADED ['onnxruntime'] 0"


def test_help_imports_neither_numpy_nor_rich():
    script = PROBE.replace("{frameworks!r}", "{{'numpy', 'rich', 'h5py', 'google.protobuf'}}")
    assert loaded_by(["--help"], script) == "LOADED [] 0"


def test_tests_run_against_the_installed_package():
    if '"editable": true' in (metadata.distribution("kmr-inspect").read_text("direct_url.json") or ""):
        pytest.skip("installed in editable mode: here the checkout is the installed package")
    assert PACKAGE.parent != Path(__file__).resolve().parents[2]
