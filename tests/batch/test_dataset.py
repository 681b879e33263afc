"""Data sets that are read a part at a time."""

import json

import numpy as np
import pytest

from kmr_cli.batch.dataset import data_set
from kmr_cli.batch.request import request
from kmr_cli.config.reading import InputFiles
from kmr_cli.errors import BatchError
from kmr_cli.records import TensorSpec

X = np.arange(60.0, dtype=np.float32).reshape(20, 3)
SPEC = TensorSpec("x", (None, 3), "float32")


def opened(*files, names=("x",), **reading):
    return data_set(request(InputFiles(*files, **reading), None, None, 0), names, channels_first=False)


def values(given):
    array = given.array
    return array if isinstance(array, np.ndarray) else array(SPEC, lambda _: None)


def _npy(path):
    np.save(path / "a.npy", X)
    return "a.npy"


def _npz(path):
    np.savez(path / "a.npz", x=X, label=np.zeros(20))
    return "a.npz"


def _compressed(path):
    np.savez_compressed(path / "a.npz", x=X)
    return "a.npz"


def _columns(path):
    np.save(path / "a.npy", np.asfortranarray(X))
    return "a.npy"


def _h5(path):
    import h5py

    with h5py.File(path / "a.h5", "w") as file:
        file["x"], file["other"] = X, np.zeros(3)
    return "a.h5"


def _csv(path):
    pytest.importorskip("pyarrow")
    np.savetxt(path / "a.csv", X, delimiter=",", header="a,b,c", comments="", fmt="%d")
    return "a.csv"


def _json(path):
    (path / "a.json").write_text(json.dumps({"x": X.tolist()}))
    return "a.json"


def _parquet(path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table({name: X[:, one] for one, name in enumerate("abc")})
    parquet.write_table(table, path / "a.parquet", row_group_size=6)
    return "a.parquet"


def _safetensors(path):
    save_file = pytest.importorskip("safetensors.numpy").save_file
    save_file({"x": X, "scale": np.float32([1, 2])}, path / "a.safetensors")
    return "a.safetensors"


KINDS = [_npy, _npz, _compressed, _columns, _h5, _csv, _json, _parquet, _safetensors]
IN_PARTS = (_npy, _npz, _columns, _h5, _parquet, _safetensors)


@pytest.mark.parametrize("rows", [None, "3:17"])
@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_every_kind_of_file(tmp_path, make, rows, monkeypatch):
    asked = []
    from kmr_cli.batch import dataset

    read = dataset.read_files
    monkeypatch.setattr(dataset, "read_files", lambda *given, **more: asked.append(given[1]) or read(*given, **more))
    found = opened(tmp_path / make(tmp_path), rows=rows)
    expected = X if rows is None else X[3:17]
    assert (found.samples, found.first) == (len(expected), 0 if rows is None else 3)
    for start, stop in [(0, 4), (12, 14), (4, 9)]:
        mine = [one for one in found.read(start, stop) if one.name in ("x", None) or one.joined]
        assert any(np.array_equal(values(one), expected[start:stop]) for one in mine)
    if make in IN_PARTS:
        assert max(how.chosen.stop - how.chosen.start for how in asked) == 5
    else:
        assert len(asked) == 1  # as a whole, once


def test_images(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for number in range(5):
        image.fromarray(np.full((4, 4), number, np.uint8)).save(tmp_path / f"{number}.png")
    found = opened(tmp_path)
    assert found.samples == 5
    (given,) = found.read(2, 4)
    array = given.array(TensorSpec("image", (None, 4, 4, 1), "float32"), lambda _: None)
    assert array[:, 0, 0, 0].tolist() == [2, 3]


def test_several_files(tmp_path):
    np.save(tmp_path / "a.npy", X)
    np.savez_compressed(tmp_path / "b.npz", y=X + 1)
    found = opened(f"x={tmp_path / 'a.npy'}", tmp_path / "b.npz", names=("x", "y"))
    parts = {one.name: values(one) for one in found.read(4, 6)}
    assert np.array_equal(parts["x"], X[4:6])
    assert np.array_equal(parts["y"], X[4:6] + 1)
    np.save(tmp_path / "short.npy", X[:7])
    with pytest.raises(BatchError, match="different numbers of samples"):
        opened(f"x={tmp_path / 'a.npy'}", f"y={tmp_path / 'short.npy'}")


def test_arrays_of_other_lengths(tmp_path):
    np.savez(tmp_path / "a.npz", p=X, q=X[:4])
    with pytest.raises(BatchError, match="different numbers of rows: p 20, q 4"):
        opened(tmp_path / "a.npz")
    assert opened(f"{tmp_path / 'a.npz'}:q").samples == 4


@pytest.mark.parametrize("rows", ["18:25", "20:"])
def test_rows_that_are_not_there(tmp_path, rows):
    np.save(tmp_path / "a.npy", X)
    with pytest.raises(BatchError, match="holds 20 rows"):
        opened(tmp_path / "a.npy", rows=rows)


def test_none_at_all(tmp_path):
    np.save(tmp_path / "a.npy", X[:0])
    with pytest.raises(BatchError, match="holds no samples"):
        opened(tmp_path / "a.npy")
    with pytest.raises(BatchError, match="no data"):
        data_set(request(None, None, None, 0), ("x",), channels_first=False)


def test_a_stored_member_that_claims_more_than_it_has(tmp_path):
    """The next member's bytes would be taken for its rows."""
    import io
    import zipfile

    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": (1000, 3)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", head.getvalue() + X.tobytes())
        archive.writestr("y.npy", b"\0" * 20_000)
    from kmr_cli.batch.given import read_files
    from kmr_cli.config.reading import Reading

    with pytest.raises(BatchError, match="cut short"):
        read_files([f"{tmp_path / 'a.npz'}:x"], Reading("500:510"))
