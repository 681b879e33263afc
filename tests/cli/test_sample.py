"""The ``sample`` command, run for real."""

import json
import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import h5py
import jsonschema
import numpy as np
import pytest
from zoo.samples import COMMAND, DATA, HOME, PROGRESS, batch_of, run_bare

pytestmark = pytest.mark.slow
DOCUMENTED = json.loads((Path(__file__).parents[2] / "docs" / "sample.schema.json").read_text())
MODEL, BATCH = HOME / "digits.onnx", HOME / "digits.npz"
BASE = ("sample", MODEL, "--layer", "conv2", "--index", "4", "--input", BATCH)
IMPORTING = ("sample", HOME / "digits_scripted.pt", *BASE[2:])
"""Takes any module that ``--import`` names, and one that makes loading slow."""


@pytest.mark.parametrize("name", ["digits.keras", "digits.h5", "digits_savedmodel", "digits_scripted.pt"])
def test_every_format_end_to_end(kmr, name):
    screen = kmr("sample", HOME / name, "--layer", "head", "--index", "4", "--input", BATCH, "--format", "json")
    assert screen.code == 0, screen.err
    said = [line for line in screen.err.splitlines() if not PROGRESS.search(line)]
    assert said == [f"note:  {BATCH}: left out 'label'"]
    found = json.loads(screen.out)
    jsonschema.validate(found, DOCUMENTED)
    into, out = found["records"]
    assert (into["port"], out["port"]) == ("in0", "out0")
    assert out["batch_index"]["kind"] == "separated"
    (logits,) = run_bare(name, batch_of(name))
    assert np.asarray(out["value"]).argmax() == logits[4].argmax()


def test_terminal_screen(kmr):
    screen = kmr(*BASE)
    assert screen.code == 0, screen.err
    lines = screen.out.splitlines()
    assert max(map(len, lines[1:])) <= 80
    assert "conv2 in0" in screen.out
    assert "conv2 out0" in screen.out
    assert screen.out.count("proven, separated on axis 0") == 2
    assert "\x1b" not in screen.out


def test_synthetic_data_is_said_to_be_synthetic(kmr):
    screen = kmr("sample", MODEL, "--layer", "head", "--index", "0", "--format", "json")
    assert screen.code == 0, screen.err
    assert "the data is synthetic" in screen.err
    first, second = (
        kmr("sample", MODEL, "-l", "conv2", "-i", "0", "--shape", "8,8,1", "--seed", seed) for seed in "01"
    )
    assert (first.code, second.code) == (0, 0)
    assert first.out != second.out


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".json"])
def test_output_files(kmr, tmp_path, suffix):
    place = tmp_path / f"out{suffix}"
    screen = kmr(*BASE, "-o", place)
    assert screen.code == 0, screen.err
    assert screen.out == ""
    assert f"wrote {place}: 2 arrays" in screen.err
    assert [entry.name for entry in tmp_path.iterdir()] == [place.name]
    if suffix == ".npz":
        with np.load(place) as archive:
            assert archive["conv2#0.out0"].ndim == 3
    elif suffix == ".h5":
        with h5py.File(place) as file:
            assert file["conv2#0/out0"].attrs["sample"] == 4
            assert "version_onnxruntime" in file.attrs
    else:
        assert json.loads(place.read_text())["records"][0]["sample"] == 4


def test_npy_holds_one_array(kmr, tmp_path):
    assert kmr(*BASE, "--side", "out", "-o", tmp_path / "o.npy").code == 0
    assert np.load(tmp_path / "o.npy").ndim == 3
    screen = kmr(*BASE, "-o", tmp_path / "p.npy")
    assert screen.code == 2
    assert "holds one array, and there are 2" in screen.err


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["-l", "conv1", "-i", "4"], 2),
        (["-l", "conv1", "-i", "4,5", "--side", "out"], 2),
        (["-l", "conv?", "-i", "4", "--side", "in"], 2),
    ],
    ids=["sides", "samples", "layers"],
)
def test_several_arrays_for_a_npy_file_are_refused_before_the_model_runs(kmr, tmp_path, arguments, count):
    place = tmp_path / "o.npy"
    # With no framework to be found, running the model would be another error.
    screen = kmr("sample", HOME / "digits.keras", *arguments, "--input", BATCH, "-o", place, KERAS_BACKEND="nothing")
    assert screen.code == 2
    assert f"holds one array, and there are {count}" in screen.err
    assert not place.exists()


