"""What is given with --input and isn't an array file: told what it is, and how to get an array out of it."""

import gzip
import os
import pickle
import zipfile

import numpy as np
import pytest

from kmr_cli.batch.given import read_files
from kmr_cli.errors import BatchError


def refused(path):
    with pytest.raises(BatchError) as caught:
        read_files([str(path)])
    assert caught.value.message.startswith(f"{path}: ")
    return caught.value


def stated(error, **names):
    """What the hint's Python does."""
    code = error.hint.removeprefix("write it as an array: ")
    assert code != error.hint
    exec(code, {"numpy": np, **names})


def test_plain_text_without_a_suffix(tmp_path):
    (tmp_path / "numbers").write_text("1 2\n3 4\n")
    error = refused(tmp_path / "numbers")
    assert "text, not" in error.message
    stated(error)
    assert np.load(tmp_path / "numbers.npy").shape == (2, 2)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.h5", "a.parquet", "a.PNG"])
def test_text_that_should_be_something_else(tmp_path, name):
    """Often the page that told of an error."""
    (tmp_path / name).write_text("\n<!doctype html>\n<title>404</title>\n")
    error = refused(tmp_path / name)
    assert error.message.endswith(": text, in spite of its suffix; it begins with '<!doctype html>'")
    assert error.hint == "download or write it again"


def test_pickle(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(np.ones(3)))
    error = refused(tmp_path / "a.pkl")
    assert "a pickle" in error.message
    stated(error)
    assert np.load(tmp_path / "a.npy").tolist() == [1, 1, 1]


def test_gzip(tmp_path):
    (tmp_path / "a.npy.gz").write_bytes(gzip.compress(b"\x93NUMPY"))
    error = refused(tmp_path / "a.npy.gz")
    assert "gzip" in error.message
    assert error.hint == f"gunzip -k {tmp_path / 'a.npy.gz'} unpacks it"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"RIFF\0\0\0\0WAVEfmt ", "a WAV file"),
        (b"MATLAB 5.0 MAT-file, Platform: posix" + b" " * 80, "a MATLAB file"),
        (b"\xef\xbb\xbfa,b\r\n1,2\r\n", "text"),
        ("größe,b\n".encode("latin-1"), "text"),
        ("a,b\n1,2\n".encode("utf-16"), "text"),
        (b"\x00\x01\x02\x03", "not a file of data"),
    ],
)
def test_what_it_is_is_said(tmp_path, content, what):
    (tmp_path / "x").write_bytes(content)
    error = refused(tmp_path / "x")
    assert f": {what}" in error.message
    assert "numpy.save" in error.hint


def test_archives_that_hold_other_files(tmp_path):
    for name, member, what in (("a.docx", "doc.xml", "zip archive"), ("a.pt", "a/data.pkl", "torch.save")):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(member, b"")
        assert what in refused(tmp_path / name).message


def test_what_is_not_a_regular_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    assert "a pipe" in refused(tmp_path / "fifo").message
    if os.path.exists("/dev/zero"):  # noqa: PTH110
        assert "a device" in refused("/dev/zero").message


def test_no_name_of_a_file(tmp_path):
    with pytest.raises(BatchError, match="no file is named") as caught:
        read_files(["image="])
    assert caught.value.hint == "--input image=FILE.npy"


def test_an_equals_sign_with_nothing_before_it_names_no_input():
    with pytest.raises(BatchError, match="no input is named"):
        read_files(["=x.npy"])


def test_structured_arrays(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3, [("x", "f4"), ("y", "i4")]))
    np.savez(tmp_path / "a.npz", image=np.zeros(3, [("x", "f4"), ("y", "i4")]))
    np.save(tmp_path / "o.npy", np.array([(1, "a")], [("x", "f4"), ("y", object)]), allow_pickle=True)
    for name in ("a.npy", "a.npz", "o.npy"):
        assert "a structured array, with the fields x, y" in refused(tmp_path / name).message
        assert "structured_to_unstructured" in refused(tmp_path / name).hint
