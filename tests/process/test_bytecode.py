"""Where a framework was installed without bytecode, it is written once: in the sandbox, no run could."""

import sys

import pytest
from bad_files import SAMPLES

from kmr_cli import open_model
from kmr_cli.process import bytecode, sandbox
from kmr_cli.process.search_path import without_current_folder


@pytest.fixture
def framework(tmp_path, monkeypatch):
    """A package of this name, as an installer leaves it that compiles nothing; its folder is where modules are."""
    package = tmp_path / "site" / "frameworks"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import frameworks.part\nprint('loaded')\n")
    (package / "part.py").write_text("import os\nopen(os.environ['HOME'] + '/written', 'w').close()\n")
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path, str(package.parent)])
    return package


def test_it_is_missing_until_it_was_written(framework, capfd):
    told = []
    assert bytecode.is_missing("frameworks")
    bytecode.write("frameworks", lambda *args: told.append(args))
    assert told == [("progress", "compiling frameworks for this run and later ones")]
    assert not bytecode.is_missing("frameworks")
    assert len(list(framework.glob("__pycache__/*.pyc"))) == 2
    assert "frameworks" not in sys.modules
    assert capfd.readouterr() == ("", "")


def test_a_framework_that_cannot_be_imported_is_no_error_here(framework, capfd):
    (framework / "__init__.py").write_text("raise SystemExit('broken')")
    bytecode.write("frameworks", lambda *_: None)
    assert capfd.readouterr() == ("", "")


def test_whoever_wants_none_gets_none(framework, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert not bytecode.is_missing("frameworks")


def test_what_is_not_installed_is_not_missing(framework, monkeypatch):
    assert not bytecode.is_missing("no_such_framework")
    assert not bytecode.is_missing("sys")
    monkeypatch.chdir(framework.parent)  # a model's folder, perhaps
    assert not bytecode.is_missing("frameworks")
    assert str(framework.parent) not in without_current_folder()


def test_where_it_cannot_be_written_nothing_is_tried(framework, monkeypatch):
    monkeypatch.setattr(bytecode.os, "access", lambda *_: False)
    assert not bytecode.is_missing("frameworks")


@pytest.fixture
def asked(monkeypatch):
    """The frameworks that bytecode is written of, of which there is none."""
    found = []
    monkeypatch.setattr(bytecode, "is_missing", lambda _: True)
    monkeypatch.setattr(bytecode, "write", lambda name, _: found.append(name))
    monkeypatch.setattr(sandbox, "offered", lambda: {"Landlock": "version 1"})
    return found


def test_it_is_written_before_the_first_run_in_a_sandbox(asked):
    with open_model(SAMPLES / "digits.onnx") as model:
        assert asked == []  # reading a file imports no framework
        model.sample("*", 0, verify=False)
        model.sample("*", 1, verify=False)
        assert asked == ["onnxruntime"]


def test_without_a_sandbox_a_run_writes_it_itself(asked, monkeypatch):
    with open_model(SAMPLES / "digits.onnx", sandbox="off") as model:
        model.sample("*", 0, verify=False)
    monkeypatch.setattr(sandbox, "offered", dict)
    with open_model(SAMPLES / "digits.onnx", in_process=False) as model:
        model.sample("*", 0, verify=False)
    assert asked == []
