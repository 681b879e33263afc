"""What ``kmr-inspect doctor`` tells: true on this machine, and on one that has nothing."""

import json
import re
from importlib import metadata

import pytest

from kmr_cli import dumps
from kmr_cli.api.versions import versions_of
from kmr_cli.batch.files.source import LIBRARIES
from kmr_cli.cli import run
from kmr_cli.formats import all_formats
from kmr_cli.formats.common import frameworks
from kmr_cli.formats.keras import archive
from kmr_cli.formats.keras.run import backend
from kmr_cli.process.sandbox import landlock, seccomp


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")


def test_a_narrow_screen(capsys, monkeypatch):
    """What is too long goes on below where it began, whole."""
    run(["doctor"])
    whole = capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "60")
    assert run(["doctor"]) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 60
    assert len(said.splitlines()) > len(whole.splitlines())
    assert re.sub(r"\n {22}", " ", said) == whole


@pytest.mark.parametrize("arguments", [["doctor"], ["--version", "--verbose"], ["-V", "--verbose"]])
def test_what_is_installed(arguments, capsys):
    assert run(arguments) == 0
    said = capsys.readouterr().out
    for format_ in all_formats():
        (line,) = [line for line in said.splitlines() if line.startswith(f"{format_.TITLE} ")]
        known = versions_of(format_.NAME)
        assert all(f"{name} {known[name]}" in line for name in format_.PROGRAMS if name in known)
    libraries = ", ".join(f"{name} {metadata.version(name)}" for name in ("pyarrow", "Pillow", "safetensors"))
    assert f"data files            {libraries}\n" in said
    libraries = ", ".join(f"{name} {metadata.version(name)}" for name in dumps.LIBRARIES)
    assert f"whole data sets       {libraries}" in said
    assert ("Landlock" in said) == bool(landlock.version())


def test_for_programs(capsys):
    assert run(["doctor", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [format_["name"] for format_ in told["formats"]] == [format_.NAME for format_ in all_formats()]
    for format_ in told["formats"]:
        assert format_["runs"] == (format_["install"] is None)
        assert format_["programs"].items() <= versions_of(format_["name"]).items()
    assert set(told["data_files"]["programs"]) == {"pyarrow", "Pillow", "safetensors"}
    assert (told["data_files"]["missing"], told["refused"]) == ([], None)
    assert bool(told["sandbox"]) == bool(landlock.version())


def test_a_library_that_another_distribution_brings_has_no_version(capsys, monkeypatch):
    monkeypatch.setitem(LIBRARIES, "Pillow-by-another-name", "PIL")
    assert run(["doctor", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)["data_files"]
    assert (set(told["programs"]), told["missing"]) == ({"pyarrow", "Pillow", "safetensors"}, [])


@pytest.mark.parametrize("name", ["torch", "tensorflow"])
def test_the_backend_of_keras(capsys, monkeypatch, name):
    if name != "tensorflow" and not frameworks.installed(name):
        pytest.skip(f"no {name}")
    monkeypatch.setenv("KERAS_BACKEND", name)
    run(["doctor"])
    assert re.search(rf"^Keras archive .*; backend: {name}$", capsys.readouterr().out, re.MULTILINE)


def test_the_backend_that_is_chosen_is_the_one_that_is_installed(monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setattr(backend, "installed", lambda name: name == "torch")
    assert archive.backend() == "torch"
    monkeypatch.setattr(backend, "installed", lambda _: False)
    assert archive.backend() is None


def test_a_machine_that_has_nothing(capsys, monkeypatch):
    monkeypatch.setattr(landlock, "version", lambda: 0)
    monkeypatch.setattr(seccomp, "available", lambda: False)
    monkeypatch.setattr(frameworks, "installed", lambda _: False)
    assert run(["doctor"]) == 0
    said = capsys.readouterr().out
    assert said.count("cannot be run: pip install") == len(all_formats())
    assert "data files            no pyarrow, Pillow, safetensors: pip install" in said
    assert f"whole data sets       no {', '.join(dumps.LIBRARIES)}: pip install 'kmr-inspect[dump]'" in said
    assert "sandbox               none: a model can reach whatever you can" in said
    monkeypatch.setattr(seccomp, "available", lambda: True)
    run(["doctor"])
    assert "seccomp (filters); no Landlock" in capsys.readouterr().out
