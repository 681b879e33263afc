"""Files of data whose library hangs or crashes on some of them are read in a process that can be ended, first."""

import h5py
import numpy as np
import pytest
from bad_files import SAMPLES

from kmr_cli import open_model
from kmr_cli.api.opened import Opened
from kmr_cli.errors import BatchError, LimitError, ModelRunError


@pytest.fixture
def images(tmp_path):
    """An HDF5 file with images of digits, which nothing is wrong with."""
    path = tmp_path / "images.h5"
    with h5py.File(path, "w") as file:
        file["image"] = np.zeros((4, 8, 8, 1), np.float32)
    return path


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ModelRunError("the process that ran the model ended"), (BatchError, "the library that reads it crashed")),
        (LimitError("reading the file took more than 120 s"), (LimitError, "reading it took too long")),
    ],
    ids=["crashes", "hangs"],
)
def test_what_ends_that_process_is_told_of_the_file(images, monkeypatch, error, told):
    asked = []

    def run_apart(_, task, arguments):
        asked.append((task, arguments["path"]))
        raise error

    monkeypatch.setattr(Opened, "run_apart", run_apart)
    with open_model(SAMPLES / "digits.onnx") as model, pytest.raises(told[0], match=told[1]) as raised:
        model.sample("*", 0, str(images), verify=False)
    assert raised.value.message.startswith(str(images))
    assert asked == [("try_data", str(images))]


def test_a_file_that_is_well_is_read(images):
    with open_model(SAMPLES / "digits.onnx") as model:
        assert model.sample("*", 0, str(images), verify=False)
