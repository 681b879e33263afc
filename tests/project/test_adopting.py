"""The GitHub Action, the pre-commit hooks and the GitLab job do what their files say: the commands in them are run."""

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml
from onnx import helper
from zoo.onnx_models import model, save, tensor
from zoo.samples import COMMAND, HOME

ROOT = Path(__file__).resolve().parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
PAGE = (ROOT / "docs" / "adopting.md").read_text()
EXPRESSION = re.compile(r"\$\{\{\s*(\S+)\s*\}\}")


def block(title):
    """The YAML below a title of the page."""
    return yaml.safe_load(PAGE.partition(f"## {title}\n")[2].partition("```yaml\n")[2].partition("```")[0])


def bash(script, cwd, **environment):
    """As GitHub runs a step of bash."""
    around = {**os.environ, "PATH": f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}", **environment}
    line = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(line, cwd=cwd, env=around, capture_output=True, text=True, timeout=120)


def step(number, cwd, inputs=None, **environment):
    """One step of the action, with the inputs of a job over their defaults."""
    known = {name: value.get("default", "") for name, value in ACTION["inputs"].items()} | (inputs or {})
    values = {"github.action_path": str(ROOT), **{f"inputs.{name}": value for name, value in known.items()}}
    asked = ACTION["runs"]["steps"][number]
    assert "${{" not in asked["run"], "an expression in a script is a hole"
    given = {name: EXPRESSION.sub(lambda found: values[found[1]], text) for name, text in asked["env"].items()}
    return bash(asked["run"], cwd, **given, **environment)


@pytest.fixture
def models(tmp_path):
    """A folder with models: one that is fine, and one in which samples mix."""
    place = tmp_path / "my models"
    place.mkdir()
    shutil.copy(HOME / "digits.onnx", place)
    mixing = [helper.make_node("Softmax", ["x"], ["y"], axis=0)]
    (place / "mixed").mkdir()
    save(model(mixing, [tensor("x", ["batch", 3])], [tensor("y", ["batch", 3])]), place / "mixed" / "mixed.onnx")
    return place


def test_the_action_checks_what_its_globs_match(tmp_path, models):
    inputs = {"models": "my models/*.onnx\n\n", "input": f"{HOME / 'digits.npz'}\n", "arguments": "--batch-sizes=2"}
    run = step(1, tmp_path, inputs)
    assert run.returncode == 0, run.stderr
    assert "1 model: 1 pass" in run.stdout
    run = step(1, tmp_path, {"models": "my models/**/m*.onnx", "arguments": "--batch-sizes=2"})
    assert run.returncode == 1
    assert "::error file=my models/mixed/mixed.onnx,title=KMR101" in run.stdout


def test_the_action_compares(tmp_path, models):
    inputs = {"models": "my models/digits.onnx", "command": "compare", "baseline": str(HOME / "digits.onnx")}
    run = step(1, tmp_path, {**inputs, "input": str(HOME / "digits.npz")})
    assert run.returncode == 0, run.stderr
    assert "1 pass" in run.stdout


@pytest.mark.parametrize("pattern", ["*.onnx", "$(touch gone)"])
def test_an_action_that_finds_nothing_is_not_green(tmp_path, pattern):
    run = step(1, tmp_path, {"models": pattern})
    assert run.returncode == 2
    assert run.stdout.startswith("::error")
    assert pattern in run.stdout
    assert not (tmp_path / "gone").exists()


def test_the_action_installs_the_package(tmp_path):
    without = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_TARGET": str(tmp_path)}
    run = step(0, tmp_path, {"extra": "onnx"}, **without)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "kmr_cli" / "__main__.py").is_file()


def test_the_job_on_the_page_uses_inputs_that_there_are():
    steps = block("GitHub")["jobs"]["check"]["steps"]
    (used,) = [one["with"] for one in steps if "kmr-inspect" in one.get("uses", "")]
    assert set(used) <= set(ACTION["inputs"])
    assert {name for name, value in ACTION["inputs"].items() if value.get("required")} <= set(used)


def hook(name, cwd, *files, args=()):
    (one,) = [one for one in HOOKS if one["id"] == name]
    fitting = [file for file in files if re.search(one["files"], file)]
    return subprocess.run(
        [COMMAND.parent / one["entry"].split()[0], *one["entry"].split()[1:], *args, *fitting],
        cwd=cwd, capture_output=True, text=True, timeout=120,
    ), fitting  # fmt: skip


def test_the_hook_that_scans(tmp_path):
    run, files = hook("kmr-inspect-scan", HOME, "digits.onnx", "windows.pt", "digits.npz", "train.py")
    assert files == ["digits.onnx", "windows.pt"]
    assert run.returncode == 0, run.stdout
    (tmp_path / "bad.pt").write_bytes(b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.")
    run, _ = hook("kmr-inspect-scan", tmp_path, "bad.pt")
    assert run.returncode == 1, run.stderr
    assert "KMR501" in run.stdout


def test_the_hook_that_proves(models):
    run, files = hook("kmr-inspect-proof", models, "digits.onnx", "mixed.pt")
    assert files == ["digits.onnx"]
    assert run.returncode == 0, run.stdout
    run, _ = hook("kmr-inspect-proof", models, "mixed/mixed.onnx")
    assert run.returncode == 1
    (used,) = block("pre-commit")["repos"]
    assert {one["id"] for one in used["hooks"]} == {one["id"] for one in HOOKS}
    assert all(one["language"] == "python" for one in HOOKS)


def test_the_gitlab_job(tmp_path, models):
    models.rename(tmp_path / "models")
    job = block("GitLab")["models"]
    install, *script = job["script"]
    assert install.startswith("pip install")
    run = bash("\n".join(script), tmp_path)
    assert run.returncode == 0, run.stderr
    report = ET.parse(tmp_path / job["artifacts"]["reports"]["junit"]).getroot()
    assert report.find(".//testcase") is not None


def test_python_is_the_one_that_runs_the_tests():
    """Else what is installed above would be another's."""
    assert Path(sys.executable).parent == COMMAND.parent
