"""Everything that the documents show can be run as it stands."""

import doctest
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from zoo.samples import HOME, command, python

import kmr_cli
import kmr_cli.api.checking
import kmr_cli.api.model
from kmr_cli.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
TEXT = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}
FENCE = re.compile(r"^ *```(?P<info>[^\n]*)\n(?P<body>.*?)^ *```$", re.MULTILINE | re.DOTALL)
STAND_INS = {
    "model.onnx": "digits.onnx",
    "model.keras": "digits.keras",
    "exported": "digits_savedmodel",
    "batch.npz": "digits.npz",
}
"""What a page's own commands are run on: the name that it uses, the sample model that stands for it."""
NOT_OURS = ("make", "pip", ".", "cosign", "eval", "_KMR_INSPECT_COMPLETE=fish_source", "cp")
"""Programs that pages show and that other tests run (``make``), or nobody can here (``cosign``)."""


def blocks(language, pages=TEXT):
    """(page, what follows the language, body) of every fenced block."""
    for page in pages:
        for block in FENCE.finditer(TEXT[page]):
            kind, _, more = block["info"].partition(" ")
            if kind == language:
                yield page, more, block["body"]


def python_of(page):
    return [body for _, more, body in blocks("python", [page]) if not more and "def test_" not in body]


WITH_PYTHON = [
    page for page in TEXT if page.split("/")[-1] != "reference.md" and "rules/" not in page and python_of(page)
]


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_PYTHON)
def test_python_examples_run(page, tmp_path):
    (tmp_path / "sample_models").symlink_to(ROOT / "sample_models")
    for code in python_of(page):
        run = python("-c", code, cwd=tmp_path)
        assert run.returncode == 0, run.stderr
        assert run.stdout


@pytest.mark.slow
def test_example_tests_pass(tmp_path):
    (example,) = [body for _, more, body in blocks("python", ["docs/pytest.md"]) if "def test_" in body]
    file = tmp_path / "test_example.py"
    file.write_text(example)
    run = python("-m", "pytest", "-q", "-c", ROOT / "pyproject.toml", "--rootdir", ROOT, file, cwd=ROOT)
    assert run.returncode == 0, run.stdout
    assert "1 passed" in run.stdout


