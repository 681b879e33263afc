"""The verdict belongs to the program: what runs in the child can neither write an answer nor break the parent."""

import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
from bad_files import onnx_files, torch_files

from kmr_cli import open_model
from kmr_cli.errors import KmrError, ModelRunError

# Stands for native code that a model brings along: it holds the number of the socket, which no file operation gets.
SCRIPT = textwrap.dedent(
    """
    import os, socket, sys, time
    import kmr_cli.__main__  # first, so that NumPy starts no thread
    from kmr_cli.errors import KmrError
    from kmr_cli.process import channel
    from kmr_cli.process.child import Child
    from kmr_cli.process.tasks import TASKS, Task

    def line():
        for number in map(int, os.listdir("/proc/self/fd")):
            try:
                with socket.socket(fileno=os.dup(number)) as found:
                    if found.family == socket.AF_UNIX: return number
            except OSError:
                pass

    def header(**other):
        said = dict(magic=b"KMR!", secret=b"0" * 16, number=0, length=1, total=0) | other
        return channel._HEADER.pack(*said.values())

    def write(data):
        while data: data = data[os.write(line(), data):]

    def forge(report): write(header() + b"1")
    def text(report): write(b"HTTP/1.1 200 OK\\r\\n\\r\\n")
    def huge(report): write(header(length=2**32 - 1, total=2**63))
    def flood(report):
        while True: write(b"KMR!" * 10_000)
    def replay(report):
        sent, inner = [], socket.socket.sendall
        socket.socket.sendall = lambda self, data: (sent.append(bytes(data)), inner(self, data))
        report("notice", "heard")
        write(sent[0])
        return 1
    def close(report): os.close(line()); time.sleep(600)
    def shut(report):
        socket.socket(fileno=os.dup(line())).shutdown(socket.SHUT_RDWR); time.sleep(600)
    def cut(report): write(header(length=100)[:20]); os._exit(0)
    def other(report): return {"verdict": "pass"}
    def kind(report): report("verdict", "pass")
    def nothing(report): report("notice", ["pass"])

    tasks = {f.__name__: f for f in (forge, text, huge, flood, replay, close, shut, cut, kind, nothing)}
    tasks["other"] = Task("__main__:other", lambda: int)
    child = Child(tasks, fork=True)
    started = time.monotonic()
    try:
        print("result", child.run(sys.argv[1], {}, lambda kind, text: print("REPORT", kind, text)))
    except KmrError as exc:
        print(type(exc).__name__, "|", exc.message, "|", exc.hint)
    print(child.alive, time.monotonic() - started < 20)
    """
)


def interfere(how):
    run = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, timeout=60, check=True)
    assert run.stderr == ""
    return run.stdout.splitlines()


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("forge", "it doesn't come from that process"),
        ("text", "it doesn't come from that process"),
        ("huge", "it doesn't come from that process"),
        ("flood", "it doesn't come from that process"),
        ("replay", "it comes a second time, or too early"),
        ("close", "it closed the connection and kept running"),
        ("shut", "it closed the connection and kept running"),
        ("other", "no answer to what was asked"),
        ("kind", "no answer to what was asked"),
        ("nothing", "no answer to what was asked"),
    ],
)
def test_nonsense_ends_the_child_and_is_one_line(how, why):
    *reports, last, ended = interfere(how)
    assert reports == (["REPORT notice heard"] if how == "replay" else [])
    message = f"the process that ran the model sent an invalid answer: {why}"
    assert last == f"ModelRunError | {message} | the model may be built to interfere with this program: do not trust it"
    assert ended == "False True"


def test_half_an_answer_is_the_end():
    last, ended = interfere("cut")
    assert last.startswith("ModelRunError | the process that ran the model ended (exit status 0)")
    assert ended == "False True"


