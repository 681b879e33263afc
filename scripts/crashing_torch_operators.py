"""Finds operators of torch that crash on what they are given, for UNCHECKED in formats/common/torch_operators.py.

Takes the calls that torch's own samples of operators (OpInfo) make, gradients too, changes numbers, indices and shapes
in them, and tries each in a fork. Operators without a sample that files may use are given what their schema asks for.
Prints a line for each operator and signal. Needs ``pip install expecttest``:
    python scripts/crashing_torch_operators.py 1500 > crashing.txt
"""

import mmap
import os
import random
import resource
import signal
import struct
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.ao.quantization.fx._decomposed  # registers what quantization leaves
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_flatten, tree_unflatten

from kmr_cli.formats.common.torch_operators import is_known

Call = tuple[list[Any], Any]
KEPT, SAMPLES, PATIENCE, CRASHES, OF_A_SCHEMA = 10, 12, 8.0, 4, 300
MEMORY, SECONDS = 600_000_000, 5
ODD = (10**12, -(10**12), -1, 2**31 - 1, -(2**31), 10**6, -(10**7), 100, 3, 0, 5)
NOT_NUMBERS = (float("nan"), float("inf"), -float("inf"), 1e30, -1.0)


class Recorder(TorchDispatchMode):
    """Keeps some of the calls of each operator."""

    def __init__(self, calls: dict[Any, list[Call]]) -> None:
        super().__init__()
        self._calls = calls

    def __torch_dispatch__(self, operator: Any, _: Any, given: Any = (), named: Any = None) -> Any:
        named = named or {}
        kept = self._calls.setdefault(operator, [])
        if len(kept) < KEPT:
            flat, spec = tree_flatten((given, named))
            with _disable_current_modes():
                kept.append(([one.detach().clone() if isinstance(one, torch.Tensor) else one for one in flat], spec))
        return operator(*given, **named)


def recorded() -> dict[Any, list[Call]]:
    """The calls that the samples of all operators make."""
    calls: dict[Any, list[Call]] = {}
    signal.signal(signal.SIGALRM, _too_long)
    for info in op_db:
        for dtype in {torch.float32, torch.int64} & set(info.dtypes):
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)
            try:
                trained = dtype == torch.float32 and info.supports_autograd
                for number, sample in enumerate(info.sample_inputs("cpu", dtype, requires_grad=trained)):
                    if number >= SAMPLES:
                        break
                    with Recorder(calls):
                        made = info(sample.input, *sample.args, **sample.kwargs)
                        ends = [one for one in tree_flatten(made)[0] if isinstance(one, torch.Tensor)]
                        torch.autograd.backward([one.abs().sum() for one in ends if one.requires_grad])
            except Exception as exc:  # a sample that is of no use, or takes too long
                print(f"{info.name}: {type(exc).__name__}", file=sys.stderr)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    return calls


def _too_long(*_: object) -> None:
    raise TimeoutError


def changed(call: Call, seed: int) -> Any:
    """Arguments of a call in which up to three are others, whole numbers above all."""
    chance = random.Random(seed)
    flat = [one.clone() if isinstance(one, torch.Tensor) else one for one in call[0]]
    places = [place for place, one in enumerate(flat) if isinstance(one, (torch.Tensor, int, float))]
    whole = [place for place in places if isinstance(flat[place], int) or not _is_float(flat[place])]
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3)) if places else 0):
        place = chance.choice(whole if whole and chance.random() < 0.6 else places)
        flat[place] = _other(flat[place], chance)
    return tree_unflatten(flat, call[1])


def _is_float(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, torch.Tensor) and value.is_floating_point())


