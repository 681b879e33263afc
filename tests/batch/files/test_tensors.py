"""HDF5 and safetensors files: arrays by name, and rows of them."""

import h5py
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from kmr_cli.batch.files import source
from kmr_cli.batch.fit import fit
from kmr_cli.batch.given import attempt, read_files, try_apart
from kmr_cli.config.reading import Reading
from kmr_cli.errors import BatchError
from kmr_cli.records import TensorSpec

X = TensorSpec("x", (None, 3), "float32")
VALUES = np.arange(30, dtype=np.float32).reshape(10, 3)


def fed(argument, *specs, rows=None):
    notices = []
    batch = fit(read_files([str(argument)], Reading(rows)), specs, fixed_batch=None, notice=notices.append)
    return batch, notices


@pytest.fixture
def hdf5(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["deep/x"] = VALUES, VALUES + 1
        file["text"] = ["a", "b", "größe"]
        file["pair"] = np.zeros(3, [("a", "f4")])
        file["one"] = 3
        file.create_dataset("huge", (2**40, 3), "f4", chunks=(64, 3))
    return tmp_path / "a.h5"


def test_data_sets(hdf5):
    batch, notices = fed(hdf5, X)
    assert batch["x"].tolist() == VALUES.tolist()
    assert notices == [f"{hdf5}: left out 'deep/x', 'huge', 'one', 'pair', 'text'"]
    for argument in (f"{hdf5}::deep/x", f"x={hdf5}::/deep/x", f"{hdf5}:deep/x"):
        assert fed(argument, X)[0]["x"].tolist() == (VALUES + 1).tolist()
    assert fed(f"{hdf5}::text", TensorSpec("t", (None,), "string"))[0]["t"].tolist()[2] == "größe".encode()


def test_each_file_is_tried_once_with_what_is_wanted_of_it(hdf5, tmp_path):
    np.save(tmp_path / "a.npy", VALUES)
    wanted = (f"x={hdf5}", f"y={hdf5}::deep/x")
    assert try_apart([wanted[0], str(tmp_path / "a.npy"), wanted[1]]) == {hdf5: wanted}
    attempt(wanted, Reading())
    with pytest.raises(BatchError, match="holds no dataset 'none'"):
        attempt([f"{hdf5}::none"], Reading())


def test_rows_are_read_without_the_others(hdf5):
    assert fed(hdf5, X, rows="4:6")[0]["x"].tolist() == VALUES[4:6].tolist()
    assert fed(f"{hdf5}::huge", X, rows="1000000000:1000000004")[0]["x"].shape == (4, 3)
    with pytest.raises(BatchError, match="GB of memory") as caught:
        fed(f"{hdf5}::huge", X)
    assert "--rows" in caught.value.hint


@pytest.mark.parametrize(
    ("key", "problem"),
    [("none", "holds no dataset 'none'"), ("pair", "with the fields a"), ("one", "a single value")],
)
def test_data_sets_that_are_none(hdf5, key, problem):
    with pytest.raises(BatchError, match=problem):
        fed(f"{hdf5}::{key}", X)


def test_damaged(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\xff" * 100)
    (tmp_path / "a.safetensors").write_bytes(b"\xff" * 100)
    for name in ("a.h5", "a.safetensors"):
        with pytest.raises(BatchError, match="damaged, or no"):
            fed(tmp_path / name, X)


def test_safetensors(tmp_path):
    place = tmp_path / "a.safetensors"
    half = VALUES.astype(ml_dtypes.bfloat16)
    safetensors.numpy.save_file({"x": VALUES, "half": half, "label": np.zeros(10)}, place)
    batch, notices = fed(place, X, rows="4:6")
    assert batch["x"].tolist() == VALUES[4:6].tolist()
    assert notices == [f"{place}: left out 'half', 'label'"]
    assert fed(f"x={place}:half", X)[0]["x"].tolist() == half.astype(np.float32).tolist()
    with pytest.raises(BatchError, match="holds no tensor 'y'"):
        fed(f"{place}:y", X)
    with pytest.raises(BatchError, match="holds 10 rows"):
        fed(place, X, rows="4:60")


def test_tensors_that_would_fill_the_memory(tmp_path, monkeypatch):
    place = tmp_path / "a.safetensors"
    safetensors.numpy.save_file({"x": VALUES}, place)
    monkeypatch.setattr(source, "MOST", 100)
    with pytest.raises(BatchError, match=r"a.safetensors:x: takes 0.0 GB of memory"):
        fed(place, X)
    assert fed(place, X, rows="4:6")[0]["x"].tolist() == VALUES[4:6].tolist()
