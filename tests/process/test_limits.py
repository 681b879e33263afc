"""A model that takes too long, or too much memory, is ended; what it may do to the machine is limited."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bad_files import SAMPLES

from kmr_cli import open_model
from kmr_cli.cli import run
from kmr_cli.config.limits import Limits, limits_of
from kmr_cli.config.pyproject import read_settings
from kmr_cli.errors import KmrError, LimitError
from kmr_cli.process import resources

MODEL = SAMPLES / "digits.onnx"


@pytest.fixture
def importing(tmp_path, monkeypatch):
    """A module that runs some code in the process of the model, which finds this test's folder as ``folder``."""

    def write(text):
        head = f"import os, sys, time, resource, tempfile\nfrom pathlib import Path\nfolder = Path({str(tmp_path)!r})\n"
        (tmp_path / "kmr_in_the_child.py").write_text(head + text)
        monkeypatch.syspath_prepend(str(tmp_path))
        return ["kmr_in_the_child"]

    return write


def test_too_long(importing):
    began = time.monotonic()
    imports = importing("time.sleep(300)")
    # On a machine that is busy enough the time is over before the file is described.
    error = pytest.raises(LimitError, match=r"took longer than the 0.7 s allowed")
    with error as raised, open_model(MODEL, imports=imports, timeout=0.7) as model:
        model.sample("conv2", 0)
    assert "timeout=" in str(raised.value)
    assert time.monotonic() - began < 200  # and not as long as it sleeps


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_too_much_memory(importing):
    held = importing("held = []\nwhile True:\n    held.append(b'x' * 10**7)\n    time.sleep(0.002)\n")
    with open_model(MODEL, imports=held, memory="500M", timeout=60) as model:
        with pytest.raises(LimitError, match=r"more memory than the 500 MiB allowed: 5") as raised:
            model.sample("conv2", 0)
        assert "memory=" in str(raised.value)


COMMANDS = {
    "sample": ["-l", "conv2", "-i", "0"], "check-batch-axis": [], "trace": [], "snapshot": [],
    "layers": ["--shape", "8,8,1"],
    "dump": ["-l", "conv2", "--input", str(SAMPLES / "digits.npz"), "-o", "o.h5"],
    "compare": [str(SAMPLES / "snapshots" / "digits.onnx.kmr.json"), "--input", str(SAMPLES / "digits.npz")],
}  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize("command", COMMANDS)
def test_too_much_memory_for_a_command(command, importing, tmp_path, monkeypatch, capsys):
    (module,) = importing("held = []\nwhile True:\n    held.append(b'x' * 10**7)\n    time.sleep(0.002)\n")
    monkeypatch.chdir(tmp_path)
    arguments = [command, str(MODEL), *COMMANDS[command], "--import", module, "--memory", "500M", "--timeout", "60"]
    before = sorted(tmp_path.rglob("*"))
    assert run(arguments) == 4
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note: ")]
    assert "took more memory than the 500 MiB allowed: 5" in said[0]
    assert said[0].startswith("error: ")
    assert "--memory" in said[1]
    assert len(said) == 2
    assert [one for one in sorted(tmp_path.rglob("*")) if "__pycache__" not in one.parts] == before


def test_a_process_that_the_system_kills_is_a_line(importing, capsys):
    """As it does where memory runs out: from without, nobody can tell why."""
    (module,) = importing("import signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    assert run(["sample", str(MODEL), "-l", "conv2", "-i", "0", "--import", module]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note: ")]
    assert said == [
        "error: the process that ran the model ended (killed by SIGKILL)",
        "hint:  the system may have run out of memory: try a smaller batch (--batch-size)",
    ]


def test_limits_that_suffice_change_nothing():
    with open_model(MODEL, memory="8G", timeout=300) as model:
        assert model.sample("conv2", 0)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize("command", ["layers", "scan", "sample"])
def test_what_the_project_decides_holds_for_commands_that_only_read(command, tmp_path, monkeypatch, capsys):
    (tmp_path / "pyproject.toml").write_text('[tool.kmr-inspect]\nmemory = "1M"\n')
    monkeypatch.chdir(tmp_path)
    assert run([command, str(MODEL), *(["-l", "*", "-i", "0"] if command == "sample" else [])]) == 4
    assert "more memory than the 1 MiB allowed" in capsys.readouterr().err


def test_processor_time_has_the_limit_of_the_clock(importing):
    said = importing("raise RuntimeError(resource.getrlimit(resource.RLIMIT_CPU)[0] - time.process_time())")
    with open_model(MODEL, imports=said, timeout=50) as model, pytest.raises(KmrError) as raised:
        model.sample("conv2", 0)
    left = float(raised.value.message.partition("RuntimeError: ")[2])
    assert 49 < left / (os.cpu_count() or 1) < 53


def test_who_takes_more_processor_time_is_ended_by_the_system(importing):
    """As where nobody looks at the clock."""
    spin = importing(
        "most = int(time.process_time()) + 1\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))\n"
        "while True: pass\n"
    )
    with open_model(MODEL, imports=spin) as model, pytest.raises(LimitError, match="more processor time than allowed"):
        model.sample("conv2", 0)


