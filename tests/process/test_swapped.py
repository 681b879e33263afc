"""The bytes that were scanned are the bytes that are loaded: every file of a model, in every format."""

import os
import shutil

import pytest
from bad_files import SAMPLES, onnx_files

from kmr_cli import open_model
from kmr_cli.errors import ModelFileError
from kmr_cli.formats import load_format
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.process.sessions import Sessions

VARIABLES = "variables/variables.data-00000-of-00001"
FILES = [
    ("digits.keras", ""), ("digits.h5", ""), ("windows.pt", ""), ("digits.pt2", ""), ("digits.onnx", ""),
    ("digits_savedmodel", "saved_model.pb"), ("digits_savedmodel", "variables/variables.index"),
    ("digits_savedmodel", VARIABLES), ("digits_savedmodel", "fingerprint.pb"),
]  # fmt: skip


@pytest.fixture
def loading(monkeypatch):
    """No format loads anything: each says that it would."""

    def load(*_):
        raise ModelFileError("it would be loaded now")

    for name in ("keras", "h5", "savedmodel", "torchscript", "pt2", "onnx"):
        monkeypatch.setattr(load_format(name), "open", load)


def copied(name, folder):
    goal = folder / name
    shutil.copytree(SAMPLES / name, goal) if (SAMPLES / name).is_dir() else shutil.copy(SAMPLES / name, goal)
    return goal


def swap(file):
    """Another file with the same bytes, size and time in its place."""
    was, other = file.stat(), file.with_name("other")
    other.write_bytes(file.read_bytes())
    os.utime(other, ns=(was.st_atime_ns, was.st_mtime_ns))
    other.replace(file)


@pytest.mark.parametrize(("name", "inside"), FILES)
def test_it_is_not_loaded_after_its_scan(name, inside, tmp_path, loading):
    path = copied(name, tmp_path)
    sessions = Sessions(reopens=True)
    with pytest.raises(ModelFileError, match="it would be loaded now"):
        sessions.get(str(path), OpenOptions(), lambda *_: None)
    swap(path / inside)
    with pytest.raises(ModelFileError, match="the file changed while it was read"):
        sessions.get(str(path), OpenOptions(), lambda *_: None)


def with_weights_beside(folder):
    (folder / "weights").write_bytes(bytes(4096))
    return onnx_files.changed(folder, onnx_files.external("weights"))


@pytest.mark.parametrize(("name", "inside"), [*FILES, ("weights beside", "")])
def test_it_gives_no_answer_after_its_description(name, inside, tmp_path, loading):
    path = with_weights_beside(tmp_path) if name == "weights beside" else copied(name, tmp_path)

    def ask():
        with open_model(path, in_process=True) as model:
            yield
            model.sample("*", 0, verify=False, shapes={"image": (8, 8, 1)} if name == "windows.pt" else None)

    for change, said in ((lambda _: None, "it would be loaded now"), (swap, "the file changed while it was read")):
        asking = ask()
        next(asking)
        change(path.parent / "weights" if name == "weights beside" else path / inside)
        with pytest.raises(ModelFileError, match=said):
            next(asking)


def test_a_file_that_comes_to_a_folder_counts_too(tmp_path, loading):
    path = copied("digits_savedmodel", tmp_path)
    sessions = Sessions(reopens=True)
    sessions.admit(str(path), OpenOptions(), lambda *_: None)
    (path / "assets.extra").mkdir()
    (path / "assets.extra" / "words").write_text("a")
    with pytest.raises(ModelFileError, match="changed"):
        sessions.get(str(path), OpenOptions(), lambda *_: None)
