"""What code in a model's process can reach: nothing but the model, the frameworks, and a folder of its own."""

import os
import socket
import sys

import pytest
from bad_files import SAMPLES

from kmr_cli.api.layer_classes import LayerClasses
from kmr_cli.api.model import Model
from kmr_cli.config.limits import Limits
from kmr_cli.errors import KmrError
from kmr_cli.formats import onnx
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.process import sandbox
from kmr_cli.process.child import can_fork
from kmr_cli.process.sandbox import landlock, places, seccomp

contained = pytest.mark.skipif(len(sandbox.offered()) < 2, reason="this machine has no Landlock, or no seccomp")

TRIES = """
import ctypes, os, signal, socket, subprocess, sys, threading, time
from pathlib import Path
outside, parent, port = Path(sys.argv_of_test[0]), *sys.argv_of_test[1:]
tries = {
    "reads": lambda: (outside / "secret").read_text(),
    "lists": lambda: os.listdir(outside),
    "reads beside the model": lambda: Path(MODEL).with_name("digits.keras").read_bytes(),
    "reads users": lambda: Path("/etc/passwd").read_text(),
    "reads of the parent": lambda: Path(f"/proc/{parent}/environ").read_bytes(),
    "overwrites": lambda: (outside / "secret").write_text("x"),
    "empties": lambda: os.truncate(outside / "secret", 0),
    "creates": lambda: (outside / "new").write_text("x"),
    "makes a folder": lambda: (outside / "folder").mkdir(),
    "links": lambda: os.symlink("/", outside / "link"),
    "links it here": lambda: os.link(outside / "secret", Path(os.environ["TMPDIR"]) / "secret"),
    "moves": lambda: os.rename(outside / "secret", Path(os.environ["TMPDIR"]) / "secret"),
    "removes": lambda: os.remove(outside / "secret"),
    "connects": lambda: socket.create_connection(("127.0.0.1", port), timeout=2),
    "sends": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port)),
    "talks to services": lambda: socket.socket(socket.AF_UNIX),
    "starts a program": lambda: subprocess.run([sys.executable, "-c", ""]),
    "kills": lambda: os.kill(parent, signal.SIGUSR1),
}
failed = {}
def every(where):
    for name, attempt in tries.items():
        try:
            attempt()
        except OSError as exc:
            failed[where + name] = exc.errno
every("")
thread = threading.Thread(target=every, args=("thread ",))
thread.start(); thread.join()
os.chmod(outside / "mode", 0o777)  # seems to succeed
(Path(os.environ["TMPDIR"]) / "own").write_text("x")
Path(MODEL).read_bytes()
succeeded = [where + name for where in ("", "thread ") for name in tries if where + name not in failed]
raise RuntimeError(repr(succeeded))
"""


@pytest.fixture
def attempts(tmp_path, monkeypatch):
    """What of :data:`TRIES` succeeds in the process of a model."""
    outside, code = tmp_path / "outside", tmp_path / "code"
    outside.mkdir()
    code.mkdir()
    (outside / "secret").write_text("secret")
    (outside / "mode").write_text("")
    (outside / "mode").chmod(0o600)
    server = socket.create_server(("127.0.0.1", 0))
    given = (str(outside), os.getpid(), server.getsockname()[1])
    model = tmp_path / "models" / "digits.onnx"
    model.parent.mkdir()
    for name in ("digits.onnx", "digits.keras"):
        model.with_name(name).write_bytes((SAMPLES / name).read_bytes())
    head = f"import sys; sys.argv_of_test = {given!r}; MODEL = {str(model)!r}\n"
    (code / "kmr_tries.py").write_text(head + TRIES)
    monkeypatch.syspath_prepend(str(code))
    monkeypatch.chdir(code)

    def run(**how):
        options = OpenOptions(imports=("kmr_tries",))
        with Model(model, options, **how) as opened, pytest.raises(KmrError) as raised:
            opened.sample("conv2", 0)
        return eval(raised.value.message.partition("RuntimeError: ")[2])

    run.outside = outside
    yield run
    server.close()


