"""``dump --jobs`` and ``dump --scheduler`` from the shell: the file of one process, bit for bit."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from zoo.dumps import contents, dense, rows, same

pytestmark = pytest.mark.slow
ONE_THREAD = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    dense(place / "dense.onnx")
    np.save(place / "x.npy", rows(100))
    return place


@pytest.fixture
def dump(kmr, folder):
    def run(place, *more):
        given = ("--input", "x.npy", "--batch-size", "8", "--side", "both")
        return kmr("dump", "dense.onnx", "-l", "*", *given, "-o", place, *more, cwd=folder, **ONE_THREAD)

    return run


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Of a scheduler with two workers, each a process that the shell could have started."""
    pytest.importorskip("distributed")
    folder = tmp_path_factory.mktemp("cluster")
    file, around = folder / "scheduler.json", {**os.environ, **ONE_THREAD}
    start = "from distributed.cli.{} import main; main()"
    quiet = {"cwd": folder, "env": around, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    scheduler = [sys.executable, "-c", start.format("dask_scheduler"), "--host", "127.0.0.1", "--port", "0"]
    worker = [sys.executable, "-c", start.format("dask_worker"), "--nthreads", "1", "--no-dashboard", "--no-nanny"]
    started = [subprocess.Popen([*scheduler, "--no-dashboard", "--scheduler-file", file], **quiet)]
    try:
        ending = time.monotonic() + 60
        while not file.exists() or not file.read_text():
            assert started[0].poll() is None
            assert time.monotonic() < ending, "no scheduler has started"
            time.sleep(0.1)
        started += [
            subprocess.Popen([*worker, "--scheduler-file", file, "--local-directory", folder / str(number)], **quiet)
            for number in range(2)
        ]
        yield json.loads(file.read_text())["address"]
    finally:
        for process in started[::-1]:
            process.terminate()
        for process in started:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:  # a worker of Dask's that is asked to end while it starts may not
                process.kill()
                process.wait()


@pytest.mark.parametrize("suffix", [".zarr", ".h5"])
def test_several_processes(dump, tmp_path, suffix):
    alone = dump(tmp_path / f"one{suffix}")
    assert alone.code == 0, alone.err
    several = dump(tmp_path / f"two{suffix}", "--jobs", "2")
    assert several.code == 0, several.err
    assert "of 100 samples" in several.err
    same(tmp_path / f"one{suffix}", tmp_path / f"two{suffix}")
    assert len(contents(tmp_path / f"two{suffix}")["index"]) == 100


def test_a_cluster(dump, tmp_path, address):
    """What one process began, the workers go on with, and what they wrote is there for one process."""
    assert dump(tmp_path / "one.zarr").code == 0
    done = dump(tmp_path / "cluster.zarr", "--scheduler", address)
    assert done.code == 0, done.err
    same(tmp_path / "one.zarr", tmp_path / "cluster.zarr")
    again = dump(tmp_path / "cluster.zarr")
    assert "13 batches are there already, nothing is left to do" in again.err
    for chunk in (tmp_path / "cluster.zarr" / "index").glob("c.1*"):
        chunk.unlink()  # as if the run had been killed there
    rest = dump(tmp_path / "cluster.zarr", "--scheduler", address)
    assert "9 batches are there already" in rest.err
    same(tmp_path / "one.zarr", tmp_path / "cluster.zarr")


def test_what_cannot_be_on_a_cluster(dump, tmp_path, address):
    done = dump(tmp_path / "out.h5", "--scheduler", address)
    assert done.code == 2
    assert "several machines cannot write one .h5 file" in done.err
