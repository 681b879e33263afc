"""Systems that lack what POSIX has: refused in one line before anything runs; what needs no model still works."""

from pathlib import Path

import pytest
from zoo.samples import HOME, command, python

LACKS = """
import os, signal, socket, sys
sys.platform = "win32"
for module, names in (
    (os, ("fork", "getuid", "killpg", "pread", "sched_getaffinity", "setsid", "sysconf", "uname")),
    (signal, ("SIGHUP", "SIGKILL", "SIGXCPU")), (socket, ("AF_UNIX",)),
):
    for name in names:
        delattr(module, name)
for name in [name for name in sys.modules if name.split(".")[0] == "kmr_cli"]:
    del sys.modules[name]  # that of the process this one is a fork of
class Gone:
    def find_spec(self, name, path, target=None):
        if name in ("fcntl", "pwd", "resource", "termios"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
for name in ("fcntl", "pwd", "resource", "termios"):
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Gone())
def killed(*_): raise AssertionError("on Windows os.kill(pid, 0) sends Ctrl-C")
os.kill = killed
"""
RUN = """
from kmr_cli.__main__ import main
sys.argv = ["kmr-inspect", *{!r}]
main()
"""


def on_windows(*arguments):
    return python("-c", LACKS + RUN.format([str(argument) for argument in arguments]))


@pytest.mark.parametrize(
    "arguments",
    [
        ("layers", HOME / "digits.onnx"),
        ("check-batch-axis", HOME / "digits.keras", "--jobs", "2"),
        ("trace", HOME / "digits_savedmodel"),
        ("sample", HOME / "digits.onnx", "-l", "head", "-i", "0", "-o", "/none.npz"),
        ("dump", HOME / "digits.onnx", "-l", "head", "--input", HOME / "digits.npz", "-o", "/none.zarr"),
        ("compare", HOME / "digits.onnx", HOME / "digits.pt2"),
        ("snapshot", HOME / "digits.onnx", "-o", "/none.kmr.json"),
        ("scan", HOME / "digits.h5"),
    ],
)
def test_refused_in_one_line(arguments):
    run = on_windows(*arguments)
    assert run.returncode == 2
    assert run.stderr.splitlines() == [
        "error: models are read and run on Linux and macOS, not on Windows",
        "hint:  on Windows, run kmr-inspect inside WSL",
    ]
    assert not any(place.exists() for place in map(Path, ("/none.npz", "/none.zarr", "/none.kmr.json")))


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("rules", "KMR101"), ("doctor",)])
def test_what_needs_no_model_works(arguments):
    run = on_windows(*arguments)
    assert run.returncode == 0, run.stderr
    assert run.stdout
    said = " ".join(run.stdout.split())
    assert ("Linux and macOS, not on Windows; on Windows, run" in said) == (arguments == ("doctor",))


@pytest.mark.parametrize("options", ["", ", in_process=True"])
def test_in_python(options):
    opened = f"try: open_model({str(HOME / 'digits.onnx')!r}{options})\nexcept KmrError as exc: print(exc.message)"
    run = python("-c", f"{LACKS}from kmr_cli import KmrError, open_model\n{opened}")
    assert run.stdout == "models are read and run on Linux and macOS, not on Windows\n", run.stderr


def test_where_nothing_can_be_forked():
    """As on macOS: a fresh interpreter is started, and neither /proc nor the kernel's parts of Linux are asked for."""
    script = "import sys\nsys.platform = 'darwin'\n" + RUN.format(["layers", str(HOME / "digits.onnx")])
    run = python("-c", script)
    assert run.returncode == 0, run.stderr
    assert run.stdout == command(["layers", HOME / "digits.onnx"]).stdout
