"""The current folder, which may have come with a model, is not looked in for modules."""

import sys

import h5py

from kmr_cli.process.child import Child
from kmr_cli.process.search_path import leave_out_current_folder


def test_the_current_folder_is_left_out_however_it_is_written(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    others = [str(tmp_path), *sys.path]
    monkeypatch.setattr(sys, "path", ["", ".", str(tmp_path / "here"), str(tmp_path / "link"), *others])
    leave_out_current_folder()
    assert sys.path == [entry for entry in others if entry]


def test_not_where_this_program_needs_it(monkeypatch):
    packages = h5py.__path__[0].removesuffix("/h5py")
    monkeypatch.chdir(packages)
    monkeypatch.setattr(sys, "path", ["", packages])
    leave_out_current_folder()
    assert packages in sys.path


def path_of_the_child(**_):
    return list(sys.path)


def test_a_child_does_not_look_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), *sys.path])
    monkeypatch.setattr("kmr_cli.process.child.can_fork", lambda: True)
    child = Child({"path": path_of_the_child}, fork=True)
    try:
        found = child.run("path", {}, lambda *_: None)
    finally:
        child.close()
    assert found
    assert not {"", str(tmp_path)} & set(found)
