"""``--rows``, ``--resize`` and ``--scale`` as they are typed."""

import pytest

from kmr_cli import InputFiles
from kmr_cli.config.reading import Reading, Rows, Size
from kmr_cli.errors import BatchError


@pytest.mark.parametrize(
    ("option", "text"),
    [
        *(("rows", text) for text in ("", ":", "5", "5:3", "3:3", "-3:", "1:2:3", "a:b", "1.5:2", 4)),
        *(("resize", text) for text in ("", "224", "0x5", "8x8:fit", "8 x 8", (8, 8))),
        *(("scale", text) for text in ("", "1", "1:0", "0:0", "nan:1", "0:inf", "caffe", 1)),
    ],
)
def test_what_it_is_not(option, text):
    with pytest.raises(BatchError) as caught:
        Reading(**{option: text})
    assert caught.value.message.startswith(repr(text))
    assert caught.value.hint.startswith(f"--{option} ")


def test_what_it_is():
    assert Reading("100:132").chosen == Rows(100, 132)
    assert Reading(":2").chosen == Rows(0, 2)
    assert Reading("7:").chosen == Rows(7, None)
    assert Reading(resize="224x160:crop").size == Size(224, 160, crop=True)
    assert Reading(scale="-1:1").ends == (-1, 1)
    assert Reading(scale="imagenet").options == ("--scale imagenet",)


def test_files_in_python(tmp_path):
    found = InputFiles("a.npy", tmp_path, rows="0:4")
    assert found.files == ("a.npy", str(tmp_path))
    assert found == InputFiles(["a.npy", tmp_path], rows="0:4")
    assert found != InputFiles("a.npy", tmp_path, rows="0:5")
    with pytest.raises(BatchError, match="no file"):
        InputFiles()