@contained
@pytest.mark.parametrize("fork", [False, True], ids=["a fresh interpreter", "a fork"])
def test_nothing_outside_is_reached(attempts, fork):
    if fork and not can_fork():
        pytest.skip("a framework is loaded, or a thread runs")
    assert attempts(fork=fork, limits=Limits(sandbox="required")) == []
    assert {path.name for path in attempts.outside.iterdir()} == {"secret", "mode"}
    assert (attempts.outside / "secret").read_text() == "secret"
    assert (attempts.outside / "mode").stat().st_mode & 0o777 == 0o600


def test_without_it_all_of_that_is_possible(attempts, monkeypatch):
    """So the test above can fail."""
    import signal

    monkeypatch.setattr(signal, "_got", [], raising=False)
    before = signal.signal(signal.SIGUSR1, lambda *_: signal._got.append(1))
    try:
        done = attempts(limits=Limits(sandbox="off"))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert {"reads", "lists", "creates", "connects", "sends", "talks to services", "starts a program", "kills"} <= {
        *done
    }
    assert signal._got
    assert (attempts.outside / "new").exists()


@contained
def test_weights_beside_an_onnx_file_are_read(tmp_path):
    import onnx as library

    path = tmp_path / "m.onnx"
    library.save(
        library.load(SAMPLES / "digits.onnx"), path, save_as_external_data=True, location="w", size_threshold=0
    )
    assert onnx.beside(path) == ("w",)
    with Model(path, OpenOptions(), limits=Limits(sandbox="required")) as model:
        assert model.sample("conv2", 0)


@contained
def test_whole_tensors_of_a_snapshot_come_out_of_it(tmp_path):
    with Model(SAMPLES / "digits.onnx", OpenOptions(), limits=Limits(sandbox="required")) as model:
        taken = model.snapshot(folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f"{number}.npy" for number in range(len(taken.taps))}


def test_where_there_is_none_it_can_be_required(monkeypatch):
    monkeypatch.setattr(landlock, "version", lambda: 0)
    with pytest.raises(KmrError, match="doesn't offer Landlock"):
        Model(SAMPLES / "digits.onnx", OpenOptions(), limits=Limits(sandbox="required"))
    monkeypatch.setattr(seccomp, "available", lambda: False)
    assert sandbox.offered() == {}
    with pytest.raises(KmrError, match="Landlock and seccomp"):
        sandbox.refuse_missing()


def test_a_kernel_that_refuses_is_told_where_it_is_required(monkeypatch, tmp_path):
    def refuse(*_):
        raise OSError("not here")

    monkeypatch.setattr(landlock, "version", lambda: 3)
    monkeypatch.setattr(landlock, "restrict", refuse)
    monkeypatch.setattr(sandbox, "_depth", sandbox._depth)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(KmrError, match="the kernel refuses it"):
        sandbox.enter_to_read([SAMPLES], "required", any_model=False, here=False)
    with pytest.raises(KmrError, match="the kernel refuses it"):
        sandbox.enter_to_run([SAMPLES], "required", here=False)
    sandbox.enter_to_read([SAMPLES], "offered", any_model=False, here=False)
    sandbox.enter_to_run([SAMPLES], "offered", here=False)


def test_links_of_a_cache_are_followed_and_no_others(tmp_path):
    """As the hub of Hugging Face keeps models: a folder of links to where the bytes are."""
    folder = tmp_path / "models--somebody--model" / "snapshots" / "1"
    root = folder.parents[1]
    assert str(root / "blobs") in places.readable([folder / "m"], here=False)
    assert not [place for place in places.readable([tmp_path / "m"], here=False) if "blobs" in place]


def test_a_layer_class_is_not_contained_and_says_so():
    with pytest.raises(KmrError, match="a layer class is code of yours"):
        LayerClasses(limits=Limits(sandbox="required"))


@pytest.mark.skipif(sys.platform != "linux", reason="numbers of Linux")
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_call_is_named_once(machine):
    known = seccomp._MACHINES[machine]
    numbers = [*known.denied, *seccomp._EVERYWHERE, *known.pretended]
    assert len(set(numbers)) == len(numbers)
    assert len(seccomp._program(known)) == 8 * (7 + 2 * len(numbers))
