# ruff: noqa: UP006, UP035, UP045  (every torch reads the old spellings of types)
"""TorchScript models that use every way in which one module can call another. Tiny, seeded, on the CPU."""

import io
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np
import torch
from torch import Tensor, nn

Batch = dict[str, np.ndarray]


class Made(NamedTuple):
    """A model, a batch for it, and the Python module that it was made from, whose hooks tell what is right."""

    module: torch.jit.ScriptModule
    batch: Batch
    eager: nn.Module


def quietly(make: Callable[..., object], *arguments: object, **keywords: object) -> object:
    """Call something of torch.jit, which torch 2.13 announces as deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make(*arguments, **keywords)


def script(module: nn.Module) -> torch.jit.ScriptModule:
    return quietly(torch.jit.script, module.eval())


def trace(module: nn.Module, *example: Tensor, **keywords: object) -> torch.jit.ScriptModule:
    # Unchecked: the check runs with gradients on, which some layers of torch take another path for.
    return quietly(torch.jit.trace, module.eval(), example, check_trace=False, **keywords)


def freeze(module: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
    return quietly(torch.jit.freeze, module)


def scripted(eager: nn.Module, batch: Batch) -> Made:
    return Made(script(eager), batch, eager)


def traced(eager: nn.Module, batch: Batch) -> Made:
    example = [torch.from_numpy(array[:2]) for array in batch.values()]
    return Made(trace(eager, *example), batch, eager)


def frozen(made: Made) -> Made:
    return made._replace(module=freeze(made.module))


def save(module: torch.jit.ScriptModule, path: Path) -> Path:
    quietly(torch.jit.save, module, str(path))
    return path


def rewrite(path: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """Write the archive again with every member passed through ``change``; None leaves it out."""
    with zipfile.ZipFile(path) as old:
        members = [(info.filename, old.read(info)) for info in old.infolist()]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as new:
        for name, content in members:
            changed = change(name, content)
            if changed is not None:
                new.writestr(name, changed)
    path.write_bytes(buffer.getvalue())
    return path


def seed() -> None:
    torch.manual_seed(0)


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


# Plain models


class Cnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(4, 6, 3)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(6, 5)

    def forward(self, image: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(image)))
        x = self.relu(self.conv2(x))
        return self.head(self.pool(x).flatten(1))


def scripted_cnn() -> Made:
    seed()
    return scripted(Cnn(), {"image": normal(3, 3, 8, 8)})


def traced_cnn() -> Made:
    seed()
    return traced(Cnn(), {"image": normal(3, 3, 8, 8)})


def frozen_cnn() -> Made:
    return frozen(scripted_cnn())


def frozen_traced_cnn() -> Made:
    return frozen(traced_cnn())


class InPlaceRelu(nn.Module):
    """What the convolution returned is overwritten before the pass ends."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.conv(x))


def in_place_relu() -> Made:
    seed()
    return scripted(InPlaceRelu(), {"x": normal(2, 1, 5, 5)})


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.out = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.fc(torch.relu(self.fc(x))))


def shared_twice() -> Made:
    seed()
    return scripted(Shared(), {"x": normal(3, 4)})


def traced_shared_twice() -> Made:
    seed()
    return traced(Shared(), {"x": normal(3, 4)})


class Aliased(nn.Module):
    """One module under two names: its parameters count once."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = self.first
        self.tied = nn.Linear(4, 4)
        self.tied.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.tied(self.second(torch.relu(self.first(x))))


def aliased() -> Made:
    seed()
    return scripted(Aliased(), {"x": normal(3, 4)})


# Methods other than forward


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.unused = nn.Linear(2, 2)

    def encode(self, x: Tensor) -> Tensor:
        return self.norm(self._inner(x))

    def _inner(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv(x))

    def width(self) -> int:
        return 4

    def forward(self, x: Tensor) -> Tensor:
        return self.unused(x)


class Encoding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        features = self.encoder.encode(x) * self.encoder.width()
        return self.head(features.mean([2, 3]))


def encode_method() -> Made:
    seed()
    return scripted(Encoding(), {"x": normal(2, 3, 6, 6)})


class Prepared(nn.Module):
    """A layer whose helper is called from outside, before its forward."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def prepare(self, x: Tensor) -> Tensor:
        return self.inner(x) + 1

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) * 2