@pytest.mark.parametrize("seconds", [None, 10])
def test_a_lower_limit_of_processor_time_stays(monkeypatch, seconds):
    given = {resource.RLIMIT_CPU: (5, 100)}
    monkeypatch.setattr(resource, "getrlimit", given.__getitem__)
    monkeypatch.setattr(resource, "setrlimit", given.__setitem__)
    resources._given_processor_time.cache_clear()
    resources.limit_processor_time(seconds)
    resources._given_processor_time.cache_clear()
    assert given == {resource.RLIMIT_CPU: (5, 100)}


FRAMEWORKS = {"digits.keras": "keras", "digits_savedmodel": "tensorflow", "windows.pt": "torch", "windows.pt2": "torch"}
LACKING = """
import resource, sys
import kmr_cli.__main__ as program, kmr_cli.process.served as home
def little(seconds):  # in the child, as it gets to work
    pages = int(open("/proc/self/statm").read().split()[0])
    most = pages * resource.getpagesize() + 150_000_000  # their libraries alone are larger
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
home.limit_processor_time = little
program.main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_too_little_memory_for_a_framework_is_not_a_missing_one(name):
    done = subprocess.run(
        [sys.executable, "-c", LACKING, "sample", str(SAMPLES / name), "-l", "head", "-i", "0", "--shape", "8,8,1"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 4
    assert f"error: not enough memory to import {FRAMEWORKS[name]}" in done.stderr.splitlines()
    assert "ulimit -v" in done.stderr


def test_what_a_child_may_do(importing):
    """No core dumps, no endless files, folders of its own: it tells the test itself."""
    said = importing(
        "limits = [resource.getrlimit(one) for one in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE)]\n"
        "raise RuntimeError(repr((limits, os.environ['HOME'], os.environ['TMPDIR'], tempfile.gettempdir())))\n"
    )
    with open_model(MODEL, imports=said) as model, pytest.raises(KmrError) as raised:
        model.sample("conv2", 0)
    (core, size), home, *temporary = eval(raised.value.message.partition("RuntimeError: ")[2])
    assert core == (0, 0)
    assert 0 < size[0] <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert temporary == [home, home]
    assert "kmr-inspect-" in home
    assert not Path(home).exists()  # it went with the child


def test_lower_limits_of_the_user_stay(monkeypatch):
    given = {resource.RLIMIT_CORE: (0, 0), resource.RLIMIT_FSIZE: (1000, resource.RLIM_INFINITY)}
    monkeypatch.setattr(resource, "getrlimit", given.__getitem__)
    monkeypatch.setattr(resource, "setrlimit", given.__setitem__)
    resources.restrict()
    assert given == {resource.RLIMIT_CORE: (0, 0), resource.RLIMIT_FSIZE: (1000, 1000)}


@pytest.mark.parametrize(
    ("text", "size"),
    [("4G", 4 * 2**30), ("4GiB", 4 * 2**30), ("4GB", 4 * 10**9), ("1.5m", 3 * 2**19), ("500", 500), (7, 7)],
)
def test_sizes(text, size):
    assert limits_of(memory=text) == Limits(None, size)


@pytest.mark.parametrize("memory", ["", "4X", "G", "-1", "0", 0, -3, True, 1.5, "0.1", "9" * 40])
def test_what_is_no_size(memory):
    with pytest.raises(KmrError, match="isn't an amount of memory"):
        limits_of(memory=memory)


@pytest.mark.parametrize("timeout", [0, -1, True, "60", float("nan"), float("inf")])
def test_what_is_no_time(timeout):
    with pytest.raises(KmrError, match="a number of seconds above 0"):
        limits_of(timeout=timeout)


def test_this_process_has_no_limits():
    with pytest.raises(KmrError, match="limits of a child process"):
        open_model(MODEL, in_process=True, timeout=5)


def test_a_project_decides(tmp_path, capsys, monkeypatch, importing):
    file = tmp_path / "pyproject.toml"
    file.write_text('[tool.kmr-inspect]\ntimeout = 0.7\nmemory = "8G"\n')
    assert read_settings(tmp_path).memory == 8 * 2**30
    (module,) = importing("time.sleep(60)")
    monkeypatch.chdir(tmp_path)
    assert run(["check-batch-axis", str(MODEL), "--import", module]) == 4
    assert "longer than the 0.7 s" in capsys.readouterr().err
    assert run(["sample", str(MODEL), "-l", "conv2", "-i", "0", "--timeout", "0.6", "--import", module]) == 4
    assert "longer than the 0.6 s" in capsys.readouterr().err
    file.write_text("[tool.kmr-inspect]\nmemory = 'much'\n")
    assert run(["sample", str(MODEL), "-l", "conv2", "-i", "0"]) == 2
    assert "[tool.kmr-inspect] memory: 'much' isn't an amount of memory" in capsys.readouterr().err


def test_a_project_decides_on_the_sandbox(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.kmr-inspect]\nsandbox = "required"\n')
    assert read_settings(tmp_path).sandbox == "required"
    (tmp_path / "pyproject.toml").write_text("[tool.kmr-inspect]\nsandbox = true\n")
    with pytest.raises(KmrError, match="sandbox is one of offered, required, off, not 'True'"):
        read_settings(tmp_path)


def test_without_a_sandbox_the_home_is_the_users(importing, monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    said = importing("raise RuntimeError(os.environ['HOME'])")
    refused = pytest.raises(KmrError, match="RuntimeError: /somewhere")
    with open_model(MODEL, imports=said, sandbox="off") as model, refused:
        model.sample("conv2", 0)
