"""Whatever ends a run, at whatever it is doing: the old file or the new one, no child, no temporary folder, soon."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from zoo.samples import HOME, python

from kmr_cli.errors import OutputError
from kmr_cli.process import scratch
from kmr_cli.render.files.write import write_whole

STAGES = {
    "describe": "from kmr_cli.process import describe as home; home.read = hang",
    "scan": "from kmr_cli.process import admission as home; home.scan = hang",
    "load": "from kmr_cli.formats import onnx as home; home.open = hang",
    "run": "from kmr_cli.process import work as home; home.take_samples = hang",
    "write": "from kmr_cli.render.files import npz as home; home.write = hang",
}
"""What a run does -> how it gets stuck there; in a child as native code would, deaf to what can be ignored."""
PROGRAM = """
import os, signal, sys, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may have set it to be ignored: nohup
import kmr_cli.__main__ as program  # first, so that NumPy starts no thread
main = os.getpid()
told = os.open({told!r}, os.O_WRONLY | os.O_CREAT)  # here, since the sandbox would not let it
def hang(*given, **more):
    if os.getpid() != main:
        signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGINT, signal.SIGTERM, signal.SIGHUP}})
    else:
        given[0].write_bytes(b"half")
    os.write(told, b"%d\\n" % os.getpid())
    for _ in range(6000):  # a signal that comes just before a sleep does not shorten it
        time.sleep(0.01)
{stage}
program.main()
"""
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]


def gone(pid):
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def until(true, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("stage", STAGES)
def test_a_signal_ends_it_and_leaves_nothing(stage, number, tmp_path):
    told, temporary, place = (tmp_path / name for name in ("told", "tmp", "place"))
    temporary.mkdir()
    place.mkdir()
    code = PROGRAM.format(told=str(told), stage=STAGES[stage])
    arguments = ["sample", str(HOME / "digits.onnx"), "-l", "head", "-i", "0", "-o", "o.npz"]
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=place,
        env={**os.environ, "TMPDIR": str(temporary)},
    ) as run:  # fmt: skip
        try:
            assert until(lambda: run.poll() is not None or (told.exists() and told.read_text().endswith("\n")))
            assert run.poll() is None, run.stderr.read()
            stuck = int(told.read_text())
            assert (stuck == run.pid) == (stage == "write")
            started = time.monotonic()
            run.send_signal(number)
            code = run.wait(timeout=30)
            assert time.monotonic() - started < 5  # a second on an idle machine
        finally:
            run.kill()
        said = run.stderr.read().decode()
    assert code == (130 if number == signal.SIGINT else -number)
    assert "Traceback" not in said
    assert until(lambda: gone(stuck))
    assert not (place / "o.npz").exists()
    if number == signal.SIGKILL:
        assert len(list(temporary.iterdir())) == (stage != "write")  # nobody was there to remove the child's folder
        assert [one.name for one in place.iterdir() if not one.name.startswith(".o.npz.")] == []
        assert len(list(place.iterdir())) == (stage == "write")  # nor what was half-written
        python("-c", "from kmr_cli.process.scratch import Scratch; Scratch()", TMPDIR=str(temporary))
        write_whole(place / "other.json", lambda path: path.write_text("new"), overwrite=False)
        assert [one.name for one in place.iterdir()] == ["other.json"]
    else:
        assert list(place.iterdir()) == []
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_a_disk_that_takes_no_more_leaves_the_old_file(tmp_path, number):
    place = tmp_path / "o.json"
    place.write_text("old")

    def write(path):
        path.write_text("half")
        raise OSError(number, os.strerror(number))

    with pytest.raises(OutputError, match=os.strerror(number)):
        write_whole(place, write, overwrite=True)
    assert place.read_text() == "old"
    assert list(tmp_path.iterdir()) == [place]


def test_a_disk_that_is_full_only_when_all_is_written(tmp_path, monkeypatch):
    """Some file systems tell when the data is to be on the disk."""

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_whole(tmp_path / "o.json", lambda path: path.write_text("new"), overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_only_what_is_half_written_of_runs_that_are_gone_is_removed(tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""]) as done:
        done.wait()
    mine = scratch.owner()
    dead = mine.replace(str(os.getpid()), str(done.pid), 1)
    kept = [
        f".o.json.{mine}.abcdefgh.tmp", f".o.json.{dead}0.abcdefgh.tmp", f"o.json.{dead}.abcdefgh.tmp",
        f".o.json.{dead}.abcdefgh.tmp~", ".o.json.abcdefgh.tmp",
    ]  # fmt: skip
    for name in (*kept, f".o.json.{dead}.abcdefgh.tmp", f".{'n' * 20}.{dead}.abc_efg8.tmp"):
        (tmp_path / name).write_text("half")
    write_whole(
        tmp_path / ("漢" * 85), lambda path: path.write_text("new"), overwrite=False
    )  # as long as a name can be
    assert {one.name for one in tmp_path.iterdir()} == {*kept, "漢" * 85}


@pytest.mark.parametrize("overwrite", [True, False])
def test_two_that_write_one_file_leave_one_whole(tmp_path, overwrite):
    both, failed = threading.Barrier(2), []

    def run(text):
        def write(path):
            path.write_text(text[: len(text) // 2])
            both.wait(20)
            path.write_text(text)

        try:
            write_whole(tmp_path / "o.json", write, overwrite=overwrite)
        except OutputError as exc:
            failed.append(exc.message)

    texts = ["a" * 100_000, "b" * 100_000]
    threads = [threading.Thread(target=run, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "o.json").read_text() in texts
    assert len(list(tmp_path.iterdir())) == 1
    assert ["exists already" in message for message in failed] == ([] if overwrite else [True])


@pytest.mark.skipif(os.getuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_to(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="cannot be written to"):
            write_whole(tmp_path / "o.json", lambda path: path.write_text("new"), overwrite=False)
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_that_may_not_be_written_to(tmp_path, monkeypatch):
    """The same for root, whom the system lets write: what it says of others."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="cannot be written to"):
        write_whole(tmp_path / "o.json", lambda path: path.write_text("new"), overwrite=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_signal_of_which_a_library_makes_an_error_ends_the_run(number, code):
    """Some turn whatever passes through them into an exception of their own."""
    program = (
        "import os, signal\n"
        "import kmr_cli.__main__ as program, kmr_cli.process.place as home\n"
        "def turned(*_, **__):\n"
        "    try: os.kill(os.getpid(), NUMBER); signal.sigtimedwait([], 5)\n"
        "    except BaseException as exc: raise RuntimeError('generator raised') from exc\n"
        "home.describe = turned\n"
        "program.main()\n"
    ).replace("NUMBER", str(int(number)))
    done = subprocess.run(
        [sys.executable, "-c", program, "layers", str(HOME / "digits.onnx")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    assert "unexpected" not in done.stderr


LATE = """
import gc, os, signal, sys, tempfile, time
import kmr_cli.__main__ as program, kmr_cli.process.place as home
from kmr_cli.errors import ModelFileError
NUMBER = {number}
class Destroyed:
    def __del__(self): os.kill(os.getpid(), NUMBER); [None for _ in range(1000)]
def describe(*_, **__):
    {what}
home.describe = describe
program.{start}
"""
ENDINGS = {
    "in a destructor": "Destroyed(); gc.collect(); [time.sleep(0.01) for _ in range(2000)]",
    "made an error of ours": (
        "try: os.kill(os.getpid(), NUMBER); signal.sigtimedwait([], 5)\n"
        "    except BaseException as exc: raise ModelFileError('the file is damaged') from exc"
    ),
    "twice": (
        "try: os.kill(os.getpid(), NUMBER); signal.sigtimedwait([], 5)\n"
        "    finally: os.kill(os.getpid(), NUMBER); [time.sleep(0.01) for _ in range(120)]; print('tidied up')"
    ),
}
"""Where a signal comes, and what becomes of it there."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize("when", ENDINGS)
def test_a_signal_at_an_odd_place_ends_the_run_all_the_same(when, number):
    program = LATE.format(number=int(number), what=ENDINGS[when], start="main()")
    reset = f"import signal; signal.signal({int(number)}, signal.SIG_DFL)\n"  # nohup has it ignored
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", reset + program, "layers", str(HOME / "digits.onnx")], capture_output=True, text=True
    )
    assert done.returncode == -number, done.stderr
    assert done.stderr == ""
    assert done.stdout == ("tidied up\n" if when == "twice" else "")
    assert time.monotonic() - started < 10  # two on an idle machine


def test_a_signal_when_all_is_done_changes_nothing():
    """It comes while the program ends, when nobody would catch what a handler raises."""
    program = (
        "import atexit, os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_DFL)\n"
        "atexit.register(lambda: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(0.1)))\n"
        "import kmr_cli.__main__ as program\n"
        "program.command()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "layers", str(HOME / "digits.onnx")], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "conv2" in done.stdout