def _other(value: Any, chance: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return chance.choice((*ODD, value + 1, value - 1, -value))
    if isinstance(value, float):
        return chance.choice(NOT_NUMBERS)
    if value.dtype in (torch.int32, torch.int64) and value.numel():
        bounds = torch.iinfo(value.dtype)
        odd = max(bounds.min, min(bounds.max, chance.choice(ODD)))
        if chance.random() < 0.5:
            return torch.full_like(value, odd)
        return value.flatten().index_fill(0, torch.tensor([chance.randrange(value.numel())]), odd).view_as(value)
    if value.is_floating_point() and chance.random() < 0.3:
        return torch.full_like(value, chance.choice(NOT_NUMBERS))
    if value.dim() and chance.random() < 0.5:
        axis = chance.randrange(value.dim())
        return value.narrow(axis, 0, chance.randrange(value.shape[axis])) if value.shape[axis] else value.flatten()
    return torch.empty(0, dtype=value.dtype) if chance.random() < 0.3 else value.flatten()


def without_samples(tried: set[str]) -> Iterator[tuple[Any, list[Call]]]:
    """Operators that a file may use and nothing has called yet, with calls as their schemas have it."""
    for schema in torch._C._jit_get_all_schemas():
        namespace, _, name = schema.name.partition("::")
        if schema.name in tried or not is_known(namespace, name):
            continue
        try:
            operator = getattr(getattr(getattr(torch.ops, namespace), name), schema.overload_name or "default")
        except (AttributeError, RuntimeError) as exc:  # of torch's interpreter alone
            print(f"{schema.name}: {exc}", file=sys.stderr)
            continue
        yield operator, [_call(schema, seed) for seed in range(OF_A_SCHEMA)]


def _call(schema: Any, seed: int) -> Call:
    chance = random.Random(seed)
    given = [_value(one.type, chance) for one in schema.arguments if not one.kwarg_only]
    named = {one.name: _value(one.type, chance) for one in schema.arguments if one.kwarg_only}
    flat, spec = tree_flatten((given, named))
    return flat, spec


def _value(kind: Any, chance: random.Random) -> Any:
    """Something of a type of TorchScript; small, so that it is often right."""
    text = str(kind)
    if text.startswith("Optional["):
        return None if chance.random() < 0.5 else _value(kind.getElementType(), chance)
    if text.startswith("List["):
        return [_value(kind.getElementType(), chance) for _ in range(chance.choice((1, 1, 2, 2, 3, 4)))]
    if text == "Tensor":
        return _tensor(chance)
    makers = {
        "int": lambda: chance.choice((0, 1, 1, 2, 3, 4, -1, *ODD)), "bool": lambda: chance.random() < 0.5,
        "float": lambda: chance.choice((0.0, 0.5, 1.0, *NOT_NUMBERS)), "number": lambda: chance.choice((0, 1, 2, 0.5)),
        "str": lambda: chance.choice(("sum", "mean", "none", "linear", "relu", "floor", "ij", "constant")),
        "Device": lambda: torch.device("cpu"),
    }  # fmt: skip
    return makers[text]() if text in makers else None


def _tensor(chance: random.Random) -> torch.Tensor:
    shape = chance.choice(([4], [2, 3], [3, 3], [1, 2, 3], [2, 2, 4, 4], [1, 2, 3, 4, 4], [1], [], [0]))
    kind = chance.choice(("float", "float", "index", "wild", "quantized", "channels", "sparse", "rows", "bool"))
    if kind in ("index", "wild"):
        return torch.full(shape, chance.choice((0, 1, 2) if kind == "index" else ODD), dtype=torch.int64)
    made = torch.rand(shape)
    if kind == "quantized":
        return torch.quantize_per_tensor(made, 0.1, 3, chance.choice((torch.quint8, torch.qint8)))
    if kind == "channels" and shape and made.numel():
        return torch.quantize_per_channel(
            made, torch.ones(shape[0]), torch.zeros(shape[0], dtype=torch.int64), 0, torch.qint8
        )
    if kind == "sparse" and shape:
        return made.to_sparse()
    if kind == "rows" and len(shape) == 2:
        return made.to_sparse_csr()
    return made > 0.5 if kind == "bool" else made


def crashes(operator: Any, calls: Sequence[Call], times: int) -> Iterator[str]:
    """The signals that end a process which tries changed calls."""
    at, first, found = mmap.mmap(-1, 8), 0, 0
    while first < times and found < CRASHES:
        pid = os.fork()
        if pid == 0:
            _try(operator, calls, range(first, times), at)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status >= 0 or -status == signal.SIGXCPU:
            return
        first = struct.unpack("<q", at[:8])[0] + 1
        found += 1
        if -status != signal.SIGPROF:
            yield signal.Signals(-status).name


def _try(operator: Any, calls: Sequence[Call], seeds: range, at: mmap.mmap) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    os.dup2(os.open(os.devnull, os.O_RDWR), 2)
    for seed in seeds:
        at[:8] = struct.pack("<q", seed)
        signal.setitimer(signal.ITIMER_PROF, 0.5)
        try:
            given, named = changed(calls[seed % len(calls)], seed)
            for one in tree_flatten(operator(*given, **named))[0]:
                if isinstance(one, torch.Tensor):
                    one.sum()
        except Exception as exc:  # as it should be: it checks what it is given
            print(exc, file=sys.stderr)
        signal.setitimer(signal.ITIMER_PROF, 0)
    os._exit(0)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.sparse.check_sparse_tensor_invariants.enable()  # as the program does
    found = recorded()
    names = {operator.name().partition(".")[0] for operator in found}
    for operator, calls in [*sorted(found.items(), key=lambda item: str(item[0])), *without_samples(names)]:
        for name in dict.fromkeys(crashes(operator, calls, int(sys.argv[1]))):
            print(operator.name(), name, flush=True)
