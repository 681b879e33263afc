"""Exported programs (``.pt2``): every network of the architectures that export takes, and what else a file can hold.

Each is made once per process and only when a test asks for it: an export takes between 0.1 and 1 second.
"""

import functools
import importlib
import itertools
import json
import logging
import tempfile
import warnings
import weakref
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim, export
from zoo import torchscript_architectures as architectures

from kmr_cli.formats.common.torch_arrays import to_arrays

Batch = dict[str, np.ndarray]


@dataclass(frozen=True)
class Example:
    """A model, and what is known of its file.

    Attributes:
        module: the eager model.
        batch: for the inputs of the file.
        arguments: of its forward method, for the export and for a bare run.
        dynamic: what ``torch.export.export`` is told of sizes.
        strict: whether the export goes through TorchDynamo.
        decomposed: whether the program is reduced to core operators, without writes in place.
    """

    module: nn.Module
    batch: Batch
    arguments: dict[str, Any]
    dynamic: Any = None
    strict: bool = False
    decomposed: bool = False

    def bare(self) -> list[Tensor]:
        """The tensors that the eager model returns."""
        with torch.no_grad():
            result = self.module(**self.arguments)
        return [leaf for leaf in torch.utils._pytree.tree_leaves(result) if isinstance(leaf, Tensor)]


def arrays(found: list[Tensor]) -> list[np.ndarray]:
    return [array for tensor in found for _, array in to_arrays(tensor)]


def tensors(batch: Batch) -> dict[str, Tensor]:
    return {name: torch.from_numpy(values.copy()) for name, values in batch.items()}


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def tokens(*shape: int, limit: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, limit, shape)


def plain(module: nn.Module, batch: Batch, *, fixed: bool = False, **options: Any) -> Example:
    """A model whose arguments are the batch, with any number of samples unless it is fixed."""
    dynamic = None if fixed else {name: {0: Dim.AUTO} for name in batch}
    return Example(module.eval(), batch, tensors(batch), dynamic, **options)


@contextmanager
def quiet() -> Iterator[None]:
    """Export warns of what does not matter here, and logs at length."""
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def save(example: Example, path: Path) -> Path:
    with quiet():
        program = export(example.module, (), example.arguments, dynamic_shapes=example.dynamic, strict=example.strict)
        if example.decomposed:
            program = program.run_decompositions()
        torch.export.save(program, path)
    return path


# Modules called more than once, inside each other, under two names


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x).relu_()


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Inner()
        self.again = self.inner

    def forward(self, x: Tensor) -> Tensor:
        return self.again(self.inner(x))


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.outer = Outer()
        self.parts = nn.ModuleList([nn.Identity(), nn.Linear(4, 2)])

    def forward(self, x: Tensor) -> Tensor:
        y = self.outer(self.outer(x))
        for part in self.parts:
            y = part(y)
        return y


class InPlace(nn.Module):
    """Its convolution's output is written over by the next layer, and kept."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 3, 3)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        z = self.relu(y)
        return y + z


class Filled(nn.Module):
    """Returns a tensor that it filled piece by piece."""

    def forward(self, x: Tensor) -> Tensor:
        y = torch.zeros_like(x)
        y[:, 0] = x[:, 1]
        y[:, 1:] += 1
        return y


class Filling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.filled = Filled()

    def forward(self, x: Tensor) -> Tensor:
        return self.filled(x) * 2


# Inputs and outputs that nest


class Pair(NamedTuple):
    image: Tensor
    extra: Tensor


torch.utils._pytree._register_namedtuple(Pair, serialized_type_name="zoo.Pair")


class Structures(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)
        self.fc = nn.Linear(4, 3)

    def forward(self, pair: Pair, table: dict[str, Tensor], more: list[Tensor], scale: float = 1.0) -> dict[str, Any]:
        x = self.conv(pair.image).mean([2, 3]) * scale
        y = self.fc(table["left"]) + table["right"] + pair.extra
        return {"sum": x + y, "rest": (more[0], [more[1] * 2]), "none": None}


def structures() -> Example:
    batch = {
        "pair.image": normal(3, 2, 5, 5), "pair.extra": normal(3, 3), "table.left": normal(3, 4),
        "table.right": normal(3, 3), "more.0": normal(3, 1), "more.1": normal(3, 2),
    }  # fmt: skip
    given = tensors(batch)
    arguments = {
        "pair": Pair(given["pair.image"], given["pair.extra"]),
        "table": {"left": given["table.left"], "right": given["table.right"]},
        "more": [given["more.0"], given["more.1"]],
        "scale": 2.0,
    }
    first = {0: Dim.AUTO}
    dynamic = {
        "pair": Pair(first, first), "table": {"left": first, "right": first}, "more": [first, first], "scale": None,
    }  # fmt: skip
    return Example(Structures().eval(), batch, arguments, dynamic)


@dataclass
class Result:
    logits: Tensor
    hidden: Tensor | None = None


torch.export.register_dataclass(Result, serialized_type_name="zoo.Result")


class Fields(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Result:
        return Result(self.fc(x))


class Sides(nn.Module):
    """Takes what isn't a sample: a matrix and a number."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor, mixing: Tensor, times: int) -> Tensor:
        return self.fc(x) @ mixing * times


