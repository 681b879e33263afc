"""Standard streams that are closed or full, and signals: what is left behind, and which code comes back."""

import os
import signal
import subprocess
import time

import h5py
import pytest
from zoo.samples import COMMAND, HOME

LAYERS = f"'{COMMAND}' layers '{HOME / 'digits.keras'}'"
SAMPLE = f"'{COMMAND}' sample '{HOME / 'digits.onnx'}' -l head -i 0 --side out --no-verify"


def shell(line, cwd):
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=cwd, timeout=120, check=False)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux only")  # noqa: PTH110
@pytest.mark.parametrize("format_", ["terminal", "json"])
def test_full_output(tmp_path, format_):
    done = shell(f"{LAYERS} --format {format_} > /dev/full", tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: the result cannot be written (No space left on device)\n"


@pytest.mark.parametrize("closed", [">&-", "<&-", "<&- >&-"])
def test_closed_streams_get_in_nobodys_way(tmp_path, closed):
    done = shell(f"{SAMPLE} -o o.h5 {closed}", tmp_path)
    assert done.returncode == 0, done.stderr
    with h5py.File(tmp_path / "o.h5") as file:
        assert file["head#0/out0"].shape == (10,)


@pytest.mark.parametrize("arguments", ["--help", "layers --help", "--version", "rules", "rules KMR1", "layers"])
def test_a_reader_that_leaves_early(tmp_path, arguments):
    model = f" '{HOME / 'digits.keras'}'" if arguments == "layers" else ""
    done = shell(f"(sleep 0; '{COMMAND}' {arguments}{model}; echo $? >&2) | true", tmp_path)
    assert done.stderr == "0\n"


def test_closed_stderr(tmp_path):
    done = shell(f"{LAYERS} 2>&-", tmp_path)
    assert done.returncode == 0
    assert "conv1" in done.stdout


@pytest.mark.parametrize("suffix", ["h5", "npz", "json"])
def test_a_write_that_fails_in_the_middle_leaves_nothing(tmp_path, suffix):
    """HDF5 would crash the process."""
    done = shell(f"ulimit -f 1; {SAMPLE.replace('-l head', '-l conv2')} -o big.{suffix}", tmp_path)
    assert done.returncode == 2
    assert "cannot be written (File too large)" in done.stderr
    assert list(tmp_path.iterdir()) == []


MODEL, DATA = f"'{HOME / 'digits.onnx'}'", f"--input '{HOME / 'digits.npz'}'"
WRITERS = {
    "report": f"check-batch-axis {MODEL} {DATA} -o o.html",
    "certificate": f"check-batch-axis {MODEL} {DATA} --certificate o.json",
    "snapshot": f"snapshot {MODEL} {DATA} -o o.kmr.json",
    "dump": f"dump {MODEL} {DATA} -l '*' -o o.h5",
    "trace": f"trace {MODEL} {DATA} -o o.json",
    "comparison": f"compare {MODEL} '{HOME / 'snapshots' / 'digits.onnx.kmr.json'}' {DATA} -o o.html",
    "scan": f"scan {MODEL} -o o.sarif",
}
"""What a command writes -> the command."""


@pytest.mark.parametrize("what", WRITERS)
def test_no_command_leaves_half_a_file(what, tmp_path):
    done = shell(f"ulimit -f 1; '{COMMAND}' {WRITERS[what]}", tmp_path)
    assert done.returncode == 2, done.stderr
    assert "cannot be written (File too large)" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_sigterm_while_a_file_is_written(tmp_path):
    """The temporary file goes, the child goes, and the caller sees that it was the signal."""
    code = (
        "import os, sys, time; from kmr_cli import __main__ as m; from kmr_cli.render.files import npz\n"
        "def write(path, records): path.write_bytes(b'half'); print('writing', flush=True); time.sleep(60)\n"
        "npz.write = write; m.main()"
    )
    arguments = ["-c", code, "sample", HOME / "digits.onnx", "-l", "head", "-i", "0", "--no-verify", "-o", "o.npz"]
    python = COMMAND.parent / "python"
    with subprocess.Popen([python, *map(str, arguments)], stdout=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdout.readline() == b"writing\n"
        assert len(list(tmp_path.iterdir())) == 1
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == -signal.SIGTERM
        assert time.monotonic() - started < 5
    assert list(tmp_path.iterdir()) == []
