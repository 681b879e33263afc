"""Shell completion: layers of the model on the line, rules and files, in bash, zsh and fish."""

import os
import subprocess
import sys

import onnx
import pytest
from onnx import TensorProto, helper
from zoo.samples import COMMAND, HOME, command

SHELLS = {"bash": "plain,{}", "zsh": "plain\n{}\n", "fish": "plain,{}"}


def offered(*words, shell="bash", cwd=None):
    """What is offered for the last word."""
    line = {"COMP_WORDS": " ".join(("kmr-inspect", *words)), "COMP_CWORD": str(len(words))}
    if shell == "fish":
        line["COMP_CWORD"] = words[-1]
    run = command([], cwd=cwd, _KMR_INSPECT_COMPLETE=f"{shell}_complete", **line)
    assert run.stderr == ""
    return run.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_layers_of_the_model_on_the_line(shell):
    found = offered("sample", HOME.as_posix() + "/digits.keras", "--layer", "conv", shell=shell)
    assert SHELLS[shell].format("conv1") in found
    assert SHELLS[shell].format("conv2") in found
    assert "pool" not in found


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("trace", "pair.keras", "-l", "tower/conv"), ["plain,tower/conv1", "plain,tower/conv2"]),
        (("trace", "pair.keras", "-l", "emb"), ["plain,embed"]),
        (("check-batch-axis", "recommender_savedmodel", "--allow", "nothing"), [""]),
        (("trace", "none.keras", "-l", "emb"), [""]),
        (("trace", "digits.npz", "-l", "emb"), [""]),
        (("trace", "--layer", "emb"), [""]),
        (("rules", "kmr50"), [f"plain,KMR50{number}" for number in range(1, 7)]),
        (("check-batch-axis", "--ignore", "KMR303"), ["plain,KMR303"]),
        (("trace", "pai"), ["file,pai"]),
        (("trace", "pair.keras", "--input", "da"), ["file,da"]),
        (("tra",), ["plain,trace"]),
    ],
)
def test_what_is_offered(words, expected):
    assert offered(*words, cwd=HOME).rstrip("\n").split("\n") == expected


def test_a_name_that_means_something_to_a_shell_is_not_offered(tmp_path):
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="$(touch${IFS}gone)"),
        helper.make_node("Relu", ["a"], ["b"], name="a;b"),
        helper.make_node("Relu", ["b"], ["y"], name="a_plain_one"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3]) for name in "xy"]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:])), tmp_path / "a.onnx")
    listed = command(["layers", "a.onnx"], cwd=tmp_path).stdout
    assert "touch" in listed
    assert offered("trace", "a.onnx", "-l", "", cwd=tmp_path) == "plain,a_plain_one\n"


def test_bash_itself(tmp_path):
    script = (
        f'eval "$(_KMR_INSPECT_COMPLETE=bash_source {COMMAND})"\n'
        f"COMP_WORDS=({COMMAND} sample {HOME}/digits.keras --layer conv); COMP_CWORD=4\n"
        f'_kmr_inspect_completion {COMMAND} conv --layer\nprintf "%s\\n" "${{COMPREPLY[@]}}"\n'
        "complete -p kmr-inspect\n"
    )
    run = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert run.stdout.split("\n")[:2] == ["conv1", "conv2"], run.stderr
    assert "_kmr_inspect_completion kmr-inspect" in run.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_its_script(shell):
    assert "_KMR_INSPECT_COMPLETE" in command([], _KMR_INSPECT_COMPLETE=f"{shell}_source").stdout


def test_no_framework_is_imported():
    script = (
        "import sys\nfrom kmr_cli.cli import run\ntry: run([])\nexcept SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'torch', 'onnxruntime', 'numpy', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    line = f"kmr-inspect sample {HOME}/digits.keras --layer conv"
    environment = {"_KMR_INSPECT_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": "4"}
    # A process of its own: those of the warm server have the frameworks loaded.
    run = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )
    assert "plain,conv1" in run.stdout
    assert run.stderr.strip() == "[]"