def sides() -> Example:
    batch = {"x": normal(3, 4)}
    arguments = {"x": torch.from_numpy(batch["x"]), "mixing": torch.from_numpy(normal(4, 4)), "times": 7}
    return Example(Sides().eval(), batch, arguments, {"x": {0: Dim.AUTO}, "mixing": None, "times": Dim.DYNAMIC})


# Weights: tied, turned, short, complex, quantized; constants; state


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 4)
        self.head = nn.Linear(4, 11, bias=False)
        self.head.weight = self.embed.weight
        self.turned = nn.Parameter(torch.randn(6, 4).t())
        self.register_buffer("rows", torch.arange(24.0).reshape(4, 6)[:, 1:5])

    def forward(self, ids: Tensor) -> Tensor:
        return self.head((self.embed(ids) @ self.turned)[..., :4] @ self.rows)


class Phases(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.filter = nn.Parameter(torch.randn(4, dtype=torch.complex64))
        self.fc = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.fft.irfft(torch.fft.rfft(x) * self.filter, n=6))


class Int8(nn.Module):
    """What quantization leaves: weights of 8 bits, and values rounded between the operations."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randint(-128, 127, (3, 4), dtype=torch.int8))
        self.round = Rounding()

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.ops.quantized_decomposed.dequantize_per_tensor(self.weight, 0.02, 0, -128, 127, torch.int8)
        return nn.functional.linear(self.round(x), weight)


class Rounding(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        q = torch.ops.quantized_decomposed.quantize_per_tensor(x, 0.05, 3, -128, 127, torch.int8)
        return torch.ops.quantized_decomposed.dequantize_per_tensor(q, 0.05, 3, -128, 127, torch.int8)


def int8() -> Example:
    importlib.import_module("torch.ao.quantization.fx._decomposed")  # registers the operators
    return plain(Int8(), {"x": normal(3, 4)})


class Constants(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = torch.tensor([1.0, -2.0, 3.0])
        self.register_buffer("mask", torch.tensor([True, False, True]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(self.mask, x * self.table, torch.tensor(-torch.inf)) + torch.tensor([1, 2, 3])


class Counting(nn.Module):
    """Every call counts, and the count shows."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        self.calls.add_(1)
        return self.fc(x) + self.calls


# Control flow, and code that runs under a mode


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        return torch.cond(y.shape[1] * y.new_ones(()) > 3, lambda y: self.second(y), lambda y: y * 2, (y,))


class Looping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.out = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        from torch._higher_order_ops import while_loop

        _, y = while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, self.fc(y)), (torch.tensor(0), x))
        return self.out(y)


class Mapping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.out = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        from torch._higher_order_ops import map as mapped

        return self.out(mapped(lambda row: self.fc(row).relu(), x))