class Helping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = Prepared()

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.layer.prepare(x))


def helper_method() -> Made:
    seed()
    return scripted(Helping(), {"x": normal(3, 4)})


class Remembers(nn.Module):
    """Returns its own state, which the next call changes."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(4))
        self.keep = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        self.total += x.sum(0)
        return self.keep(self.total)


# Containers


class Block(nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.fc(x)) * self.scale


with warnings.catch_warnings():
    warnings.simplefilter("ignore")

    @torch.jit.interface
    class Step(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            pass


class Other(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x) + 1


class Containers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(1.0), Block(2.0), Block(0.5)])
        self.named = nn.ModuleDict({"left": Block(1.5), "right": Other()})
        self.tail = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 3)))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        x = self.blocks[1](x)
        x = self.blocks[-1](x)
        x = self.named["left"](x)
        for _, step in self.named.items():
            x = step(x)
        return self.tail(x)


def containers() -> Made:
    seed()
    return scripted(Containers(), {"x": normal(3, 4)})


class InterfaceList(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.ModuleList([Block(1.0), Other(), Block(3.0)])
        self.table = nn.ModuleDict({"a": Block(1.0), "b": Other()})

    def forward(self, x: Tensor) -> Tensor:
        order = [2, 0, 1, 0]
        for place in order:
            step: Step = self.steps[place]
            x = step.forward(x)
        key = "b"
        if x.sum() > 0:
            key = "a"
        chosen: Step = self.table[key]
        return chosen.forward(x)


def interface_list() -> Made:
    seed()
    return scripted(InterfaceList(), {"x": normal(3, 4)})


def _apply(step: Step, x: Tensor) -> Tensor:
    return step.forward(x) + 1


class InterfaceVariable(nn.Module):
    """A list of the code's own holds modules; which one is called shows only in a run."""

    def __init__(self) -> None:
        super().__init__()
        self.one = Block(1.0)
        self.two = Other()

    def forward(self, x: Tensor) -> Tensor:
        steps: List[Step] = [self.one, self.two]
        for step in steps:
            x = step.forward(x)
        return steps[x.size(0) % 2].forward(x)


def interface_variable() -> Made:
    seed()
    return scripted(InterfaceVariable(), {"x": normal(3, 4)})


