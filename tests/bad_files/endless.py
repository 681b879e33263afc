"""Small files that take for ever, or all memory, in a reader that follows everything: fan-out, depth, deflated zeros.

Most of them are no attack by any rule: they have to be read within bounds, or refused.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import h5py

from bad_files import BOUNDED, DAMAGED, SAMPLES, collector
from bad_files.keras_files import archive
from bad_files.onnx_files import changed
from bad_files.savedmodels import directory
from bad_files.torch_files import rewritten

CASES, bad = collector()
_LEVELS = 60
"""Two calls of the next one at each level: 2 ** 60 in all."""
_MANY = 3000
_BIG = 1 << 26
"""Bytes of one value: 64 KB in an archive."""


def _level(meta_graph: Any, level: int) -> Any:
    """A function of one tensor, without operations."""
    function = meta_graph.graph_def.library.function.add()
    function.signature.name = f"level{level}"
    function.signature.input_arg.add(name="x", type=1)
    function.signature.output_arg.add(name="y", type=1)
    return function


def _start(meta_graph: Any, op: str, *calls: str) -> None:
    """Put an operation that calls the first of the functions, once for each attribute, before the output."""
    output = next(iter(meta_graph.signature_def["serving_default"].outputs.values()))
    node = meta_graph.graph_def.node.add(name="fan", op=op, input=[output.name] * len(calls))
    for call in calls:
        node.attr[call].func.name = "level0"
    output.name = "fan:0"


@bad("KMR504")
def savedmodel_functions_fan_out(folder: Path) -> Path:
    """Each function calls the next one twice."""

    def change(meta_graph: Any) -> None:
        for level in range(_LEVELS):
            function = _level(meta_graph, level)
            before = "x"
            for call in range(2):
                node = function.node_def.add(name=f"call{call}", op="PartitionedCall", input=[before])
                if level + 1 == _LEVELS:
                    node.op = "Identity"
                node.attr["f"].func.name = f"level{level + 1}"
                before = f"call{call}:output:0"
            function.ret["y"] = before
        _start(meta_graph, "PartitionedCall", "f")

    return directory(folder, change)


@bad("KMR504")
def onnx_functions_fan_out(folder: Path) -> Path:
    """The same with functions of an ONNX file, which are inlined where they are called."""

    def change(model: Any) -> None:
        for level in range(_LEVELS):
            function = model.functions.add(name=f"level{level}", domain="mine", input=["x"], output=["y"])
            last = level + 1 == _LEVELS
            for source, goal in (("x", "between"), ("between", "y")):
                function.node.add(
                    name=goal, op_type="Identity" if last else f"level{level + 1}", domain="" if last else "mine",
                    input=[source], output=[goal],
                )  # fmt: skip
        output = model.graph.output[0].name
        model.graph.node.add(name="fan", op_type="level0", domain="mine", input=[output], output=["fan"])
        model.graph.output[0].name = "fan"

    return changed(folder, change)


@bad("KMR504")
def onnx_empty_functions_fan_out(folder: Path) -> Path:
    """Functions that call each other and compute nothing, so that no operator is ever counted."""

    def change(model: Any) -> None:
        for level in range(45):
            function = model.functions.add(name=f"level{level}", domain="mine", input=["x"], output=["y"])
            for _ in range(2 if level < 44 else 0):
                function.node.add(op_type=f"level{level + 1}", domain="mine", input=["x"], output=["y"])
        output = model.graph.output[0].name
        model.graph.node.add(name="fan", op_type="level0", domain="mine", input=[output], output=["fan"])

    return changed(folder, change)


@bad("KMR504")
def savedmodel_branches_fan_out(folder: Path) -> Path:
    """Both branches of each condition are the next function."""

    def change(meta_graph: Any) -> None:
        for level in range(_LEVELS):
            function = _level(meta_graph, level)
            node = function.node_def.add(name="if", op="If" if level + 1 < _LEVELS else "Identity", input=["x", "x"])
            for branch in ("then_branch", "else_branch"):
                node.attr[branch].func.name = f"level{level + 1}"
            function.ret["y"] = "if:output:0"
        _start(meta_graph, "If", "then_branch", "else_branch")

    return directory(folder, change)


@bad(BOUNDED)
def keras_result_of_a_huge_number(folder: Path) -> Path:
    """A layer takes the 9,223,372,036,854,775,807th result of another. Found by fuzzing."""

    def change(config: dict[str, Any]) -> None:
        waiting: list[Any] = [config]
        while waiting:
            value = waiting.pop()
            if isinstance(value, dict) and "keras_history" in value:
                value["keras_history"][2] = 2**63 - 1
                return
            waiting.extend(value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())

    return archive(folder, change)


@bad(BOUNDED)
def script_methods_fan_out(folder: Path) -> Path:
    """Each method calls the next one twice."""
    kind = "__torch__.torch_networks.Windows"
    methods = "".join(
        f"  def f{level}(self: {kind},\n    x: Tensor) -> Tensor:\n"
        + (f"    return (self).f{level + 1}((self).f{level + 1}(x, ), )\n" if level + 1 < _LEVELS else "    return x\n")
        for level in range(_LEVELS)
    )

    def change(name: str, data: bytes) -> bytes:
        if not name.endswith("torch_networks.py"):
            return data
        text = data.decode().replace(
            "    return (head).forward(_2, )\n", "    return (self).f0((head).forward(_2, ), )\n", 1
        )
        return text.replace("class WindowSplit(", f"{methods}class WindowSplit(", 1).encode()

    return rewritten(SAMPLES / "windows.pt", folder / "model.pt", change, {})


@bad(BOUNDED)
def script_modules_that_share(folder: Path) -> Path:
    """Each module holds the next one under two names."""
    inner = b"c__torch__.torch_networks\nWindowSplit\n)\x81}b"
    for level in range(_LEVELS):
        memo = bytes([level])
        inner = (
            b"c__torch__.torch_networks\nWindowSplit\n)\x81}(U\x01a" + inner + b"q" + memo + b"U\x01bh" + memo + b"ub"
        )
    root = b"\x80\x02c__torch__.torch_networks\nWindows\n)\x81}(U\x05embed" + inner + b"ub."

    def change(name: str, data: bytes) -> bytes:
        if name.endswith(".py"):  # or the objects would not be what the code declares
            declared, held = b"torch.nn.modules.conv.Conv2d", b"torch_networks.WindowSplit"
            return data.replace(b"embed : __torch__." + declared, b"embed : __torch__." + held)
        return root if name.endswith("data.pkl") else data

    return rewritten(SAMPLES / "windows.pt", folder / "model.pt", change, {})


@bad(DAMAGED)
def onnx_branches_in_branches(folder: Path) -> Path:
    """Deeper than protobuf reads."""
    path = changed(folder, lambda _: None)
    inner = b""
    for _ in range(400):
        inner = _field(1, b"\x22\x02If" + _field(5, b"\x0a\x01b" + _field(6, inner)))
    path.write_bytes(path.read_bytes() + _field(7, inner))
    return path


def _field(number: int, data: bytes) -> bytes:
    size, length = len(data), b""
    while True:
        length += bytes([size & 0x7F | (0x80 if size > 0x7F else 0)])
        size >>= 7
        if not size:
            return bytes([number << 3 | 2]) + length + data


@bad("KMR504")
def weight_groups_that_share(folder: Path) -> Path:
    """Each group of the weights links the next one twice."""

    def share(path: Path) -> None:
        with h5py.File(path, "a") as file:
            group = file["layers"]
            for level in range(_LEVELS):
                inner = group.create_group(f"a{level}")
                group[f"b{level}"] = inner
                group = inner

    return archive(folder, weights=share)


@bad("KMR504")
def weight_group_in_itself(folder: Path) -> Path:
    """A group that is one of its own children."""

    def share(path: Path) -> None:
        with h5py.File(path, "a") as file:
            file["layers/again"] = file["layers"]

    return archive(folder, weights=share)


@bad(DAMAGED)
def keras_config_of_zeros(folder: Path) -> Path:
    """A config that unpacks to blanks."""
    return _padded(SAMPLES / "digits.keras", folder / "model.keras", "config.json", b" ")


@bad(DAMAGED)
def keras_metadata_of_zeros(folder: Path) -> Path:
    """The same for what tells its version."""
    return _padded(SAMPLES / "digits.keras", folder / "model.keras", "metadata.json", b" ")


@bad("KMR504")
def script_pickle_of_nothing(folder: Path) -> Path:
    """A pickle that pushes None and takes it away, for ever."""
    return _padded(SAMPLES / "windows.pt", folder / "model.pt", "data.pkl", b"N0", front=b"\x80\x02")


@bad("KMR504")
def script_code_of_blanks(folder: Path) -> Path:
    """Code that is mostly empty lines."""
    return _padded(SAMPLES / "windows.pt", folder / "model.pt", ".py", b"\n")


@bad("KMR504")
def pt2_description_of_blanks(folder: Path) -> Path:
    """JSON that is mostly blanks."""
    return _padded(SAMPLES / "digits.pt2", folder / "model.pt2", "models/model.json", b" ")


def _padded(source: Path, path: Path, ending: str, filler: bytes, front: bytes = b"") -> Path:
    """A copy of an archive, deflated, in which one member is mostly filler."""
    done = False
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith(ending) and not done:
                data, done = front + filler * (_BIG // len(filler)) + data[len(front) :], True
            new.writestr(name, data)
    return path


@bad(DAMAGED)
def keras_config_of_brackets(folder: Path) -> Path:
    """Deeper than a parser of JSON goes."""

    def change(name: str, data: bytes) -> bytes:
        return b"[" * 200_000 + b"]" * 200_000 if name == "config.json" else data

    path = folder / "model.keras"
    with zipfile.ZipFile(SAMPLES / "digits.keras") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return path


@bad(DAMAGED)
def pt2_description_of_brackets(folder: Path) -> Path:
    """The same."""

    def change(name: str, data: bytes) -> bytes:
        return b"[" * 200_000 + b"]" * 200_000 if name.endswith("models/model.json") else data

    return rewritten(SAMPLES / "digits.pt2", folder / "model.pt2", change, {})


@bad("KMR501")
def script_code_of_parentheses(folder: Path) -> Path:
    """Deeper than a parser of Python goes."""

    def change(name: str, data: bytes) -> bytes:
        return data + b"x = " + b"(" * 5000 + b")" * 5000 if name.endswith(".py") else data

    return rewritten(SAMPLES / "windows.pt", folder / "model.pt", change, {})


@bad("KMR501")
def script_code_of_minus_signs(folder: Path) -> Path:
    """Parsed to a tree that is deeper than Python calls go."""

    def change(name: str, data: bytes) -> bytes:
        return data.replace(
            b"def forward(", b"def f(self) -> int:\n    return " + b"1+" * 30000 + b"1\n  def forward(", 1
        )

    return rewritten(SAMPLES / "windows.pt", folder / "model.pt", change, {})


@bad(BOUNDED)
def keras_models_in_models(folder: Path) -> Path:
    """A Sequential model in a Sequential model in a Sequential model."""

    def change(config: dict[str, Any]) -> None:
        for level in range(18):
            inner = json.loads(json.dumps(config))
            config.clear()
            config.update(
                module="keras", class_name="Sequential", registered_name=None,
                config={"name": f"level{level}", "layers": [inner]},
            )  # fmt: skip

    return archive(folder, change)


@bad(BOUNDED)
def keras_names_that_repeat(folder: Path) -> Path:
    """Thousands of layers of one name, each of which takes a number of its own."""

    def change(config: dict[str, Any]) -> None:
        layer = json.loads(json.dumps(config["config"]["layers"][-1]))
        config["config"]["layers"] += [layer] * _MANY

    return archive(folder, change)


@bad(BOUNDED)
def pickle_that_shares(folder: Path) -> Path:
    """Lists of lists of lists, each twice: small in the file, and endless written out."""
    body = b"]" + b"".join(b"q" + bytes([n]) + b"]h" + bytes([n]) + b"ah" + bytes([n]) + b"a" for n in range(_LEVELS))
    path = folder / "model.pkl"
    path.write_bytes(b"\x80\x02" + body + b".")
    return path


@bad(DAMAGED)
def folder_that_holds_itself(folder: Path) -> Path:
    """A SavedModel without a graph, with a link to itself inside."""
    path = folder / "model"
    path.mkdir()
    (path / "saved_model.pb").write_bytes(b"")
    (path / "variables").symlink_to(path)
    return path


@bad(BOUNDED)
def link_back_in_a_savedmodel(folder: Path) -> Path:
    """A folder of a SavedModel that is the SavedModel."""
    path = folder / "model"
    shutil.copytree(SAMPLES / "digits_savedmodel", path)
    (path / "assets").mkdir(exist_ok=True)
    (path / "assets" / "again").symlink_to(path)
    return path


def _with_members(folder: Path, number: int, suffix: str, data: bytes) -> Path:
    """A TorchScript archive with so many more members, deflated."""
    path = rewritten(SAMPLES / "windows.pt", folder / "model.pt", lambda _, data: data, {})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        root = file.namelist()[0].partition("/")[0]
        for member in range(number):
            file.writestr(f"{root}/code/more{member}{suffix}", data)
    return path


@bad(DAMAGED)
def members_that_unpack_together(folder: Path) -> Path:
    """Each of them is small, and all of them are not."""
    return _with_members(folder, 100, ".py", b" " * 250_000)


@bad("KMR501")
def pickles_that_take_long_together(folder: Path) -> Path:
    """A byte of each is an operation."""
    return _with_members(folder, 10, ".pkl", b"\x80\x02N" + b"2" * 200_000 + b".")


@bad(BOUNDED)
def pickles_in_a_row(folder: Path) -> Path:
    """A file of pickles of four bytes each."""
    path = folder / "model.pkl"
    path.write_bytes(b"\x80\x02N." * 200_000)
    return path


@bad("KMR504")
def keras_infinite_size(folder: Path) -> Path:
    """A layer with as many units as there are numbers."""

    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"][-1]["config"]["units"] = float("inf")

    return archive(folder, change)
