"""The current folder, which may have come with a model, is not looked in for modules."""

import sys
from pathlib import Path

import h5py
import pytest
from bad_files import SAMPLES

import kmr_cli
from kmr_cli.api.model import Model
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.process.child import can_fork
from kmr_cli.process.search_path import leave_out_current_folder


def test_the_current_folder_is_left_out_however_it_is_written(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    others = [str(tmp_path), *sys.path]
    monkeypatch.setattr(sys, "path", ["", ".", str(tmp_path / "here"), str(tmp_path / "link"), *others])
    leave_out_current_folder()
    assert sys.path == [entry for entry in others if entry]


@pytest.mark.parametrize("package", [h5py, kmr_cli], ids=["h5py", "kmr_cli"])
def test_not_where_this_program_needs_it(monkeypatch, package):
    """As in a checkout of it that is installed in editable mode, with --jobs."""
    packages = str(Path(package.__path__[0]).parent)
    monkeypatch.chdir(packages)
    monkeypatch.setattr(sys, "path", ["", packages, *(entry for entry in sys.path if entry != packages)])
    leave_out_current_folder()
    assert packages in sys.path


@pytest.mark.parametrize("fork", [False, True])
def test_a_child_does_not_look_there(tmp_path, monkeypatch, fork):
    """Beside the model lies what has the name of a framework."""
    if fork and not can_fork():
        pytest.skip("a framework is loaded, or a thread runs")
    (tmp_path / "onnxruntime.py").write_text("open('canary', 'w')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), *sys.path])
    with Model(SAMPLES / "digits.onnx", OpenOptions(), fork=fork) as model:
        assert model.sample("conv2", 0)
    assert not (tmp_path / "canary").exists()
