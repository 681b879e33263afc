"""The bad files once more, with the refusal lifted: the sandbox keeps what they are after from them.

``make attack`` runs all of them, which takes a minute or two; ``make test`` those that do what they are made for as
soon as their framework runs them.
"""

from pathlib import Path

import pytest
from bad_files import endless, keras_files, no_models, onnx_files, pickles, savedmodels, torch_files
from bad_files.run import touched

from kmr_cli.process import sandbox
from kmr_cli.rules import RULES

BAD = {
    case.name: case
    for home in (pickles, keras_files, savedmodels, torch_files, onnx_files, endless, no_models)
    for case in home.CASES
    if case.rule not in RULES or RULES[case.rule].severity == "error"
}
ALWAYS = ("script_saves", "answer_writes", "onnx_weights_outside")

pytestmark = pytest.mark.skipif(len(sandbox.offered()) < 2, reason="this machine has no Landlock, or no seccomp")


def attacks():
    return [name if name in ALWAYS else pytest.param(name, marks=pytest.mark.attack) for name in BAD]


@pytest.mark.parametrize("name", attacks())
def test_nothing_around_a_bad_file_is_touched(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert touched(BAD[name], tmp_path) == []


@pytest.mark.parametrize("name", ["script_saves", pytest.param("answer_writes", marks=pytest.mark.attack)])
def test_without_the_sandbox_it_is(name, tmp_path, monkeypatch):
    """So the test above can fail."""
    monkeypatch.chdir(tmp_path)
    assert [Path(place).name for place in touched(BAD[name], tmp_path, sandbox="off")] == ["canary"]
