"""A live eager module, run as it is, with taps by forward hooks."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from kmr_cli.errors import BatchError, LayerError, ModelLoadError, ModelRunError
from kmr_cli.formats.common.comparands import Comparands, in_attributes, in_functions, in_method, listed
from kmr_cli.formats.common.devices import missing_device
from kmr_cli.formats.common.dynamic_quantization import one_scale
from kmr_cli.formats.common.frameworks import first_line
from kmr_cli.formats.common.plain_values import members_of, plain_values
from kmr_cli.formats.common.torch_arrays import to_arrays, to_tensor
from kmr_cli.formats.common.torch_recorded import recorded
from kmr_cli.formats.exported.run.live_state import LiveState
from kmr_cli.formats.interface import Sink, State, Taps
from kmr_cli.proof.graph import Graph
from kmr_cli.records import Batch, LayerInfo, TensorSpec

_DYNAMIC = ".quantized.dynamic"
"""In the name of the Python modules that define them."""


class _Enough(BaseException):
    """Ends a pass after the last wanted value; no handler of errors in the model's code stops it."""


class LiveSession:
    """See :class:`kmr_cli.formats.interface.Session`.

    The module is copied, set to inference and run without gradients on the CPU. Fused kernels of transformers are
    turned off for every pass: torch itself turns them off where a layer has a hook, so values would depend on what is
    tapped.

    Args:
        module: to be looked at; it is not touched.

    Raises:
        ModelLoadError: it cannot be copied, or its forward method does not say what it takes.
    """

    cheap = False

    def __init__(self, module: Any) -> None:
        self.start: State | None = None
        self._name = type(module).__name__
        try:
            self._module: Any = copy.deepcopy(module).cpu().eval()
        except Exception as exc:
            raise ModelLoadError(
                f"{self._name}: cannot be copied ({first_line(exc)})",
                "save it with torch.export.save, and give the file",
            ) from exc
        self.inputs: tuple[TensorSpec, ...] = tuple(TensorSpec(name) for name in self._arguments())
        self.layers: tuple[LayerInfo, ...] = tuple(
            _layer(path, inner) for path, inner in self._module.named_modules() if path
        )

    def comparands(self) -> Comparands:
        """See :class:`kmr_cli.formats.interface.ComparingSession`."""
        modules = [one for one in self._module.modules() if not type(one).__module__.startswith("torch.nn.")]
        return listed(
            (number for one in modules for number in (*in_method(one, "forward"), *in_functions(one))),
            (number for module in modules for number in in_attributes(module)),
        )

    def _arguments(self) -> Iterator[str]:
        for one in inspect.signature(self._module.forward).parameters.values():
            if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD) or one.default is not one.empty:
                continue
            yield one.name
            if one.kind is one.POSITIONAL_ONLY:
                raise ModelLoadError(
                    f"{self._name}: forward takes {one.name!r} by position only",
                    "wrap it in a module whose forward names its arguments",
                )

    def capture(
        self, batch: Batch, taps: Taps, sink: Sink | None = None, *, stop: bool = False
    ) -> Mapping[str, np.ndarray] | None:
        """Run one forward pass; see :meth:`kmr_cli.formats.interface.Session.capture`."""
        import torch

        if self._module is None:
            raise ValueError("the session is closed")
        if self.start is not None:
            self.start.restore()
        modules = self._wanted(taps)
        given = {name: _tensor(name, array) for name, array in batch.items()}
        run = _Run(taps, sink, len(modules) * len(set(taps.calls)) if stop and taps.calls is not None else None)
        try:
            with torch.no_grad(), _without_fused_kernels(), ExitStack() as hooks:
                for path, module in modules.items():
                    hooks.enter_context(_hooked(module, path, run))
                result = self._module(**given)
                return None if stop else dict(_outputs(result))
        except _Enough:
            return None
        except Exception as exc:
            if run.delivering:
                raise
            if (device := missing_device(str(exc))) is not None:
                message = f"{self._name}: its code runs on {device}, which is not available here"
                raise ModelRunError(message, "write no .cuda() or device='cuda' in its code") from exc
            raise ModelRunError(
                f"{self._name}: the forward pass failed ({first_line(exc)})",
                "compare the batch with what the model expects",
            ) from exc

    def state(self) -> State:
        """See :class:`kmr_cli.formats.interface.KeepingSession`."""
        if self._module is None:
            raise ValueError("the session is closed")
        return LiveState(self._module)

    def graph_for(self, batch: Batch) -> Graph:
        """See :class:`kmr_cli.formats.interface.ExportableSession`."""
        from kmr_cli.formats.exported.exporting import graph_of

        if self._module is None:
            raise ValueError("the session is closed")
        return graph_of(self._module, {name: _tensor(name, array) for name, array in batch.items()}, self._name)

    def record(self, batch: Batch) -> Graph:
        """See :class:`kmr_cli.formats.interface.RecordingSession`."""
        if self._module is None:
            raise ValueError("the session is closed")
        tensors, before = {name: _tensor(name, array) for name, array in batch.items()}, self.state()
        try:
            with _without_fused_kernels():
                return recorded(lambda given: _named(self._module(**given)), tensors, self._name)
        finally:
            before.restore()

    def close(self) -> None:
        """Free the copy."""
        self._module = None

    def _wanted(self, taps: Taps) -> dict[str, Any]:
        known = {path: module for path, module in self._module.named_modules() if path}
        for path in taps.layers:
            if path not in known:
                raise LayerError(f"no layer {path!r} in the model")
        return {path: known[path] for path in dict.fromkeys(taps.layers)}


