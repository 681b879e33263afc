"""The ``dump`` command, run for real."""

import os
import shutil
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from onnx import helper
from zoo.dumps import attributes, contents, dense, mixing, rows, same
from zoo.onnx_models import model, save, tensor, weights
from zoo.samples import COMMAND, HOME

pytestmark = pytest.mark.slow
FORMATS = ["digits.keras", "digits.h5", "digits_savedmodel", "digits_scripted.pt", "digits.pt2", "digits.onnx"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    dense(place / "dense.onnx")
    mixing(place / "mixing.onnx")
    np.save(place / "x.npy", rows(300))
    return place


@pytest.mark.parametrize("name", FORMATS)
def test_every_format(kmr, tmp_path, name):
    """The rows are those that ``sample`` shows."""
    done = kmr(
        "dump", HOME / name, "-l", "*", "--side", "both", "--input", HOME / "digits.npz", "-o", tmp_path / "out.zarr"
    )
    assert done.code == 0, done.err
    shown = kmr(
        "sample", HOME / name, "-l", "*", "-i", "0:11", "--input", HOME / "digits.npz", "-o", tmp_path / "out.npz"
    )
    assert shown.code == 0, shown.err
    held = contents(tmp_path / "out.zarr")
    assert held.pop("index").tolist() == list(range(11))
    with np.load(tmp_path / "out.npz") as samples:
        assert len(held) > 5
        for name, values in held.items():
            place = name.replace("/", ".")
            assert values.shape == (11, *samples[f"{place}@4"].shape)
            assert all(values[one].tobytes() == samples[f"{place}@{one}"].tobytes() for one in range(11)), name
    assert f"{len(held)} values of 11 samples" in done.err


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize("suffix", [".zarr", ".h5"])
def test_killed_and_gone_on_with(kmr, folder, tmp_path, suffix):
    place, whole = tmp_path / f"out{suffix}", tmp_path / f"whole{suffix}"
    arguments = ["dump", "dense.onnx", "-l", "*", "--input", "x.npy", "--batch-size", "2"]
    for wanted in (10, 30, 50):
        with subprocess.Popen(
            [COMMAND, *arguments, "-o", place], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as run:
            while _done(place) < wanted:
                assert run.poll() is None, run.stderr.read()
                time.sleep(0.002)
            os.kill(run.pid, signal.SIGKILL)
    before = {path: path.stat().st_mtime_ns for path in place.rglob("c.*")}
    some = _done(place)
    assert 50 <= some < 150
    done = kmr(*arguments, "-o", place, cwd=folder)
    assert done.code == 0, done.err
    assert f"{some} batches are there already, {150 - some} to go" in done.err
    again = {path for path, written in before.items() if path.stat().st_mtime_ns != written}
    assert {path.name.split(".")[1] for path in again} <= {str(some)}  # the batch in hand when it was killed
    assert not list(place.rglob("*.tmp"))
    assert kmr(*arguments, "-o", whole, cwd=folder).code == 0
    same(place, whole)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([place.name, whole.name])


def _done(place):
    """Batches of two that are noted as done, read without a lock: the next run would find the file taken."""
    if not place.exists():
        return 0
    if place.suffix == ".zarr":
        return len(list((place / "index").glob("c.*")))
    with h5py.File(place, "r", locking=False) as file:
        return int((file["index"][:] >= 0).sum()) // 2


def test_a_disk_that_is_full(kmr, folder, tmp_path):
    """A limit on the size of files stands for it: the second batch does not fit."""
    np.save(tmp_path / "x.npy", rows(4096))
    code = (
        f"ulimit -f 40; exec {COMMAND} dump {folder / 'dense.onnx'} -l first --input x.npy -o out.h5 --batch-size 256"
    )
    done = subprocess.run(["bash", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2, done.stderr
    assert "error: out.h5: cannot be written (File too large)" in done.stderr
    assert not (tmp_path / "out.h5").exists()  # which is as large as it will be from the beginning


HOSTILE = [
    "../../evil", "..", "a/../../b", "\x1b[31mred", "UPPER", "upper", "x" * 400, "x" * 399 + "y", "nul\\x00", "con",
    "%2F", "a#0", "zarr.json", "index",
]  # fmt: skip


def _chain(path):
    nodes, last = [], "x"
    for number, name in enumerate(HOSTILE):
        nodes.append(helper.make_node("MatMul", [last, "w"], [f"t{number}"], f"/{name}/MatMul"))
        last = f"t{number}"
    nodes.append(helper.make_node("Relu", [last], ["y"], "/end/Relu"))
    return save(model(nodes, [tensor("x", ["batch", 4])], [tensor("y", ["batch", 4])], [weights("w", 4, 4)]), path)


@pytest.mark.parametrize("suffix", [".zarr", ".h5"])
def test_names_of_layers_never_make_paths(kmr, tmp_path, suffix):
    place = tmp_path / "here"
    place.mkdir()
    _chain(tmp_path / "hostile.onnx")
    np.save(tmp_path / "x.npy", rows(6))
    done = kmr(
        "dump", tmp_path / "hostile.onnx", "-l", "*", "--input", tmp_path / "x.npy", "-o", place / f"out{suffix}"
    )
    assert done.code == 0, done.err
    assert "\x1b" not in done.err
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["here", "hostile.onnx", "x.npy"]
    assert [entry.name for entry in place.iterdir()] == [f"out{suffix}"]
    held = contents(place / f"out{suffix}")
    folders = [name.split("/")[0] for name in held if name != "index"]
    assert len({name.lower() for name in folders}) == len(folders)
    assert max(map(len, folders)) < 230
    named = {attributes(place / f"out{suffix}", name)["layer"] for name in held if name != "index"}
    assert {"UPPER", "upper", "x" * 400, "end"} <= named
    again = kmr(
        "dump", tmp_path / "hostile.onnx", "-l", "*", "--input", tmp_path / "x.npy", "-o", place / f"out{suffix}"
    )
    assert "1 batch is there already, nothing is left to do" in again.err


def test_what_is_refused(kmr, folder, tmp_path):
    def refused(*arguments):
        done = kmr("dump", *arguments, cwd=folder)
        assert done.code == 2
        return done.err

    out = ("-o", tmp_path / "out.zarr")
    given = ("--input", "x.npy", *out)
    assert "there is no data to run the model on" in refused("dense.onnx", "-l", "first", *out)
    assert "no layer matches 'none'" in refused("dense.onnx", "-l", "none", *given)
    assert "leave out --jobs" in refused("dense.onnx", "-l", "first", *given, "--jobs", "2", "--scheduler", "tcp://x")
    assert "'centre' out0 is not written" in refused("mixing.onnx", "-l", "centre", *given)
    shutil.copytree(HOME / "digits_savedmodel", tmp_path / "saved")
    inside = ("--input", HOME / "digits.npz", "-o", tmp_path / "saved" / "out.zarr")
    assert "which is read" in refused(tmp_path / "saved", "-l", "*", *inside)
    assert not (tmp_path / "out.zarr").exists()


def test_limits_hold(kmr, folder, tmp_path, slowly):
    arguments, environment = slowly(30)
    done = kmr(
        "dump", folder / "dense.onnx", "-l", "*", "--input", folder / "x.npy", "-o", tmp_path / "out.zarr",
        "--timeout", "1", *arguments, **environment,
    )  # fmt: skip
    assert done.code == 4
    assert not (tmp_path / "out.zarr").exists()
