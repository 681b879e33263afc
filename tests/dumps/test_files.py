"""The files that dumps are written to: what each kind of value becomes, for readers of other libraries."""

import ctypes
import errno
import os

import ml_dtypes
import numpy as np
import pytest
from zoo.dumps import attributes, contents

from kmr_cli.dumps import hdf5, zarr
from kmr_cli.dumps.about import About
from kmr_cli.dumps.keys import keys
from kmr_cli.dumps.store import described
from kmr_cli.errors import OutputError
from kmr_cli.records import DumpedValue

KINDS = {".zarr": zarr, ".h5": hdf5}
PLAIN = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
         "float64", "complex64", "complex128"]  # fmt: skip


def value(dtype, shape=(2, 3), layer="layer", **more):
    return DumpedValue(layer, 0, "out0", shape, dtype, 0, 1, 1, "separated", "seen", **more)


def made(place, *values, samples=5, size=2, first=0):
    """A file with a place for every row."""
    names = keys(values)
    about = About(
        "m.onnx", "onnx", "by hand", "ab", "x.npy", "", "cd", samples, first, size, versions={"numpy": "2"},
        values={name: described(one) for name, one in zip(names, values, strict=True)},
    )  # fmt: skip
    module = KINDS[place.suffix]
    module.create(place, about, values, names)
    return about, module.open_store(place, about, values, names)


def write(store, batches, *arrays):
    """The rows of these batches of two samples, cut out of whole arrays; the last is filled up."""
    for batch in batches:
        for number, array in enumerate(arrays):
            rows = array[2 * batch : 2 * batch + 2]
            store.write(number, batch, np.concatenate([rows, rows[-1:]])[:2])
        store.finish(batch)


@pytest.mark.parametrize("suffix", KINDS)
@pytest.mark.parametrize("dtype", PLAIN)
@pytest.mark.parametrize("shape", [(), (3,), (2, 1, 3)], ids=str)
def test_values_keep_their_bits(tmp_path, suffix, dtype, shape):
    place = tmp_path / f"out{suffix}"
    values = (np.random.default_rng(0).standard_normal((5, *shape)) * 100).astype(dtype)
    _, store = made(place, value(dtype, shape))
    write(store, [2, 0, 1], values)
    store.close()
    held = contents(place)["layer#0/out0"]
    assert held.dtype == values.dtype
    assert held.tobytes() == values.tobytes()
    assert contents(place)["index"].tolist() == [0, 1, 2, 3, 4]
    said = attributes(place, "layer#0/out0")
    assert (said["dtype"], said["batch_index"], said["batch_axis"]) == (dtype, "separated", 0)


@pytest.mark.parametrize("suffix", KINDS)
def test_bfloat16_and_float8(tmp_path, suffix):
    """Zarr has neither: their bits are there, and the name of the dtype. Of HDF5 a reader gets bfloat16 as float32."""
    place = tmp_path / f"out{suffix}"
    brain = np.array([0, 1.5, -3e38, np.inf, np.nan], np.float32).astype(ml_dtypes.bfloat16)
    small = np.array([0, 1.5, -448, 0.25, np.nan], np.float32).astype(ml_dtypes.float8_e4m3fn)
    _, store = made(place, value("bfloat16", (), "brain"), value("float8_e4m3fn", (), "small"))
    write(store, [0, 1, 2], brain, small)
    store.close()
    held = contents(place)
    if suffix == ".zarr":
        assert held["brain#0/out0"].view(ml_dtypes.bfloat16).tobytes() == brain.tobytes()
    else:
        assert held["brain#0/out0"].dtype == np.float32
        assert np.array_equal(held["brain#0/out0"], brain.astype(np.float32), equal_nan=True)
    assert held["small#0/out0"].view(ml_dtypes.float8_e4m3fn).tobytes() == small.tobytes()
    assert attributes(place, "brain#0/out0")["dtype"] == "bfloat16"


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_text(tmp_path):
    text = np.array([b"a", b"\xff\x00", b"", "é".encode(), b"x" * 1000], object)
    _, store = made(tmp_path / "out.zarr", value("string", ()))
    write(store, [0, 1, 2], text)
    store.close()
    assert list(contents(tmp_path / "out.zarr")["layer#0/out0"]) == list(text)
    with pytest.raises(OutputError, match="holds text"):
        made(tmp_path / "out.h5", value("string", ()))
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.zarr"]


@pytest.mark.parametrize("suffix", KINDS)
def test_what_is_missing_shows(tmp_path, suffix):
    place = tmp_path / f"out{suffix}"
    about, store = made(place, value("float32", (3,)), samples=7, first=100)
    write(store, [1, 3], np.ones((7, 3), np.float32))
    assert store.done() == {1, 3}
    store.close()
    assert contents(place)["index"].tolist() == [-1, -1, 102, 103, -1, -1, 106]
    if suffix == ".zarr":
        assert np.isnan(contents(place)["layer#0/out0"][:2]).all()
    assert KINDS[suffix].read_about(place) == about


