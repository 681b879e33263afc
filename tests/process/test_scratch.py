"""Nothing stays in the folder for temporary files, however a run ends."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from kmr_cli.process import scratch
from kmr_cli.process.child import Child
from kmr_cli.process.scratch import Scratch, remove_orphans

HOLD = """
import tempfile, time
from kmr_cli.process.child import Child
def leave(report):
    open(tempfile.mkstemp()[1], "w").close()
    report("notice", tempfile.gettempdir())
    time.sleep(600)
child = Child({"leave": leave}, fork=True)
child.run("leave", {}, lambda kind, text: print(text, flush=True))
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # as the command does: with a second thread nothing is forked
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


@pytest.fixture(scope="module")
def dead():
    """The number of a process that is gone."""
    with subprocess.Popen([sys.executable, "-c", ""]) as done:
        done.wait()
    return done.pid


def test_a_folder_is_gone_with_what_it_was_for(place):
    one, two = Scratch(), Scratch()
    (one.path / "sub").mkdir()
    (one.path / "sub" / "file").touch()
    assert {path.parent for path in (one.path, two.path)} == {place}
    one.remove()
    one.remove()
    assert list(place.iterdir()) == [two.path]
    del two
    assert list(place.iterdir()) == []


def test_only_folders_of_processes_that_are_gone_are_swept(place, dead):
    here = scratch._surroundings()
    namespace, _, boot = here.partition("-")
    stale = place / f"kmr-inspect-{dead}-{here}-abc"
    kept = [
        place / f"kmr-inspect-{os.getpid()}-{here}-abc",
        place / "kmr-inspect-1-0-abc",  # process 1 lives, and is of another user as a rule
        place / f"kmr-inspect-{dead}-{int(namespace) + 1}-{boot}-abc",  # of another container
        place / f"kmr-inspect-{dead}-{namespace}-0{boot[1:-1]}g-abc",
        place / f"kmr-inspect-{dead}-{namespace}-{boot[::-1]}f-abc",  # of another machine, or another start of it
        place / f"kmr-inspect-{dead}",
        place / f"my-kmr-inspect-{dead}-{here}-abc",
    ]
    for folder in (stale, *kept):
        folder.mkdir()
        (folder / "file").touch()
    (place / "precious").mkdir()
    (place / f"kmr-inspect-{dead}-{here}-link").symlink_to("precious")
    remove_orphans(place, scratch._FOLDER)
    assert not stale.exists()
    assert all((folder / "file").exists() for folder in kept)
    assert (place / "precious").is_dir()
    assert (place / f"kmr-inspect-{dead}-{here}-link").is_symlink()


@pytest.mark.parametrize("end", ["close", "kill"])
def test_a_child_has_a_place_of_its_own_that_goes_with_it(place, end):
    child = Child({}, fork=False)
    (folder,) = place.glob("kmr-inspect-*")
    environment = [b""]
    while environment == [b""]:  # until the fresh interpreter has taken the place of what started it
        environment = Path(f"/proc/{child._pid}/environ").read_bytes().split(b"\0")
    assert f"TMPDIR={folder}".encode() in environment
    (folder / "__autograph_generated_file.py").touch()
    getattr(child, end)()
    assert list(place.iterdir()) == []


def test_what_a_killed_parent_left_is_swept_by_the_next(place):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        folder = Path(parent.stdout.readline().strip())
        assert folder.parent == place
        assert len(list(folder.iterdir())) == 1
        parent.send_signal(signal.SIGKILL)
    assert folder.exists()
    subprocess.run([sys.executable, "-c", "from kmr_cli.process.scratch import Scratch; Scratch()"], check=True)
    assert list(place.iterdir()) == []
