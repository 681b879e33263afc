"""What isn't a model, and what the message makes of it."""

import os
import pickle
import shutil
import zipfile

import h5py
import numpy as np
import pytest
from zoo import onnx_models
from zoo.samples import HOME

from kmr_cli.batch.given import read_files
from kmr_cli.errors import BatchError, ModelFileError, SnapshotError
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.snapshot.read import load


def zipped(path, *names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return path


def described(path):
    """Detection may leave the verdict on a damaged file to the format that claims it."""
    return detect(path).describe(path, OpenOptions())


def test_missing_file_names_the_nearest(tmp_path):
    (tmp_path / "model.keras").touch()
    with pytest.raises(ModelFileError, match="no such file") as caught:
        detect(tmp_path / "modle.keras")
    assert caught.value.hint == f"did you mean {tmp_path / 'model.keras'}?"


def test_a_pattern_that_matches_nothing(tmp_path):
    with pytest.raises(ModelFileError, match="no such file") as caught:
        detect(tmp_path / "*.onnx")
    assert "no file matches this pattern" in caught.value.hint


def test_nul_byte_in_the_name(tmp_path):
    with pytest.raises(ModelFileError):
        detect(tmp_path / "a\0b")


def test_fifo_is_refused_without_opening_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.keras")
    with pytest.raises(ModelFileError, match="neither a regular file"):
        detect(tmp_path / "pipe.keras")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file(tmp_path):
    (tmp_path / "m.keras").write_bytes(b"x")
    (tmp_path / "m.keras").chmod(0)
    with pytest.raises(ModelFileError, match="Permission denied"):
        detect(tmp_path / "m.keras")


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".pt", ".pb", ""])
def test_empty_file(tmp_path, suffix):
    path = tmp_path / f"m{suffix}"
    path.touch()
    with pytest.raises(ModelFileError, match="the file is empty"):
        detect(path)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345678\n"


OLD_POINTER = POINTER.replace("git-lfs.github.com", "hawser.github.com")
"""As Git LFS wrote it when it had another name."""


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".pt", ".pt2", ".onnx", ".pb"])
@pytest.mark.parametrize("text", [POINTER, OLD_POINTER], ids=["", "old"])
def test_git_lfs_pointers(tmp_path, suffix, text):
    path = tmp_path / f"m{suffix}"
    path.write_text(text)
    error = refused(path)
    assert error.message == f"{path}: a Git LFS pointer, not the file itself (12,345,678 bytes)"
    assert error.hint == "download it: run `git lfs pull` in its repository"


def test_git_lfs_pointers_inside_of_models(tmp_path):
    saved = shutil.copytree(HOME / "digits_savedmodel", tmp_path / "saved")
    (saved / "saved_model.pb").write_text(POINTER)
    with pytest.raises(ModelFileError, match=r"saved: saved_model\.pb is a Git LFS pointer"):
        described(saved)
    path = onnx_models.large(tmp_path / "large.onnx")
    (tmp_path / "large.data").write_text(POINTER)
    assert any("'large.data' with its weights is a Git LFS pointer" in note for note in described(path).notes)
    with pytest.raises(ModelFileError, match="is a Git LFS pointer") as caught:
        detect(path).open(path, OpenOptions())
    assert "git lfs pull" in caught.value.hint


def test_git_lfs_pointers_in_place_of_other_files(tmp_path):
    (tmp_path / "batch.npz").write_text(POINTER)
    with pytest.raises(BatchError, match=r"batch\.npz: a Git LFS pointer"):
        read_files([str(tmp_path / "batch.npz")])
    (tmp_path / "m.kmr.json").write_text(POINTER)
    with pytest.raises(SnapshotError, match=r"m\.kmr\.json: a Git LFS pointer"):
        load(tmp_path / "m.kmr.json")


def test_directory_that_is_not_savedmodel(tmp_path):
    with pytest.raises(ModelFileError, match=r"without saved_model\.pb, so not a SavedModel"):
        detect(tmp_path)


def test_directory_of_versions_names_the_newest(tmp_path):
    for version in "12":
        (tmp_path / version).mkdir()
        (tmp_path / version / "saved_model.pb").touch()
    with pytest.raises(ModelFileError) as caught:
        detect(tmp_path)
    assert caught.value.hint == f"give {tmp_path / '2'}"


def refused(path):
    with pytest.raises(ModelFileError) as caught:
        detect(path)
    return caught.value


def test_a_directory_of_models_says_which(tmp_path):
    for name in ("b.onnx", "a.onnx"):
        shutil.copy(HOME / "digits.onnx", tmp_path / name)
    (tmp_path / "notes.txt").write_text("no model")
    os.mkfifo(tmp_path / "fifo")
    error = refused(tmp_path)
    assert error.message == f"{tmp_path}: a directory that holds models, and isn't one itself: a.onnx, b.onnx"
    assert error.hint == f"give one of them: {tmp_path / 'a.onnx'}"
    (tmp_path / "a.onnx").unlink()
    assert "a directory that holds one model, and isn't one itself: b.onnx" in refused(tmp_path).message
    for number in range(20):
        (tmp_path / f"c{number:02}.onnx").symlink_to(tmp_path / "b.onnx")
    assert refused(tmp_path).message.endswith("c05.onnx, c06.onnx, … (21 in all)")


def test_cut_archive(tmp_path):
    whole = zipped(tmp_path / "m.keras", "config.json", "metadata.json")
    whole.write_bytes(whole.read_bytes()[:40])
    with pytest.raises(ModelFileError, match="cut short or damaged"):
        detect(whole)


def test_archive_with_a_name_that_is_not_text(tmp_path):
    whole = zipped(tmp_path / "m.pt", "größe.txt")
    whole.write_bytes(whole.read_bytes().replace("größe".encode(), b"gr\xff\xff\xff\xffe"))
    with pytest.raises(ModelFileError, match="cut short or damaged"):
        detect(whole)


def test_some_other_archive(tmp_path):
    with pytest.raises(ModelFileError, match="a zip archive, but not a model file"):
        detect(zipped(tmp_path / "m.keras", "readme.txt"))


def test_mislabelled_files(tmp_path):
    np.save(tmp_path / "array.npy", np.ones(3))
    (tmp_path / "array.npy").rename(tmp_path / "m.pt")
    with pytest.raises(ModelFileError, match="a NumPy array, not a model"):
        detect(tmp_path / "m.pt")
    np.savez(tmp_path / "arrays.npz", a=np.ones(3))
    with pytest.raises(ModelFileError, match="NumPy arrays, not a model"):
        detect(tmp_path / "arrays.npz")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(ModelFileError, match=r"not a model file \(\.h5, unknown content\)"):
        detect(tmp_path / "text.h5")
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file["kernel"] = np.ones(3)
    with pytest.raises(ModelFileError, match=r"not a saved Keras model|weights"):
        described(tmp_path / "weights.h5")


def test_pickles(tmp_path):
    (tmp_path / "m.pt").write_bytes(pickle.dumps({"weight": 1}, protocol=2))
    with pytest.raises(ModelFileError, match="pickle"):
        described(tmp_path / "m.pt")


def test_one_file_of_a_savedmodel(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01")
    with pytest.raises(ModelFileError) as caught:
        detect(tmp_path / "saved_model.pb")
    assert caught.value.hint == f"give its directory: {tmp_path}"