@pytest.mark.parametrize("suffix", KINDS)
def test_values_without_elements(tmp_path, suffix):
    place = tmp_path / f"out{suffix}"
    _, store = made(place, value("float32", (0, 3)), value("float32", (1,), "other"))
    write(store, [0, 1, 2], np.zeros((5, 0, 3), np.float32), np.ones((5, 1), np.float32))
    assert store.done() == {0, 1, 2}
    store.close()
    held = contents(place)
    assert held["layer#0/out0"].shape == (5, 0, 3)
    assert held["other#0/out0"].all()


@pytest.mark.parametrize("suffix", KINDS)
def test_another_version_is_not_gone_on_with(tmp_path, suffix, monkeypatch):
    place = tmp_path / f"out{suffix}"
    made(place, value("float32"))[1].close()
    monkeypatch.setattr("kmr_cli.dumps.about.VERSION", 2)
    with pytest.raises(OutputError, match="another version"):
        KINDS[suffix].read_about(place)


def test_damaged_files(tmp_path):
    made(tmp_path / "out.h5", value("float32"))[1].close()
    whole = (tmp_path / "out.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[:300])
    assert hdf5.read_about(tmp_path / "cut.h5") is None
    (tmp_path / "out.zarr").mkdir()
    (tmp_path / "out.zarr" / "zarr.json").write_text('{"attributes": {"kmr_inspect_dump": 1}}')
    with pytest.raises(OutputError, match="does not say what it is of"):
        zarr.read_about(tmp_path / "out.zarr")


@pytest.mark.parametrize("at_once", [True, False])
def test_a_batch_is_noted_once_the_system_keeps_its_values(tmp_path, monkeypatch, at_once):
    """Of what a machine that loses power has on its disk, this is the order."""
    _, store = made(tmp_path / "out.zarr", *(value("float32", (3,), f"layer{number}") for number in range(20)))
    done, rename = [], os.rename
    monkeypatch.setattr(zarr, "_sync_each", done.extend)
    monkeypatch.setattr(zarr, "_sync_file_system", lambda _: at_once and (done.append("all") or True))
    monkeypatch.setattr(zarr.os, "rename", lambda path, to: rename(path, to) or done.append(f"appears {to}"))
    write(store, [1], *[np.ones((5, 3), np.float32)] * 20)
    noted = done.index(f"appears {tmp_path / 'out.zarr' / 'index' / 'c.1'}")
    for number in range(20):
        folder = tmp_path / "out.zarr" / f"layer{number}#0" / "out0"
        kept = ["all"] if at_once else [str(folder / "c.1.0"), str(folder)]
        for what in kept:
            assert done.index(f"appears {folder / 'c.1.0'}") < done.index(what) < noted
    assert done.index(str(tmp_path / "out.zarr" / "index")) > noted
    store.close()


@pytest.mark.parametrize(
    ("release", "answer", "kept"),
    [("6.18.44-fc", 0, "all"), ("5.7.0", 0, "each"), ("6.1.0", errno.ENOSYS, "each"), ("6.1.0", errno.EIO, None)],
)
def test_the_whole_file_system_is_synced_where_errors_are_told(tmp_path, monkeypatch, release, answer, kept):
    """With one call a batch, else file by file; what could not be written is an error."""

    def syncfs(file):
        done.append(os.fstat(file).st_ino)
        ctypes.set_errno(answer)
        return -bool(answer)

    done, each = [], []
    place = tmp_path / "out.zarr"
    _, store = made(place, value("float32", (3,)))
    library = type("Library", (), {"syncfs": staticmethod(syncfs)})
    monkeypatch.setattr(zarr.ctypes, "CDLL", lambda *_, **__: library)
    monkeypatch.setattr(zarr.sys, "platform", "linux")
    monkeypatch.setattr(zarr.os, "uname", lambda: type("Names", (), {"release": release}))
    monkeypatch.setattr(zarr, "_sync_each", each.extend)
    if kept is None:
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            write(store, [0], np.ones((5, 3), np.float32))
        assert store.done() == set()
    else:
        write(store, [0, 1], np.ones((5, 3), np.float32))
        assert store.done() == {0, 1}
        files = [one for one in each if one != str(place / "index")]
        folder = str(place / "layer#0" / "out0")
        assert files == ([] if kept == "all" else [f"{folder}/c.0.0", folder, f"{folder}/c.1.0", folder])
        tried = {"all": 2, "each": int(release == "6.1.0")}[kept]
        assert done == [(place / "zarr.json").stat().st_ino] * tried
    store.close()


def test_what_a_killed_run_left_is_swept_up(tmp_path):
    about, store = made(tmp_path / "out.zarr", value("float32"))
    store.close()
    left = tmp_path / "out.zarr" / "layer#0" / "out0" / ".c.0.0.0.1.1.tmp"
    left.write_bytes(b"half")
    zarr.open_store(tmp_path / "out.zarr", about, [value("float32")], ["layer#0/out0"]).close()
    assert not left.exists()