@pytest.mark.slow
def test_the_test_of_a_layer_finds_what_its_page_says(tmp_path):
    files = {more.partition("=")[2]: body for _, more, body in blocks("python", ["docs/jobs/check-a-layer.md"]) if more}
    assert set(files) == {"my_layers.py", "test_gate.py"}
    for name, body in files.items():
        (tmp_path / name).write_text(body)
    run = python("-m", "pytest", "-q", "test_gate.py", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert "1 failed" in run.stdout, run.stdout + run.stderr
    assert "KMR101" in run.stdout
    (tmp_path / "my_layers.py").write_text(files["my_layers.py"].replace("softmax(0)", "softmax(-1)"))
    run = python("-m", "pytest", "-q", "test_gate.py", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert "1 passed" in run.stdout, run.stdout


@pytest.mark.slow
@pytest.mark.parametrize("module", [kmr_cli.api.model, kmr_cli.api.checking], ids=lambda module: module.__name__)
def test_docstring_examples_run(module, monkeypatch):
    monkeypatch.chdir(ROOT)
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def commands_of(page):
    """The lines of its ``sh`` blocks, without comments, continued lines joined."""
    for _, _, body in blocks("sh", [page]):
        for line in body.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words


WITH_COMMANDS = [
    page for page in TEXT if "/rules/" not in page and any(words[0] not in NOT_OURS for words in commands_of(page))
]


@pytest.fixture
def folder(tmp_path):
    """A folder of somebody who has a model, a batch and the sample models."""
    for name, sample in STAND_INS.items():
        if (HOME / sample).is_dir():
            shutil.copytree(HOME / sample, tmp_path / name)
        else:
            shutil.copy(HOME / sample, tmp_path / name)
    (tmp_path / "sample_models").symlink_to(HOME)
    return tmp_path


def globbed(word, folder):
    """What a shell makes of a word."""
    return sorted(str(path.relative_to(folder)) for path in folder.glob(word)) if "*" in word else []


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_commands_run(page, folder):
    for words in commands_of(page):
        if words[0] in NOT_OURS:
            continue
        assert words[0] in ("kmr-inspect", "pytest"), words
        arguments = [name for word in words[1:] for name in (globbed(word, folder) or [word])]
        if words[0] == "pytest":
            run = python("-m", "pytest", *arguments, "-p", "no:cacheprovider", cwd=folder)
        else:
            run = command(arguments, cwd=folder)
        assert run.returncode == 0, f"{shlex.join(words)}\n{run.stdout}\n{run.stderr}"


def test_every_command_and_option_that_is_named_exists():
    help_text = ""
    for name in ([], *([name] for name in COMMANDS)):
        run = subprocess.run(
            [sys.executable, "-m", "kmr_cli", *name, "--help"], capture_output=True, text=True, check=True
        )
        help_text += run.stdout
    run = subprocess.run([sys.executable, "-m", "pytest", "--help"], capture_output=True, text=True, check=True)
    help_text += run.stdout
    ours = [text for page, text in TEXT.items() if not page.endswith(("certificate.md", "architecture.md"))]
    named = {option for text in ours for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)}
    others = {"--enable", "--batching"}  # TensorFlow Serving's
    assert len(named) > 40
    assert {option for option in named - others if not re.search(rf"{option}\b", help_text)} == set()
    commands = {name for text in TEXT.values() for name in re.findall(r"(?:^|[`$] ?)kmr-inspect ([a-z-]+)", text, re.M)}
    assert len(commands) > 6
    assert commands - set(COMMANDS) == set()


def test_a_shape_may_have_a_dtype_wherever_shapes_are_reported():
    assert sum(text.count("--shape NAME=N,N:DTYPE") for text in TEXT.values()) > 1
    for module in (["pytest"], ["kmr_cli", "sample"]):
        run = subprocess.run([sys.executable, "-m", *module, "--help"], capture_output=True, text=True, check=True)
        assert "Shape of ONE sample, and its dtype, for synthetic data" in " ".join(run.stdout.split())


def test_screens_are_there_for_every_command():
    shown = {name for text in TEXT.values() for name in re.findall(r"^\$ kmr-inspect ([\w-]+)", text, re.MULTILINE)}
    assert {"layers", "sample", "trace", "check-batch-axis", "compare", "scan"} <= shown
    assert all(len(body.splitlines()) > 1 for _, _, body in blocks("console"))


def test_every_file_that_is_named_is_there():
    for text in TEXT.values():
        for name in set(re.findall(r"sample_models/[\w.]+", text)):
            assert (ROOT / name).exists(), name


def anchors(text):
    """What a link may name behind ``#``, as GitHub makes it of headings."""
    titles = re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).lower()).replace(" ", "-")
        for title in titles
    }


def broken(text, page):
    """Links of a page that lead nowhere."""
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text)):
        if target.startswith(("http:", "https:")):
            continue
        name, _, part = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        if not there.exists() or (part and part not in anchors(there.read_text(encoding="utf-8"))):
            yield target


OTHERS = ["CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "sample_models/README.md", "benchmarks/README.md"]


@pytest.mark.parametrize("name", [*TEXT, *OTHERS])
def test_every_link_leads_somewhere(name):
    page = ROOT / name
    assert list(broken(page.read_text(encoding="utf-8"), page)) == []


@pytest.mark.parametrize("link", ["[x](nowhere.md)", "[x](data.md#nowhere)", "[x](#nowhere)"])
def test_a_link_that_leads_nowhere_is_noticed(link):
    assert list(broken(link, DOCS / "README.md"))


def test_every_page_and_schema_is_listed():
    listed = set(re.findall(r"\]\(([^)\s#]+)\)", TEXT["docs/README.md"]))
    here = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} - {"README.md"}
    assert {name for name in here if not name.startswith("rules/KMR")} - listed == set()
    schemas = set(re.findall(r"\]\((\w\S*\.schema\.json)\)", TEXT["docs/schemas.md"]))
    assert schemas == {path.name for path in DOCS.glob("*.schema.json")}


def test_the_newcomer_reads_five_minutes():
    assert len(TEXT["README.md"].splitlines()) <= 150


def test_messages_that_troubleshooting_explains_exist():
    quoted = re.findall(r'^### "(.*)"$', TEXT["docs/troubleshooting.md"], re.MULTILINE)
    assert len(quoted) > 6
    sources = "".join(path.read_text(encoding="utf-8") for path in Path(kmr_cli.__file__).parent.rglob("*.py"))
    assert [message for message in quoted if message not in sources] == []


def test_make_demo_installs_what_the_five_minutes_need():
    run = subprocess.run(["make", "-nB", "demo"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert "-c constraints.txt --no-build-isolation '.[tensorflow,onnx]' 2>&1)" in run.stdout
