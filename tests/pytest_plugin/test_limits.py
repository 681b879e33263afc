"""What a model may take, and whether it is trusted, asked of the pytest plugin: by options, ini file and settings."""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from bad_files import torch_files

from kmr_cli.pytest_plugin import guarded, items  # noqa: F401  (loaded once, not by every run inside this process)

pytest_plugins = ["pytester"]
SAMPLES = Path(__file__).parents[2] / "sample_models"
ASKED = ("--kmr-model", "digits.onnx", "--kmr-import", "kmr_in_the_child", "-k", "KMR101")
SLOW = "import time\ntime.sleep(20)\n"
LARGE = "import time\nheld = []\nwhile True:\n    held.append(b'x' * 10**7)\n    time.sleep(0.002)\n"


@pytest.fixture
def project(pytester, monkeypatch):
    pytester.path.joinpath("digits.onnx").write_bytes((SAMPLES / "digits.onnx").read_bytes())
    monkeypatch.syspath_prepend(str(pytester.path))
    return pytester


def said_of(project, code, *arguments):
    (project.path / "kmr_in_the_child.py").write_text(code)
    result = project.runpytest(*ASKED, *arguments)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "passed" not in result.parseoutcomes()
    return "\n".join(result.outlines)


@pytest.mark.parametrize("place", ["option", "ini", "pyproject"])
def test_too_long(project, place):
    if place == "pyproject":
        project.makepyprojecttoml("[tool.kmr-inspect]\ntimeout = 0.8\n")
    if place == "ini":
        project.makeini("[pytest]\nkmr_timeout = 0.8\n")
    said = said_of(project, SLOW, *(["--kmr-timeout", "0.8"] if place == "option" else []))
    assert "took longer than the 0.8 s allowed" in said
    assert "--kmr-timeout" in said


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize("place", ["option", "ini", "pyproject"])
def test_too_much_memory(project, place):
    if place == "pyproject":
        project.makepyprojecttoml('[tool.kmr-inspect]\nmemory = "500M"\n')
    if place == "ini":
        project.makeini("[pytest]\nkmr_memory = 500M\n")
    said = said_of(project, LARGE, *(["--kmr-memory", "500M"] if place == "option" else []))
    assert "took more memory than the 500 MiB allowed: 5" in said
    assert "--kmr-memory" in said


def test_what_is_typed_counts_more_than_what_the_project_says(project):
    project.makepyprojecttoml('[tool.kmr-inspect]\ntimeout = 300\nmemory = "1M"\n')
    said = said_of(project, SLOW, "--kmr-timeout", "0.8", "--kmr-memory", "8G")
    assert "took longer than the 0.8 s allowed" in said


@pytest.fixture
def refused(pytester):
    """A file that is refused for a member that nobody reads."""
    (case,) = [one for one in torch_files.CASES if one.name == "pt2_compiled"]
    case.build(pytester.path)
    return pytester


needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")  # in the model's process, not here
PROVEN = ("--kmr-model", "model.pt2", "-k", "KMR101")


@needs_torch
def test_what_could_do_harm_is_refused(refused):
    result = refused.runpytest(*PROVEN)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "passed" not in result.parseoutcomes()
    result.stdout.fnmatch_lines(["*model.pt2: refused, not loaded: *aotinductor*", "*--kmr-trust*"])


@needs_torch
@pytest.mark.parametrize("place", ["option", "ini", "pyproject", "mark"])
def test_what_is_trusted_is_loaded(refused, place):
    asked = [*PROVEN, *(["--kmr-trust"] if place == "option" else [])]
    if place == "ini":
        refused.makeini("[pytest]\nkmr_trust = true\n")
    if place == "pyproject":
        refused.makepyprojecttoml('[tool.kmr-inspect.models."*.pt2"]\ntrust = true\n')
    if place == "mark":
        asked = []
        refused.makepyfile(
            """
            import pytest

            @pytest.mark.kmr_model("model.pt2", trust=True)
            def test_trusted(kmr_model):
                kmr_model.assert_batch_independent()

            @pytest.mark.kmr_model("model.pt2")
            def test_refused(kmr_model):
                with pytest.raises(pytest.fail.Exception, match="refused, not loaded"):
                    kmr_model.assert_batch_independent()
            """
        )
    result = refused.runpytest(*asked)
    assert result.ret == pytest.ExitCode.OK, result.outlines
    assert result.parseoutcomes()["passed"] >= 2
