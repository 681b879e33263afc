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
    "arrays", "layers", "config", "proof", "formats", "scan", "batch", "evidence", "check", "snapshot", "compare",
    "process", "dumps", "api", "render", "pytest_plugin", "cli", "__main__",
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


def upward(files):
    """What imports something that stands above it, or from the ground."""
    for path, tree in files.items():
        here = part_of(path)
        if here == "__init__":
            continue
        for there in sorted(set(ours(tree))):
            if there != here and (here in GROUND or ORDER.index(there) > ORDER.index(here)):
                yield f"{path.relative_to(PACKAGE)} imports {there}"


def test_imports_go_one_way():
    assert list(upward(modules())) == []


@pytest.mark.parametrize(
    ("file", "line", "said"),
    [
        ("evidence/owners.py", "from kmr_cli.check.check import check", "evidence/owners.py imports check"),
        ("render/documents/sarif.py", "import kmr_cli.cli", "render/documents/sarif.py imports cli"),
        ("errors.py", "from kmr_cli.version import __version__", "errors.py imports version"),
    ],
)
def test_the_order_can_be_broken(file, line, said):
    assert list(upward({PACKAGE / file: ast.parse(line)})) == [said]


def private(files):
    """Names that begin with an underscore, imported from another module; and the insides of a format, from outside."""
    for path, tree in files.items():
        inside = path.relative_to(PACKAGE.parent).with_suffix("").parts
        for name in imports(tree):
            parts = tuple(name.split("."))
            if parts[0] != PACKAGE.name:
                continue
            hidden = any(part.startswith("_") and not part.endswith("__") for part in parts[1:])
            of_a_format = parts[1:2] == ("formats",) and len(parts) > 3 and parts[3] in ("describe", "run")
            if hidden or (of_a_format and inside[:3] != parts[:3]):
                yield f"{path.relative_to(PACKAGE)} imports {name}"


def test_what_is_private_stays_so():
    assert list(private(modules())) == []


@pytest.mark.parametrize(
    "line",
    [
        "from kmr_cli.formats.keras.run.session import KerasSession",
        "from kmr_cli.formats.torchscript import describe",
        "from kmr_cli.arrays.ulp import _FRACTION",
        "from kmr_cli.arrays import _private",
    ],
)
def test_what_is_private_can_be_seen_to_leak(line):
    tree = ast.parse(line)
    assert list(private({PACKAGE / "api" / "model.py": tree}))
    if "keras" in line:
        assert not list(private({PACKAGE / "formats" / "keras" / "archive.py": tree}))


def test_only_formats_and_layers_import_a_framework_and_formats_only_lazily():
    wrong = []
    for path, tree in modules().items():
        here = part_of(path)
        for name in imports(tree, at_load=here == "formats"):
            if name.split(".")[0] in FRAMEWORKS and here != "layers":
                wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert wrong == []


def find_cycle(files):
    """A chain of imports that leads back to its beginning, or None."""
    names = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): tree for path, tree in files.items()}
    names = {name.removesuffix(".__init__"): tree for name, tree in names.items()}
    edges = {name: {there for there in imports(tree) if there in names} - {name} for name, tree in names.items()}
    edges["kmr_cli"] = set()  # its names are resolved on first use
    done = set()

    def visit(name, trail):
        if name in trail:
            return [*trail, name]
        if name in done:
            return None
        for there in sorted(edges[name]):
            # A package's own members may name the package: its __init__ is their table of contents.
            if not (name.startswith(there + ".") or there.startswith(name + ".")):
                found = visit(there, [*trail, name])
                if found:
                    return found
        done.add(name)
        return None

    return next((found for name in edges if (found := visit(name, []))), None)


def test_no_cycles():
    assert find_cycle(modules()) is None


def test_a_cycle_is_found():
    files = {
        PACKAGE / "arrays" / "one.py": ast.parse("from kmr_cli.arrays.two import x"),
        PACKAGE / "arrays" / "two.py": ast.parse("def late():\n    from kmr_cli.arrays import one"),
    }
    assert find_cycle(files) == ["kmr_cli.arrays.one", "kmr_cli.arrays.two", "kmr_cli.arrays.one"]


def test_every_package_says_what_it_is_for():
    """And, where it stands in ORDER, what it may import."""
    silent = []
    for path, tree in modules().items():
        if path.name == "__init__.py":
            text = ast.get_docstring(tree) or ""
            top = len(path.relative_to(PACKAGE).parts) == 2
            if len(text) < 30 or (top and path.parent.name not in ("layers", "pytest_plugin") and "mport" not in text):
                silent.append(str(path.relative_to(PACKAGE)))
    assert silent == []


def test_the_root_holds_the_ground_and_packages():
    loose = {path.stem for path in PACKAGE.glob("*.py")}
    assert loose <= {"__init__", "__main__", *GROUND}


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
