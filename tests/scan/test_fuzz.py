"""Real files with changed bytes: every reader ends with an answer, or with an error of this program's own.

``make fuzz`` reads 10,000 for each reader, ``make test`` a few of them.
"""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from bad_files import mutations, structures

from kmr_cli.errors import KmrError
from kmr_cli.formats.keras.describe.archive import Window

PIECE = 2_000
ALL = 10_000
LIBHDF5 = {"keras", "h5"}
"""Readers over a library that hangs and crashes on some files: what their own process and its clock are for."""
ENDED = ("SIGPROF", "SIGSEGV", "SIGABRT", "SIGFPE", "SIGBUS")


def pieces():
    for kind in (*mutations.SOURCES, *structures.WRITERS):
        yield pytest.param(kind, 0, 120, id=kind)
        for first in range(0, ALL, PIECE):
            yield pytest.param(kind, first, PIECE, id=f"{kind}-{first}", marks=pytest.mark.fuzz)


def fuzz(kind, first, count):
    return subprocess.run(
        [sys.executable, "-m", "bad_files.fuzz", kind, str(first), str(count)],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize(("kind", "first", "count"), [*pieces()])
def test_changed_files_end_in_an_answer(kind, first, count):
    ran = fuzz(kind, first, count)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    by_library = [line for line in lines if kind in LIBHDF5 and line.endswith(ENDED)]
    assert [line for line in lines if line not in by_library] == []
    assert len(by_library) <= count // 100


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize(
    ("kind", "seed"),
    [("keras", 4102), ("keras", 6132), ("keras_entries", 623), ("pt2_entries", 858), ("pt2_entries", 1444)],
)
def test_what_fuzzing_found_stays_away(kind, seed):
    """Calls that refer to one which the layer doesn't have; objects in place of whole numbers and of names."""
    assert fuzz(kind, seed, 1).stdout == ""


def test_a_reader_that_fails_is_told_of(tmp_path):
    """So the test above can fail: of an exception, a hang and a crash, each of one file."""
    code = (
        "import ctypes; from bad_files import fuzz\n"
        "def fail(path):\n"
        "    if '3' in path.parent.name: raise KeyError(path.name)\n"
        "    if '5' in path.parent.name: ctypes.string_at(0)\n"
        "    while '7' in path.parent.name: pass\n"
        "fuzz.READERS, fuzz.SECONDS = {'fail': fail}, 0.2\n"
        "print(*fuzz.failures('onnx', 0, 10), sep='\\n')"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path)
    told = [" ".join(line.split()[:4]) for line in ran.stdout.splitlines()]
    assert told == ["onnx 3 fail: KeyError", "onnx 5 fail: SIGSEGV", "onnx 7 fail: SIGPROF"], ran.stderr


def test_the_same_seed_makes_the_same_file(tmp_path):
    made = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        made.append(mutations.write("pt2", 7, tmp_path / name).read_bytes())
    assert made[0] == made[1]


def test_a_place_beyond_all_files_is_the_end_of_a_member(tmp_path):
    """Found by fuzzing: HDF5 asks for it where its addresses are damaged."""
    (tmp_path / "file").write_bytes(b"0123456789")
    with io.FileIO(tmp_path / "file") as file:
        window = Window(file, 2, 5)
        window.seek(1 << 70)
        assert window.read(4) == b""
        window.seek(3)
        assert window.read(4) == b"56"


def test_a_message_does_not_hold_the_file():
    """Found by fuzzing: what zipfile says of a header holds all that follows it."""
    assert len(KmrError("x" * 100_000).message) == 2000