def savedmodel(folder, action):
    """A SavedModel that writes to, or reads, the open file whose number is the first value of its input."""
    import tensorflow as tf

    class Reaching(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None,), tf.int32, name="number")])
        def __call__(self, number):
            path = tf.strings.join(["/proc/self/fd/", tf.strings.as_string(number[0])])
            if action == "read":
                with tf.name_scope("reach"):
                    return {"y": number + tf.strings.length(tf.io.read_file(path))}
            with tf.name_scope("reach"), tf.control_dependencies([tf.io.write_file(path, "KMR!" * 100)]):
                return {"y": number + 1}

    module = Reaching()
    tf.saved_model.save(module, str(folder), signatures=module.__call__)
    return folder


def torchscript(path, action):
    """The same as TorchScript."""
    import torch

    class Reaching(torch.nn.Module):
        def forward(self, number: torch.Tensor) -> torch.Tensor:
            torch.save(number, "/proc/self/fd/" + str(int(number[0])))
            return number + 1

    assert action == "write"
    torch.jit.script(Reaching()).save(str(path))
    return path


def keras2(path, action):
    """The same as functions of TensorFlow that a file of Keras 2 names."""
    import tensorflow as tf
    import tf_keras

    assert action == "read"
    number = tf_keras.Input((1,), dtype="int32", name="number")
    place = tf.strings.join(["/proc/self/fd/", tf.strings.as_string(number[0, 0])])
    content = tf.strings.strip(place)  # in place of what a model cannot be built with, though a file can name it
    reach = tf_keras.layers.Reshape((1,), name="reach")(number + tf.strings.length(content))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that .h5 is legacy
        tf_keras.Model(number, reach).save(path)
    with h5py.File(path, "a") as file:
        config = file.attrs["model_config"]
        assert config.count('"strings.strip"') == 1
        file.attrs["model_config"] = config.replace('"strings.strip"', '"io.read_file"')
    return path


def children():
    return {
        int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()
    }  # fmt: skip


def sockets(pid):
    """Numbers of the open sockets of a process."""
    return [int(file.name) for file in Path(f"/proc/{pid}/fd").iterdir() if str(file.readlink()).startswith("socket:")]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize(
    ("build", "action"), [(savedmodel, "write"), (savedmodel, "read"), (torchscript, "write"), (keras2, "read")]
)
def test_a_model_cannot_reach_the_line(build, action, tmp_path):
    path = build(tmp_path / {savedmodel: "model", torchscript: "model.pt", keras2: "model.h5"}[build], action)
    before = children()
    with open_model(path, trust=True, sandbox="off") as model:

        def reach(number, layer="add" if build is torchscript else "reach"):
            shape = (4, 1) if build is keras2 else 4
            return model.sample(layer, 0, np.full(shape, number, np.int32), side="out", verify=False)

        (record,) = reach(1)  # what it prints goes to a file, which it may open: so it does what it is meant to
        (child,) = children() - before
        (number,) = sockets(child)
        if build is not torchscript:
            with pytest.raises(ModelRunError, match=r"No such device or address|failed at layer 'tf\.strings\.strip'"):
                reach(number)
        else:
            reach(number)  # torch.save does not say that it could not open the file
        (again,) = reach(1)
        assert again.shape[0] == record.shape[0] == 4


@pytest.mark.parametrize("name", ["pt2_maps_a_file", "pt2_saves", "pt2_python", "onnx_weights_of_the_process"])
def test_programs_and_onnx_files_have_nothing_to_reach_it_with(name, tmp_path):
    """Trusted and without a sandbox: their operators compute, and their weights lie in the model's folder."""
    cases = {case.name: case.build for case in torch_files.CASES}
    cases["onnx_weights_of_the_process"] = lambda folder: onnx_files.changed(
        folder, onnx_files.external("/proc/self/fd/1")
    )
    refused = pytest.raises(KmrError, match=r"outside the model's folder|not supported here|no exported program uses")
    with refused, open_model(cases[name](tmp_path), trust=True, sandbox="off") as model:
        model.sample("*", 0, verify=False)
