"""The child process: results, errors, crashes, and the end of it."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from zoo.samples import COMMAND, HOME

from kmr_cli.errors import BatchError, KmrError, ModelRunError
from kmr_cli.formats.facts import frameworks
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.process.child import Child

# The tasks run in a fresh interpreter, so they live in a script of their own, which forks: as the command line does.
SCRIPT = textwrap.dedent(
    """
    import os, signal, sys, time
    import kmr_cli.__main__  # first, so that NumPy starts no thread
    import numpy as np
    from kmr_cli.errors import BatchError, KmrError
    from kmr_cli.process.child import Child

    def double(report, x): report("notice", "doubling"); return x * 2
    def wrong(report): raise BatchError("no such thing", "try another")
    def bug(report): {}["missing"]
    def noise(report): print("chatter on stdout"); os.write(2, b"chatter on stderr\\n"); return 1
    def crash(report): os.write(2, b"fatal: the last words\\n"); os.abort()
    def starve(report): os.kill(os.getpid(), signal.SIGKILL)
    def hang(report):
        report("notice", str(os.getpid()))
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        time.sleep(600)

    def endless(report): report("notice", "begun"); time.sleep(600)
    endless.limit = lambda arguments: 0.5

    TASKS = {f.__name__: f for f in (double, wrong, bug, noise, crash, starve, hang, endless)}
    child = Child(TASKS, fork=True)
    try:
        result = child.run(sys.argv[1], eval(sys.argv[2]), lambda kind, text: print(kind, text, flush=True))
        print("result", result)
    except KmrError as exc:
        print(type(exc).__name__, "|", exc.message, "|", exc.hint)
    except KeyboardInterrupt:
        print("interrupted")
    child.close()
    """
)


def forked(task, arguments="{}"):
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, task, arguments], capture_output=True, text=True, timeout=60, check=True
    )
    return run.stdout, run.stderr


def test_a_task_that_takes_longer_than_it_may_is_ended():
    out, _ = forked("endless")
    begun, ended = out.splitlines()
    assert begun == "notice begun"
    assert ended.startswith("LimitError | reading the file took more than 0 s, which no intact file of its size does |")


def test_result_and_notices():
    out, err = forked("double", "{'x': np.arange(3)}")
    assert out.splitlines() == ["notice doubling", "result [0 2 4]"]
    assert err == ""


def test_errors_keep_class_message_and_hint():
    assert forked("wrong")[0] == "BatchError | no such thing | try another\n"


def test_a_bug_is_one_line():
    out, err = forked("bug")
    assert out == "KmrError | unexpected KeyError: 'missing' | run again with --debug for the traceback\n"
    assert err == ""


def test_what_a_framework_prints_is_kept_back():
    assert forked("noise") == ("result 1\n", "")


def test_an_abort_is_one_line_with_the_last_words():
    out, err = forked("crash")
    message = "the process that ran the model ended (killed by SIGABRT)"
    assert out == f"ModelRunError | {message} | the last line it printed: fatal: the last words\n"
    assert err == ""


def test_out_of_memory_is_guessed():
    assert "may have run out of memory" in forked("starve")[0]


def _until_gone(pid, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if "State:\tZ" in Path(f"/proc/{pid}/status").read_text():
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "the parent is killed"])
def test_the_child_goes_with_its_parent(number):
    with subprocess.Popen([sys.executable, "-c", SCRIPT, "hang", "{}"], stdout=subprocess.PIPE, text=True) as parent:
        try:
            pid = int(parent.stdout.readline().split()[1])
            parent.send_signal(number)
            assert _until_gone(pid, 10)  # it would hang for ten minutes
            rest = parent.communicate(timeout=10)[0]
        finally:
            parent.kill()
    assert rest == ("interrupted\n" if number == signal.SIGINT else "")


ASKED = {
    "options": OpenOptions(), "layers": (), "unresolved": (), "separator": "/", "calls": None, "sides": (), "batch": {},
    "spare": None, "samples": (), "verify": False, "seed": 0,
}  # fmt: skip


def test_a_fresh_interpreter_serves_and_says_what_is_wrong(tmp_path):
    child = Child({}, fork=False)
    try:
        with pytest.raises(KmrError, match="no such file"):
            child.run("sample", {**ASKED, "path": str(tmp_path / "none.keras")}, lambda kind, text: None)
        assert child.alive
    finally:
        child.close()
    assert not child.alive


def test_a_killed_interpreter_is_reported():
    child = Child({}, fork=False)
    os.kill(child._pid, signal.SIGKILL)
    assert _until_gone(child._pid, 10)
    with pytest.raises(ModelRunError, match="ended"):
        child.run("sample", {}, lambda kind, text: None)


def may_fork(preparation):
    script = (
        f"import kmr_cli.__main__, numpy\n{preparation}\nfrom kmr_cli.process.child import can_fork; print(can_fork())"
    )
    command = [sys.executable, "-c", script]
    environment = {key: value for key, value in os.environ.items() if key != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
    return {"True\n": True, "False\n": False}[done.stdout]


@pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")
@pytest.mark.parametrize(
    ("preparation", "allowed"),
    [
        ("", True),
        ("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()", False),
        # As a C library does: nothing that the module threading knows of.
        ("import _thread, time; _thread.start_new_thread(time.sleep, (60,))", False),
        *((f"import sys; sys.modules[{name!r}] = sys", False) for name in sorted(frameworks())),
    ],
    ids=["nothing", "a thread", "a thread unknown to Python", *sorted(frameworks())],
)
def test_never_forks_beside_a_thread_or_a_framework(preparation, allowed):
    assert may_fork(preparation) == allowed


WATCH_FORKS = """
import os

def fork(fork=os.fork):
    with open(os.environ["FORKS"], "a") as file:
        print(len(os.listdir("/proc/self/task")), file=file)
    return fork()

os.fork = fork
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")
@pytest.mark.parametrize("threads", [None, "2"], ids=["as installed", "OpenBLAS with two threads"])
def test_the_command_forks_without_threads_and_without_a_warning(tmp_path, threads):
    (tmp_path / "sitecustomize.py").write_text(WATCH_FORKS)
    environment = {key: value for key, value in os.environ.items() if key != "OPENBLAS_NUM_THREADS"}
    environment |= {"PYTHONWARNINGS": "always", "PYTHONPATH": str(tmp_path), "FORKS": str(tmp_path / "forks")}
    if threads:
        environment["OPENBLAS_NUM_THREADS"] = threads
    command = [COMMAND, "sample", "digits.onnx", "-l", "conv2", "-i", "4", "--input", "digits.npz"]
    done = subprocess.run(command, cwd=HOME, capture_output=True, text=True, timeout=120, check=False, env=environment)
    said = [line for line in done.stderr.splitlines() if not line.endswith("…")]  # a slow machine shows progress
    assert (done.returncode, said) == (0, ["note:  digits.npz: left out 'label'"])
    assert "conv2 out0" in done.stdout
    if threads is None:
        assert (tmp_path / "forks").read_text() == "1\n"


def test_errors_of_other_names_are_not_rebuilt():
    from kmr_cli.process.child import _rebuild

    said = {"message": "m", "hint": None, "layer": "a", "after": "b", "left": (0.0, 2.0, 1.0, 1.5)}
    assert type(_rebuild({"class": "annotations", **said})) is KmrError
    assert type(_rebuild({"class": "BatchError", **said})) is BatchError
    failed = _rebuild({"class": "ModelRunError", **said})
    assert (type(failed), failed.layer, failed.after, failed.left) == (ModelRunError, "a", "b", said["left"])