class InterfaceFunction(nn.Module):
    """A function outside every class calls the module that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.one = Block(1.0)
        self.two = Other()

    def forward(self, x: Tensor) -> Tensor:
        return _apply(self.two, _apply(self.one, x))


def interface_function() -> Made:
    seed()
    return scripted(InterfaceFunction(), {"x": normal(3, 4)})


# Structures in and out


class State(NamedTuple):
    hidden: Tensor
    mask: Optional[Tensor]
    history: List[Tensor]


class Cell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor, state: State, table: Dict[str, Tensor], scale: Optional[Tensor] = None) -> State:
        y = self.fc(x) + state.hidden + table["bias"]
        if scale is not None:
            y = y * scale
        return State(y, state.mask, [x, y])


class Nested(nn.Module):
    """Returns a dictionary in a tuple."""

    def forward(self, pair: Tuple[Tensor, List[Tensor]]) -> Tuple[Tensor, Dict[str, Tensor]]:
        first, rest = pair
        return first, {"sum": first + rest[0], "last": rest[-1]}


class Structures(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = Cell()
        self.nested = Nested()

    def forward(self, x: Tensor, mask: Optional[Tensor] = None) -> Dict[str, Tensor]:
        state = State(torch.zeros_like(x), mask, [])
        state = self.cell(x, state, {"bias": torch.ones_like(x)})
        state = self.cell(state.hidden, state, {"bias": x}, x)
        first, table = self.nested((state.hidden, state.history))
        return {"first": first, "last": table["last"], "sum": table["sum"]}


def structures() -> Made:
    seed()
    return scripted(Structures(), {"x": normal(3, 4)})


class PairInput(NamedTuple):
    image: Tensor
    extra: Tensor


class StructuredInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)
        self.fc = nn.Linear(4, 3)

    def forward(
        self,
        pair: PairInput,
        table: Dict[str, Tensor],
        state: Tuple[Tensor, Tensor],
        more: List[Tensor],
        mask: Optional[Tensor] = None,
        scale: float = 1.0,
    ) -> Tuple[Tensor, Tuple[Tensor, Tensor]]:
        x = self.conv(pair.image).mean([2, 3]) * scale
        y = self.fc(table["left"]) + table["right"] + pair.extra
        one, other = more[0], more[1]
        return x + y, (state[0] + one, state[1] + other)


def structured_inputs() -> Made:
    seed()
    batch = {
        "pair.image": normal(2, 2, 5, 5),
        "pair.extra": normal(2, 3),
        "table.left": normal(2, 4),
        "table.right": normal(2, 3),
        "state.0": normal(2, 1),
        "state.1": normal(2, 2),
        "more.0": normal(2, 1),
        "more.1": normal(2, 2),
    }
    return scripted(StructuredInputs(), batch)


class NamedOutput(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> PairInput:
        return PairInput(self.fc(x), x * 2)


def named_output() -> Made:
    seed()
    return scripted(NamedOutput(), {"x": normal(3, 4)})


# Control flow


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.high = Block(1.0)
        self.low = Block(2.0)
        self.step = Block(0.5)
        self.last = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        if x.mean() > 100.0:
            x = self.high(x)
        else:
            x = self.low(x)
            if x.dim() == 2:
                x = self.step(x)
        for _ in range(3):
            x = self.step(x)
        count = 0
        while bool(x.abs().sum() > 0.05) and count < 5:
            x = self.step(x)
            count += 1
        if x.dim() != 2:
            raise ValueError("wants a matrix")
        return self.last(x)


def branching() -> Made:
    seed()
    return scripted(Branching(), {"x": normal(3, 4)})


class EarlyReturn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = Block(1.0)
        self.two = Block(2.0)

    def forward(self, x: Tensor) -> Tensor:
        if x.size(0) > 100:
            return self.one(x)
        x = self.two(x)
        return self.one(x)


def early_return() -> Made:
    seed()
    return scripted(EarlyReturn(), {"x": normal(3, 4)})


class Forking(nn.Module):
    """Tasks that run at the same time, one of them forking again, and calling what others call too."""

    def __init__(self) -> None:
        super().__init__()
        self.left = Block(1.0)
        self.right = Inside()
        self.join = nn.Linear(4, 2)

    def side(self, x: Tensor) -> Tensor:
        return self.left(x) * 2

    def forward(self, x: Tensor) -> Tensor:
        first = torch.jit.fork(self.left, x)
        second = torch.jit.fork(self.right, x)
        third = torch.jit.fork(self.side, x + 1)
        here = self.left(x - 1)
        many: List[torch.jit.Future[Tensor]] = []
        for place in range(3):
            many.append(torch.jit.fork(self.left, x * place))
        total = torch.jit.wait(first) + torch.jit.wait(second) + torch.jit.wait(third) + here
        for future in many:
            total = total + torch.jit.wait(future)
        return self.join(total)


class Inside(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = Block(1.0)
        self.two = Block(2.0)

    def forward(self, x: Tensor) -> Tensor:
        task = torch.jit.fork(self.one, x)
        y = self.two(x)
        return torch.jit.wait(task) + y


def forking() -> Made:
    seed()
    return scripted(Forking(), {"x": normal(3, 4)})


# Recurrent layers, attention


class Recurrent(nn.Module):
    def __init__(self, batch_first: bool, kind: str = "lstm") -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 4)
        self.rnn = (nn.LSTM if kind == "lstm" else nn.GRU)(4, 3, batch_first=batch_first, bidirectional=True)
        self.head = nn.Linear(6, 2)
        self.batch_first = batch_first

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        if not self.batch_first:
            x = x.transpose(0, 1)
        y, _ = self.rnn(x)
        return self.head(y)


def tokens(rows: int, length: int, limit: int) -> np.ndarray:
    return np.random.default_rng(rows).integers(0, limit, (rows, length))


def scripted_lstm() -> Made:
    seed()
    return scripted(Recurrent(True), {"tokens": tokens(3, 5, 11)})


def scripted_gru_time_major() -> Made:
    seed()
    return scripted(Recurrent(False, "gru"), {"tokens": tokens(3, 5, 11)})


def traced_lstm() -> Made:
    seed()
    return traced(Recurrent(True), {"tokens": tokens(3, 5, 11)})


class Packed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 3, batch_first=True)
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        out, _ = self.lstm(packed)
        y, _ = nn.utils.rnn.pad_packed_sequence(out, batch_first=True)
        return self.head(y)


def packed_sequence() -> Made:
    seed()
    return scripted(Packed(), {"x": normal(3, 5, 4), "lengths": np.array([2, 5, 3])})


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.attention(x, x, x)
        return self.norm(x + y)


def attention() -> Made:
    seed()
    return scripted(Attention(), {"x": normal(2, 5, 8)})


def transformer_encoder() -> Made:
    seed()
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return scripted(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), {"src": normal(2, 5, 8)})


# Dtypes and layouts


def bfloat16_model() -> Made:
    seed()
    return scripted(Cnn().to(torch.bfloat16), {"image": _bfloat16(normal(3, 3, 8, 8))})


def _bfloat16(array: np.ndarray) -> np.ndarray:
    import ml_dtypes

    return array.astype(ml_dtypes.bfloat16)


class Fourier(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.fft(x).conj()


class Magnitude(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.abs() + x.imag


class Complex(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fourier = Fourier()
        self.magnitude = Magnitude()

    def forward(self, x: Tensor) -> Tensor:
        return self.magnitude(self.fourier(x))


def complex_model() -> Made:
    seed()
    return scripted(Complex(), {"x": normal(2, 6)})


class ToSparse(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x).to_sparse()


class ToDense(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.to_dense()


class Sparse(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.sparse = ToSparse()
        self.dense = ToDense()

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(self.sparse(x))


def sparse_model() -> Made:
    seed()
    return scripted(Sparse(), {"x": normal(3, 4)})


class Quantize(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.quantize_per_tensor(x, 0.1, 10, torch.quint8)


class Dequantize(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.dequantize()


class Quantized(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.quantize = Quantize()
        self.dequantize = Dequantize()

    def forward(self, x: Tensor) -> Tensor:
        return self.dequantize(self.quantize(x))


def quantized_values() -> Made:
    seed()
    return scripted(Quantized(), {"x": normal(3, 4)})


def quantized_dynamic() -> Made:
    seed()
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)).eval()
    quantized = quietly(torch.ao.quantization.quantize_dynamic, model, {nn.Linear}, torch.qint8)
    return scripted(quantized, {"input": normal(3, 4)})


MODELS: dict[str, Callable[[], Made]] = {
    made.__name__: made
    for made in (
        scripted_cnn, traced_cnn, frozen_cnn, frozen_traced_cnn, in_place_relu, shared_twice, traced_shared_twice,
        aliased, encode_method, helper_method, containers, interface_list, interface_variable, interface_function,
        structures,
        structured_inputs, named_output, branching, early_return, forking, scripted_lstm, scripted_gru_time_major,
        traced_lstm, packed_sequence, attention, transformer_encoder, bfloat16_model, complex_model, sparse_model,
        quantized_values, quantized_dynamic,
    )
}  # fmt: skip
"""Every builder by its name."""