def _layer(path: str, module: Any) -> LayerInfo:
    parameters = [*module.parameters(), *_packed(module)]
    return LayerInfo(
        path=path,
        type=type(module).__name__,
        dtype=str(parameters[0].dtype).removeprefix("torch.") if parameters else None,
        parameters=sum(one.numel() for one in parameters),
        calls=None,
        mixes=one_scale(type(module).__name__) if _finds_its_scale(module) else None,
    )


def _packed(module: Any) -> Iterator[Any]:
    """Weights that quantized modules keep in objects of torch's own, prepared for its kernels."""
    import torch

    for inner in module.modules():
        for value in vars(inner).values():
            if isinstance(value, torch.ScriptObject) and hasattr(value, "__getstate__"):
                yield from _unpacked(value)


def _unpacked(packed: Any) -> Iterator[Any]:
    """The tensors in such an object. One that holds others (a recurrent cell) has the biases of those a second time."""
    import torch

    leaves = list(_flat(packed.__getstate__()))
    inner = [leaf for leaf in leaves if isinstance(leaf, torch.ScriptObject)]
    if not inner:
        yield from (leaf for leaf in leaves if isinstance(leaf, torch.Tensor))
    for one in inner:
        yield from _unpacked(one)


def _flat(state: Any) -> Iterator[Any]:
    if isinstance(state, (list, tuple)):
        for inner in state:
            yield from _flat(inner)
    else:
        yield state


def _finds_its_scale(module: Any) -> bool:
    """Whether a module is one that torch quantizes dynamically: to integers, at run time."""
    import torch

    inside = getattr(module, "_packed_params", module)
    return _DYNAMIC in type(module).__module__ and getattr(inside, "dtype", torch.qint8) == torch.qint8


def _tensor(name: str, array: np.ndarray) -> Any:
    try:
        return to_tensor(array)
    except TypeError:
        raise BatchError(f"input {name!r}: torch has no tensors of dtype {array.dtype}") from None


class _Run:
    """Hands values to the sink, and counts the calls of every layer.

    Attributes:
        delivering: whether the sink has the word.
    """

    def __init__(self, taps: Taps, sink: Sink | None, last: int | None) -> None:
        self.delivering = False
        self._taps, self._sink, self._left = taps, sink, last
        self._counts: dict[str, int] = {}
        self._open: list[tuple[str, int]] = []

    def enter(self, path: str, values: Any) -> None:
        """A call begins."""
        call = self._counts.get(path, 0)
        self._counts[path] = call + 1
        self._open.append((path, call))
        self._report(path, call, "in", values)

    def leave(self, path: str, values: Any) -> None:
        """The innermost call of a layer ends; calls inside it that never ended (an error was caught) are forgotten."""
        while self._open[-1][0] != path:
            self._open.pop()
        _, call = self._open.pop()
        self._report(path, call, "out", values)
        if self._left is not None and (self._taps.calls is None or call in self._taps.calls):
            self._left -= 1
            if self._left == 0:
                raise _Enough

    def _report(self, path: str, call: int, side: str, values: Any) -> None:
        wanted = side in self._taps.sides and (self._taps.calls is None or call in self._taps.calls)
        if self._sink is None or not wanted:
            return
        self.delivering = True
        for number, value in enumerate(_leaves(values)):
            if value is not None:
                for suffix, array in to_arrays(value):
                    array.flags.writeable = False  # it may show the model's own memory
                    self._sink(path, call, f"{side}{number}{suffix}", array)
        self.delivering = False


@contextmanager
def _hooked(module: Any, path: str, run: _Run) -> Iterator[None]:
    """While it is open, a module reports its calls."""

    def before(_: Any, arguments: Any, keywords: Any) -> None:
        run.enter(path, (arguments, keywords))

    def after(_: Any, __: Any, result: Any) -> None:
        run.leave(path, result)

    handles = [module.register_forward_pre_hook(before, with_kwargs=True), module.register_forward_hook(after)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _leaves(value: Any) -> Iterator[Any]:
    """Tensors and None of a nested structure, in order; numbers and text are left out."""
    import torch

    if value is None or isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield from _leaves(list(members_of(value).values()))


def _outputs(result: Any) -> Iterator[tuple[str, np.ndarray]]:
    for name, tensor in _named(result):
        for suffix, array in to_arrays(tensor):
            yield name + suffix, array.copy()  # it may be the model's own state, which the next pass changes
    for name, array, _ in plain_values(result, 0):
        yield name, array


def _named(result: Any) -> Iterator[tuple[str, Any]]:
    """What forward returned, by name: keys and fields where there are any, else ``out0``, ``out1``, …."""
    members = members_of(result)
    if not members:
        tensors = (one for one in _leaves(result) if one is not None)
        yield from ((f"out{number}", tensor) for number, tensor in enumerate(tensors))
        return
    for name, value in members.items():
        inside = [one for one in _leaves(value) if one is not None]
        for number, tensor in enumerate(inside):
            yield (name if len(inside) == 1 else f"{name}.{number}"), tensor


@contextmanager
def _without_fused_kernels() -> Iterator[None]:
    import torch

    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
