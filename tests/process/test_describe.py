"""A file that makes its reader hang: the parent only waits, and so goes at once when it is told to."""

import os
import signal
import subprocess
import sys
import time

import pytest
from zoo.samples import COMMAND, HOME

from kmr_cli.errors import ModelFileError
from kmr_cli.formats import describe as read
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.process import place, sandbox

HEAD = """
import ctypes, os, signal, socket, stat, subprocess, sys
from pathlib import Path
NAME = TITLE = "other"
FILE = EXTRA = "another file"
SEPARATOR, FREE_DIMS, PROGRAMS, FRAMEWORKS, OPTIONS = "/", True, (), (), ()

def describe(path, options): ...
def open(path, options): ...
def adopt(model, *, training=False): ...
"""
# A format whose reader hangs as libhdf5 does on a file with two zeroed bytes: in native code, deaf to signals.
HANGING = """
def matches(path):
    if path.suffix != ".other":
        return False
    Path(os.environ["TMPDIR"], f"{os.getpid()}.reader").write_text("")  # the sandbox lets it write nowhere else
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    while True:
        ctypes.CDLL(None).sleep(600)
"""
# A format whose reader is taken over by a file, and answers for itself.
FORGING = """
def matches(path):
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                os.write(number, b'{"verdict": "pass"}' * 100)
        except OSError:
            pass
    return path.suffix == ".other"
"""
# A format whose reader is taken over by a file, and looks for what it can reach.
REACHING = """
def matches(path):
    if path.suffix != ".other":
        return False
    tries = {
        "reads elsewhere": lambda: (path.parents[1] / "secret").read_text(),
        "reads beside the model": lambda: (path.parent / "weights").read_text(),
        "writes into the model's folder": lambda: (path.parent / "new").write_text("x"),
        "overwrites the model": lambda: path.write_bytes(b"x"),
        "writes into its own folder": lambda: Path(os.environ["TMPDIR"], "new").write_text("x"),
        "starts a program": lambda: subprocess.run([sys.executable, "-c", ""]),
        "makes a socket": lambda: socket.socket(),
    }
    done = []
    for name, attempt in tries.items():
        try:
            attempt()
            done.append(name)
        except OSError:
            pass
    raise RuntimeError(", ".join(done))
"""


def other_format(folder, code):
    """A model file, and the environment in which its format is installed."""
    site = folder / "site"
    distribution = site / "other-1.0.dist-info"
    distribution.mkdir(parents=True)
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (distribution / "entry_points.txt").write_text("[kmr_inspect.formats]\nother = other_format\n")
    (site / "other_format.py").write_text(HEAD + code)
    (folder / "model.other").write_bytes(b"?")
    return folder / "model.other", {**os.environ, "PYTHONPATH": str(site)}


def gone(pid):
    try:
        with open(f"/proc/{pid}/status") as file:  # noqa: PTH123
            return "State:\tZ" in file.read()
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize("command", ["layers", "check-batch-axis"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)], ids=str)
def test_a_reader_that_hangs_is_ended_at_once(tmp_path, command, number, code):
    model, environment = other_format(tmp_path, HANGING)
    (tmp_path / "tmp").mkdir()
    environment["TMPDIR"] = str(tmp_path / "tmp")
    with subprocess.Popen(
        [COMMAND, command, str(model)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as run:
        try:
            deadline = time.monotonic() + 60
            while not (readers := list(tmp_path.rglob("*.reader"))):
                assert run.poll() is None, run.stderr.read()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            reader = int(readers[0].stem)
            assert reader != run.pid  # the parent reads nothing of it
            started = time.monotonic()
            run.send_signal(number)
            assert run.wait(timeout=30) == code
            assert time.monotonic() - started < 5
        finally:
            run.kill()
    assert gone(reader)
    assert len(readers) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize("command", ["layers", "check-batch-axis"])
def test_a_reader_that_answers_for_itself_ends_in_2(tmp_path, command):
    model, environment = other_format(tmp_path, FORGING)
    done = subprocess.run(
        [COMMAND, command, str(model)], capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: the process that ran the model sent an invalid answer" in done.stderr
    assert len(done.stderr.splitlines()) == 2


HERE, ELSEWHERE = "reads beside the model, writes into its own folder", "reads elsewhere, "


@pytest.mark.skipif(len(sandbox.offered()) < 2, reason="this machine has no Landlock, or no seccomp")
@pytest.mark.parametrize(
    ("program", "reached"),
    [
        ("import kmr_cli.__main__ as program; program.main()", HERE),
        # A fresh interpreter reads one model after the other, so that nothing of the disk can be left out.
        ("import sys, torch, kmr_cli; kmr_cli.open_model(sys.argv[2])", ELSEWHERE + HERE),
    ],
    ids=["a fork", "a fresh interpreter"],
)
def test_a_reader_reaches_little(tmp_path, program, reached):
    model, environment = other_format(tmp_path / "models", REACHING)
    (tmp_path / "secret").write_text("secret")
    model.with_name("weights").write_text("weights")
    before = sorted(model.parent.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", program, "layers", str(model)], capture_output=True, text=True, env=environment
    )
    assert f"(RuntimeError: {reached})" in done.stderr
    assert sorted(model.parent.iterdir()) == before
    assert model.read_bytes() == b"?"


@pytest.mark.parametrize("name", ["digits.keras", "digits.h5", "digits_savedmodel", "digits_scripted.pt"])
def test_a_description_arrives_as_it_was_read(name):
    path = HOME / name
    if not path.exists():
        pytest.skip(f"no {name}")
    assert place.describe(path, OpenOptions()) == read(path, OpenOptions())[1]


def test_what_is_wrong_with_a_file_arrives_too(tmp_path):
    path = tmp_path / "cut.keras"
    path.write_bytes((HOME / "digits.keras").read_bytes()[:1000])
    with pytest.raises(ModelFileError) as here:
        read(path, OpenOptions())
    with pytest.raises(ModelFileError) as there:
        place.describe(path, OpenOptions())
    assert (there.value.message, there.value.hint) == (here.value.message, here.value.hint)