def test_several_samples_and_layers(kmr):
    screen = kmr("sample", MODEL, "-l", "[cp]o*", "-i", "0:2,-1", "--side", "out", "--input", BATCH, "--format", "json")
    found = [(record["layer"], record["sample"]) for record in json.loads(screen.out)["records"]]
    assert found == [(layer, sample) for layer in ("conv2", "pool") for sample in (0, 1, 10)]


def test_no_verify(kmr):
    screen = kmr(*BASE, "--no-verify")
    assert screen.code == 0
    assert "INCONCLUSIVE: assumed from the shape (--no-verify)" in screen.out


def test_ctrl_c_ends_it_at_once(slowly):
    ours, theirs = pty.openpty()
    arguments, environment = slowly(60)
    command, environment = [COMMAND, *map(str, IMPORTING), *arguments], {**os.environ, **environment}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True, env=environment
    ) as process:
        os.close(theirs)
        try:
            shown = b""
            while b"loading the model" not in shown:  # the child sleeps now
                shown += os.read(ours, 4096)
            start = time.monotonic()
            os.killpg(process.pid, signal.SIGINT)
            out = process.communicate(timeout=20)[0]
            assert time.monotonic() - start < 10  # far less than the child would take
            shown += os.read(ours, 4096)
        finally:
            process.kill()
            os.close(ours)
    assert process.returncode == 130
    assert out == b""
    assert shown.rstrip().endswith(b"interrupted")


def test_closed_pipe_ends_quietly():
    line = f"'{COMMAND}' sample '{MODEL}' -l '*' -i 4 --input '{BATCH}' --format json | head -c 10"
    run = subprocess.run(["bash", "-c", line], capture_output=True, check=False, timeout=120)
    assert run.stdout == b'{\n "schema'
    assert b"Traceback" not in run.stderr
    assert b"Broken" not in run.stderr


def test_progress_shows_on_a_terminal_only(kmr, slowly):
    arguments, environment = slowly(1.5)
    assert "the model" not in kmr(*IMPORTING, *arguments, **environment).err
    ours, theirs = pty.openpty()
    command, environment = [COMMAND, *map(str, IMPORTING), *arguments], {**os.environ, **environment}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            shown += piece
        process.wait(timeout=60)
    os.close(ours)
    assert b"loading the model" in shown
    assert b"replacing all samples but 4" in shown


def test_data_table_is_complete():
    others = {"README.md", "snapshots", "__pycache__"}
    assert {path.name for path in HOME.iterdir() if path.suffix not in (".py", ".npz")} - others == set(DATA)


def test_a_mix_is_pointed_to_the_command_that_finds_its_cause(kmr, tmp_path):
    import torch

    class Mix(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Linear(3, 2)

        def forward(self, x):
            return self.head(x - x.mean(0))

    torch.jit.script(Mix()).save(tmp_path / "my model.pt")
    screen = kmr("sample", "my model.pt", "--layer", "head", "--index", "0", "--shape", "3", cwd=tmp_path)
    assert screen.code == 0, screen.err
    assert "MIXED" in screen.out
    assert "`kmr-inspect check-batch-axis 'my model.pt'` names the layer that mixes samples" in screen.err
    assert "check-batch-axis" not in kmr(*BASE).err


@pytest.mark.slow
def test_a_sparse_matrix_for_a_sparse_input(kmr, tmp_path):
    """An .npz of SciPy is fed as the dense array that it stands for."""
    from scipy import sparse
    from zoo import savedmodel

    path = savedmodel.tf1_sparse_input(tmp_path / "sparse")
    dense = np.zeros((5, 4), np.float32)
    dense[[0, 1, 1, 2, 3, 4], [2, 0, 3, 0, 1, 2]] = [1, 2, 3, 6, 4, 5]
    sparse.save_npz(tmp_path / "x.npz", sparse.csr_matrix(dense))
    done = kmr("sample", path, "-l", "dense", "-i", "0:5", "--input", tmp_path / "x.npz", "-o", tmp_path / "out.npz")
    assert done.code == 0, done.err
    with np.load(tmp_path / "out.npz") as found:
        rows = [found[name] for name in sorted(found) if ".out0" in name]
    assert np.stack(rows).tolist() == (2 * dense).tolist()
    checked = kmr("check-batch-axis", path, "--input", f"x={tmp_path / 'x.npz'}", "--batch-size", "3")
    assert checked.code == 0, checked.out + checked.err