class Scanning(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.out = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        from torch._higher_order_ops import scan

        start = torch.zeros_like(x[:, 0])
        last, every = scan(lambda kept, step: (self.fc(kept) + step, kept * 2), start, x.transpose(0, 1))
        return self.out(last) + every.sum(0)[:, :2]


class Vectorized(nn.Module):
    """A layer over samples and steps, each by ``torch.vmap``."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.out = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.vmap(torch.vmap(lambda row: self.fc(row).tanh()))(x))


class Associative(nn.Module):
    """A decaying sum over the steps."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        from torch._higher_order_ops.associative_scan import associative_scan

        return self.out(associative_scan(lambda a, b: a * 0.9 + b, x, dim=1, combine_mode="generic"))


class Modes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Linear(4, 4)
        self.short = nn.Linear(4, 4)
        self.out = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            y = self.frozen(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = self.short(y)
        return self.out(y.float())


# Sizes


class Length(nn.Module):
    """Any number of steps; joins samples and steps on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(13, 6)
        self.fc = nn.Linear(6, 4)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        x = self.embed(ids)
        y = self.fc(x.reshape(-1, 6)).reshape(ids.shape[0], ids.shape[1], 4)
        weight = mask.to(y.dtype).unsqueeze(-1)
        return (y * weight).sum(1) / weight.sum(1).clamp(min=1)


def length() -> Example:
    batch = {"ids": tokens(3, 7, limit=13), "mask": np.tril(np.ones((3, 7), bool), 3)}
    sizes = {0: Dim("batch", max=64), 1: Dim("steps", min=3, max=100)}
    return Example(Length().eval(), batch, tensors(batch), {"ids": sizes, "mask": sizes})


class Windows(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        b, h, w, c = x.shape
        y = x.view(b, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, c)
        y = self.fc(y)
        return y.view(b, h // 2, w // 2, 2, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(b, h, w, c)


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.Module], **options: Any) -> None:
        super().__init__()
        self.rnn = kind(3, 4, batch_first=True, **options)
        self.out = nn.Linear(8 if options.get("bidirectional") else 4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.rnn(x)[0][:, -1])


class Functional(nn.Module):
    """No module inside: its operators are the layers."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 4))

    def forward(self, x: Tensor) -> Tensor:
        values, places = nn.functional.linear(x, self.weight).sort(-1)
        return values + places


def _halves(module: nn.Module, dtype: torch.dtype) -> Example:
    import ml_dtypes

    values = normal(3, 4)
    given = torch.from_numpy(values).to(dtype)
    array = values.astype(np.float16 if dtype is torch.float16 else ml_dtypes.bfloat16)
    return Example(module.to(dtype).eval(), {"input": array}, {"input": given}, {"input": {0: Dim.AUTO}})


def _architecture(kind: type[nn.Module]) -> Example:
    module, batch = architectures.build(kind)
    return plain(module, batch)


_LEFT_OUT = {architectures.Decoder, architectures.Experts, architectures.Counter}
"""What the first two do next depends on values: export takes neither. The third counts its calls."""
FAST_PATH = {"Bert", "Seq2Seq"}
"""Their eager form runs a fused kernel that export does not record: it rounds otherwise."""

BUILDERS: dict[str, Callable[[], Example]] = {
    **{kind.__name__: functools.partial(_architecture, kind) for kind in architectures.BATCHES
       if kind not in _LEFT_OUT},
    "shared": lambda: plain(Shared(), {"x": normal(3, 4)}),
    "strict": lambda: plain(Shared(), {"x": normal(3, 4)}, strict=True),
    "in_place": lambda: plain(InPlace(), {"x": normal(3, 2, 5)}),
    "filling": lambda: plain(Filling(), {"x": normal(3, 4)}),
    "structures": structures,
    "fields": lambda: plain(Fields(), {"x": normal(3, 4)}),
    "sides": sides,
    "tied": lambda: plain(Tied(), {"ids": tokens(3, 5, limit=11)}),
    "phases": lambda: plain(Phases(), {"x": normal(3, 6)}),
    "int8": int8,
    "constants": lambda: plain(Constants(), {"x": normal(4, 3)}),
    "half": lambda: _halves(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)), torch.float16),
    "bfloat16": lambda: _halves(nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.LayerNorm(4)), torch.bfloat16),
    "branching": lambda: plain(Branching(), {"x": normal(3, 4)}),
    "looping": lambda: plain(Looping(), {"x": normal(3, 4)}),
    "mapping": lambda: plain(Mapping(), {"x": normal(3, 4)}),
    "scanning": lambda: plain(Scanning(), {"x": normal(3, 5, 4)}),
    "vectorized": lambda: plain(Vectorized(), {"x": normal(3, 5, 4)}),
    "associative": lambda: plain(Associative(), {"x": normal(3, 5, 4)}),
    "modes": lambda: plain(Modes(), {"x": normal(3, 4)}),
    "length": length,
    "windows": lambda: plain(Windows(), {"x": normal(3, 4, 6, 3)}),
    "gru": lambda: plain(Recurrent(nn.GRU), {"x": normal(3, 5, 3)}),
    "bidirectional": lambda: plain(Recurrent(nn.LSTM, bidirectional=True), {"x": normal(3, 5, 3)}),
    "functional": lambda: plain(Functional(), {"x": normal(3, 4)}),
    "fixed": lambda: plain(nn.Sequential(nn.Linear(4, 4), nn.Tanh()), {"input": normal(3, 4)}, fixed=True),
    "decomposed": lambda: plain(InPlace(), {"x": normal(3, 2, 5)}, decomposed=True),
}  # fmt: skip
STATEFUL: dict[str, Callable[[], Example]] = {
    "counting": lambda: plain(Counting(), {"x": normal(3, 4)}),
    "counting_decomposed": lambda: plain(Counting(), {"x": normal(3, 4)}, decomposed=True),
}
_number = itertools.count()


