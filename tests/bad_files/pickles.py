"""Pickles that call something: plain ones, and as ``torch.save`` wraps them."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

from bad_files import collector

CASES, bad = collector()
_TOUCH = b"touch canary"


def calls(module: str, name: str, *arguments: object, protocol: int = 2) -> bytes:
    """A pickle that calls a function by its name when it is loaded."""
    body = pickle.dumps(tuple(arguments), protocol)[2:-1]
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + body + b"R."


def stack_global(module: str, name: str, *arguments: object) -> bytes:
    """The same with the opcode that takes both names from the stack, through the memo."""

    def text(value: str) -> bytes:
        return b"\x8c" + bytes([len(value)]) + value.encode()

    body = pickle.dumps(tuple(arguments), 4)
    body = body[body.index(b"\x95") + 9 : -1] if b"\x95" in body[:4] else body[2:-1]
    return b"\x80\x04" + text(module) + b"\x94" + text(name) + b"\x94" + b"00" + b"h\x00h\x01\x93" + body + b"R."


for _module, _name in (
    ("os", "system"), ("posix", "system"), ("nt", "system"), ("subprocess", "Popen"), ("builtins", "eval"),
    ("builtins", "exec"), ("builtins", "getattr"), ("__builtin__", "compile"), ("importlib", "import_module"),
    ("shutil", "rmtree"), ("runpy", "run_path"), ("webbrowser", "open"), ("socket", "create_connection"),
    ("torch", "load"), ("torch.hub", "load"), ("torch.serialization", "load"), ("torch.storage", "_load_from_bytes"),
    ("numpy", "load"), ("numpy.testing._private.utils", "runstring"), ("pickle", "loads"), ("operator", "attrgetter"),
    ("functools", "partial"), ("torch.utils._config_module", "ConfigModule"), ("pty", "spawn"), ("code", "interact"),
):  # fmt: skip

    @bad("KMR501", f"calls_{_module}_{_name}")
    def _(folder: Path, module: str = _module, name: str = _name) -> Path:
        path = folder / "model.bin"
        path.write_bytes(calls(module, name, _TOUCH.decode()))
        return path


@bad("KMR501")
def name_from_the_memo(folder: Path) -> Path:
    """The names are put away first, so that they don't stand before the opcode that uses them."""
    path = folder / "model.pkl"
    path.write_bytes(stack_global("os", "system", _TOUCH.decode()))
    return path


@bad("KMR501")
def name_put_together(folder: Path) -> Path:
    """The name of the function is what another function returns."""
    path = folder / "model.pkl"
    joined = b"\x8c\x02os" + b"cbuiltins\nstr\n(\x8c\x06systemtR" + b"\x93" + b"(\x8c\x0ctouch canarytR."
    path.write_bytes(b"\x80\x04" + joined)
    return path


@bad("KMR501")
def instance(folder: Path) -> Path:
    """The opcode of protocol 0 that looks up a class and calls it."""
    path = folder / "model.pkl"
    path.write_bytes(b"\x80\x02(S'touch canary'\nios\nsystem\n.")
    return path


@bad("KMR501")
def extension(folder: Path) -> Path:
    """A number of the registry of extensions, which says nothing of what it stands for."""
    path = folder / "model.pkl"
    path.write_bytes(b"\x80\x02\x82\x01(tR.")
    return path


@bad("KMR501")
def damaged_after_the_call(folder: Path) -> Path:
    """Readers that need the whole pickle see none; the machine runs it as far as it goes."""
    path = folder / "model.pkl"
    path.write_bytes(calls("os", "system", _TOUCH.decode())[:-1] + b"\xff\xff")
    return path


@bad("KMR501")
def second_pickle(folder: Path) -> Path:
    """torch.load reads several in a row."""
    path = folder / "model.pt"
    path.write_bytes(pickle.dumps({"state": 1}, 2) + calls("os", "system", _TOUCH.decode()))
    return path


for _case, _number in (("int", b"I0x1\n"), ("long", b"L0x1L\n")):

    @bad("KMR501", f"{_case}_in_hexadecimal")
    def _(folder: Path, number: bytes = _number) -> Path:
        """Pickle reads such numbers, and pickletools does not: to it, the pickle ends there."""
        path = folder / "model.pkl"
        first = b"\x80\x02ccollections\nOrderedDict\n0" + number + b"0"
        path.write_bytes(first + calls("os", "system", _TOUCH.decode())[2:])
        return path


@bad("KMR501")
def second_pickle_of_protocol_0(folder: Path) -> Path:
    """What torch.save wrote before 1.6 is five pickles in a row, and each may be of another protocol."""
    path = folder / "model.pt"
    head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
    path.write_bytes(head + b"cos\nsystem\n(S'touch canary'\ntR.")
    return path


@bad("KMR501")
def in_an_archive(folder: Path) -> Path:
    """As torch.save has written since 1.6."""
    path = folder / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", calls("os", "system", _TOUCH.decode()))
        archive.writestr("model/version", "3\n")
    return path


@bad("KMR501")
def beside_the_usual_one(folder: Path) -> Path:
    """The first pickle is harmless."""
    path = folder / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps({"weights": []}, 2))
        archive.writestr("model/other.pkl", calls("os", "system", _TOUCH.decode()))
    return path


def _makes_of(inner: bytes, module: str, name: str) -> bytes:
    """A pickle that calls a function with what another one makes."""
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + inner[2:-1] + b"\x85R."


_RANGE = pickle.dumps(range(10**11), 2)
for _case, _pickle in (
    ("bytes", calls("builtins", "bytes", 10**11)),
    ("array_of_bytes", calls("builtins", "bytearray", 10**11)),
    ("array", calls("numpy", "ndarray", (10**6, 10**6))),
    ("array_of_few_elements", calls("numpy", "ndarray", (1000,), "V2000000000")),
    ("array_that_is_filled_later", calls("numpy.core.multiarray", "_reconstruct", (10**11,), "f8")),
    ("storage", calls("torch", "FloatStorage", 10**11)),
    ("tensor", calls("torch", "Tensor", 10**6, 10**6)),
    ("list_of_a_range", _makes_of(_RANGE, "builtins", "list")),
    ("queue_of_a_range", _makes_of(_RANGE, "collections", "deque")),
    ("number_from_a_text", _makes_of(calls("builtins", "int", "100000000000"), "builtins", "bytes")),
):

    @bad("KMR504", f"memory_by_a_number_{_case}")
    def _(folder: Path, data: bytes = _pickle) -> Path:
        """A few bytes ask for a hundred billion."""
        path = folder / "model.pkl"
        path.write_bytes(data)
        return path


@bad("KMR505")
def leads_out(folder: Path) -> Path:
    """A member that lands outside when the archive is unpacked."""
    path = folder / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps({}, 2))
        archive.writestr("../canary", "")
    return path
