"""Samples as data files: whole arrays, under names that no model can misuse."""

import h5py
import numpy as np
import pytest
from zoo.records import HOSTILE, VALUES, record, samples

from kmr_cli.errors import OutputError
from kmr_cli.render.files import hdf5, npy, npz


def test_npz(tmp_path):
    records = [record([1.0], layer="a/b"), record([2.0], layer="a/b", call=1), record(VALUES["text"], layer=HOSTILE)]
    npz.write(tmp_path / "o.npz", samples(records))
    with np.load(tmp_path / "o.npz", allow_pickle=False) as archive:
        assert archive["a%2Fb#1.out0"].tolist() == [2.0]
        assert all("/" not in name and "\x00" not in name for name in archive.files)
        assert len(archive.files) == 3


def test_npz_of_several_samples(tmp_path):
    npz.write(tmp_path / "o.npz", samples([record([1.0], sample=0), record([2.0], sample=1)]))
    with np.load(tmp_path / "o.npz") as archive:
        assert archive["conv1#0.out0@1"].tolist() == [2.0]


def test_npy_holds_one(tmp_path):
    npy.write(tmp_path / "o.npy", samples([record(VALUES["bfloat16"])]))
    assert np.load(tmp_path / "o.npy").dtype == np.float32
    with pytest.raises(OutputError, match="holds one array, and there are 2"):
        npy.write(tmp_path / "p.npy", samples([record([1.0])] * 2))


def test_hdf5(tmp_path):
    records = [record([1.0, 2.0], layer="a/b"), record([3.0], layer="a/b", port="in0"), record([4.0], layer=HOSTILE)]
    hdf5.write(tmp_path / "o.h5", samples(records, {"keras": "3.15.1"}))
    with h5py.File(tmp_path / "o.h5") as file:
        assert file.attrs["model"] == "m.keras"
        assert file.attrs["version_keras"] == "3.15.1"
        assert len(file) == 2
        group = file["a%2Fb#0"]
        assert (group.attrs["layer"], group.attrs["call"]) == ("a/b", 0)
        dataset = group["out0"]
        assert dataset[:].tolist() == [1.0, 2.0]
        assert (dataset.attrs["sample"], dataset.attrs["batch_axis"], dataset.attrs["batch_index"]) == (
            1,
            0,
            "separated",
        )
        assert dataset.attrs["evidence"] == dataset.attrs["proof"] == "row 1 stayed the same"
        assert dataset.attrs["owners"].tolist() == [0, 1, 2]
        assert dataset.attrs["shape"].tolist() == [3, 2]


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_every_dtype_can_be_written(tmp_path, value):
    npz.write(tmp_path / "o.npz", samples([record(value)]))
    hdf5.write(tmp_path / "o.h5", samples([record(value)]))
    with np.load(tmp_path / "o.npz", allow_pickle=False) as archive, h5py.File(tmp_path / "o.h5") as file:
        assert archive["conv1#0.out0"].shape == value.shape
        assert file["conv1#0/out0"].shape == value.shape