@functools.cache
def _folder() -> tuple[Path, tempfile.TemporaryDirectory[str]]:
    folder = tempfile.TemporaryDirectory(prefix="kmr-exported-")
    weakref.finalize(folder, folder.cleanup)
    return Path(folder.name), folder


@functools.cache
def example(name: str) -> Example:
    """One of :data:`BUILDERS` or :data:`STATEFUL`; the same weights every time."""
    torch.manual_seed(0)
    return {**BUILDERS, **STATEFUL}[name]()


@functools.cache
def path_of(name: str) -> Path:
    """Its file."""
    return save(example(name), _folder()[0] / f"{name}.pt2")


def saved(module: nn.Module, batch: Batch, **options: Any) -> Path:
    """A file of any other model."""
    return save(plain(module, batch, **options), _folder()[0] / f"saved_{next(_number)}.pt2")


# Files that are changed, and files of older releases


def rewritten(path: Path, to: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """A copy of an archive with some members changed (``None`` leaves one out)."""
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(to, "w") as after:
        for info in before.infolist():
            content = change(info.filename, before.read(info))
            if content is not None:
                after.writestr(info.filename, content)
    return to


def with_program(path: Path, to: Path, change: Callable[[Any], None]) -> Path:
    """A copy whose program is changed: ``change`` gets its JSON."""

    def rewrite(name: str, content: bytes) -> bytes:
        if not name.endswith("models/model.json"):
            return content
        document = json.loads(content)
        change(document)
        return json.dumps(document).encode()

    return rewritten(path, to, rewrite)


def as_before_2_8(example: Example, path: Path) -> Path:
    """The same program in the layout that torch wrote before 2.8, as torch's own reader of it expects."""
    from torch._export.serde.serialize import serialize

    with quiet():
        program = export(example.module, (), example.arguments, dynamic_shapes=example.dynamic)
        artifact = serialize(program)
    document = json.loads(artifact.exported_program)
    document["torch_version"] = "2.5.1"
    for node in document["graph_module"]["graph"]["nodes"]:
        del node["name"], node["is_hop_single_tensor_return"]
        for argument in node["inputs"]:
            del argument["kind"]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("version", "8.2")
        archive.writestr("serialized_exported_program.json", json.dumps(document))
        archive.writestr("serialized_state_dict.pt", artifact.state_dict)
        archive.writestr("serialized_constants.pt", artifact.constants)
        archive.writestr("serialized_example_inputs.pt", artifact.example_inputs)
    return path
