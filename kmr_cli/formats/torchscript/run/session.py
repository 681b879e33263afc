"""A loaded TorchScript module: one forward pass at a time, with taps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from kmr_cli.errors import BatchError, LayerError, ModelLoadError
from kmr_cli.formats.common.comparands import Comparands, listed
from kmr_cli.formats.common.plain_values import plain_values
from kmr_cli.formats.common.torch_arrays import to_arrays, to_tensor
from kmr_cli.formats.common.torch_recorded import recorded
from kmr_cli.formats.interface import Sink, State, Taps, TrainingMode, ignored
from kmr_cli.formats.torchscript.describe.description import Description
from kmr_cli.formats.torchscript.describe.signature import build
from kmr_cli.formats.torchscript.run import failures, instrument
from kmr_cli.formats.torchscript.run.calls import CallStack
from kmr_cli.formats.torchscript.run.outputs import flat_tensors, listed_outputs, name_tensors
from kmr_cli.formats.torchscript.run.own_operators import own_operators
from kmr_cli.formats.torchscript.run.state import ModuleState
from kmr_cli.proof.graph import Graph
from kmr_cli.records import Batch, LayerInfo, ModelInfo, TensorSpec

_Found = TypeVar("_Found")
_ONE_PASS = threading.RLock()  # the operators report to one listener per process


class _Enough(Exception):  # noqa: N818  (not an error: it ends a pass early)
    """Raised through the interpreter when the last wanted value has been seen."""


class TorchScriptSession:
    """See :class:`kmr_cli.formats.interface.Session`.

    Args:
        loaded: freshly loaded, not run yet.
        described: what the file itself tells.
        training: run the module in training mode.

    Attributes:
        training: see :class:`kmr_cli.formats.interface.TrainingSession`.
        start: see :class:`kmr_cli.formats.interface.KeepingSession`.
        cheap: see :class:`kmr_cli.formats.interface.ExportableSession`.
    """

    cheap = True

    def __init__(self, loaded: instrument.Loaded, described: Description, *, training: bool = False) -> None:
        self.training: TrainingMode | None = None
        if training:
            self.training = TrainingMode(normalizers=loaded.normalizers())
        self.start: State | None = None
        self._listed: dict[str, int] = {}
        self._loaded: instrument.Loaded | None = loaded
        self._described = described
        self._info: ModelInfo = described.info
        self._layers = described.info.layers
        named = loaded.instrument(described.method, operators=described.operators)
        if described.operators:
            self._layers = _agreed(self._layers, named)
        self._identities = loaded.modules_by_identity()

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What ``forward`` wants, in its order."""
        return self._info.inputs

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """The layers that ``describe`` lists."""
        return self._layers

    @property
    def listed(self) -> Mapping[str, int]:
        """See :class:`kmr_cli.formats.interface.ListingSession`."""
        return self._listed

    def capture(
        self, batch: Batch, taps: Taps, sink: Sink | None = None, *, stop: bool = False
    ) -> Mapping[str, np.ndarray] | None:
        """Run one forward pass; see :meth:`kmr_cli.formats.interface.Session.capture`."""
        import torch

        loaded = self._loaded
        if loaded is None:
            raise ValueError("the session is closed")
        self._check(taps)
        tensors = {name: _tensor(name, array) for name, array in batch.items()}
        arguments, keywords = build(self._described.arguments, tensors | self._same_for_all())
        last = self._last_values(taps) if stop else None
        recorder = _Recorder(taps, sink, last, torch.Tensor, self._identities, self._described.helpers)
        if self.start is not None:
            self.start.restore()
        with _ONE_PASS:
            before = instrument.listen(recorder if recorder.wants else None)
            try:
                # Every run takes the same path through the executor. With its optimizer on, the first run, which
                # profiles, and later ones, which use the profile, could round differently.
                grad = torch.set_grad_enabled(loaded.takes_gradients)
                with grad, torch.jit.optimized_execution(False), self._mode(loaded):
                    result = getattr(loaded.module, self._described.method)(*arguments, **keywords)
            except BaseException as exc:
                if isinstance(recorder.raised, _Enough):
                    return None
                if recorder.raised is not None:  # the interpreter has turned it into a RuntimeError
                    raise recorder.raised from None
                if not isinstance(exc, Exception):
                    raise
                raise failures.while_running(self._info.path, exc) from exc
            finally:
                instrument.listen(before)
                recorder.close()
        if stop:
            return None
        size = len(next(iter(batch.values()))) if batch else 0
        self._listed = {name: owner for name, owner in listed_outputs(result, size) if owner is not None}
        outputs = dict(_named_outputs(result))
        for name, array, owner in plain_values(result, size):
            outputs[name] = array
            if owner is not None:
                self._listed[name] = owner
        return outputs

    def graph_for(self, batch: Batch) -> Graph:
        """See :class:`kmr_cli.formats.interface.ExportableSession`."""
        from kmr_cli.formats.torchscript.run.graph import graph_of

        return self._followed(graph_of, batch)

    def kinds_of_sizes(
        self,
        batch: Batch,
        sizes: Sequence[int],  # noqa: ARG002  (all are told)
    ) -> Sequence[Sequence[int]]:
        """See :class:`kmr_cli.formats.asking.BranchingSession`: what its code asks is answered for all sizes."""
        from kmr_cli.formats.torchscript.run.graph import kinds_of_sizes

        return self._followed(kinds_of_sizes, batch)

    def computed(self, batch: Batch) -> Sequence[np.ndarray]:
        """See :class:`kmr_cli.formats.asking.ComputingSession`."""
        from kmr_cli.formats.torchscript.run.graph import computed

        return self._followed(computed, batch)

    def _followed(self, follow: Callable[..., _Found], batch: Batch) -> _Found:
        """What comes of following the code, which leaves no trace."""
        if self._loaded is None:
            raise ValueError("the session is closed")
        state = self.start or self.state()
        with _ONE_PASS:
            before = instrument.listen(None)
            try:
                tensors = {name: _tensor(name, array) for name, array in batch.items()}
                return follow(self._loaded, self._described, tensors, self._same_for_all())
            finally:
                instrument.listen(before)
                state.restore()

    def record(self, batch: Batch) -> Graph:
        """See :class:`kmr_cli.formats.interface.RecordingSession`."""
        import torch

        loaded = self._loaded
        if loaded is None:
            raise ValueError("the session is closed")
        method, state, same = getattr(loaded.module, self._described.method), self.state(), self._same_for_all()

        def run(given: dict[str, Any]) -> list[tuple[str, Any]]:
            arguments, keywords = build(self._described.arguments, given | same)
            return list(name_tensors(method(*arguments, **keywords)))

        with _ONE_PASS:
            before = instrument.listen(None)
            try:
                if loaded.reads_unseen or loaded.takes_gradients:
                    raise ModelLoadError(f"{self._info.path}: its code takes numbers out of tensors, unseen")
                with torch.jit.optimized_execution(False):
                    return recorded(run, {name: _tensor(name, array) for name, array in batch.items()}, self._info.path)
            finally:
                instrument.listen(before)
                state.restore()

    def _same_for_all(self) -> dict[str, Any]:
        """The tensors that are the same in every batch."""
        import torch

        given = (one for one in self._described.arguments if one.kind == "tensor" and one.value is not None)
        return {one.name: torch.tensor(one.value) for one in given}

    def operators(self) -> Mapping[str, Collection[str]]:
        """See :class:`kmr_cli.formats.interface.OperatorsSession`."""
        return {} if self._loaded is None else own_operators(self._loaded)

    def comparands(self) -> Comparands:
        """See :class:`kmr_cli.formats.interface.ComparingSession`."""
        return Comparands() if self._loaded is None else listed(*self._loaded.numbers())

    def state(self) -> State:
        """See :class:`kmr_cli.formats.interface.KeepingSession`."""
        if self._loaded is None:
            raise ValueError("the session is closed")
        return ModuleState(self._loaded.attributes())

    def _mode(self, loaded: instrument.Loaded) -> AbstractContextManager[None]:
        """Around one pass: training mode, which leaves no trace, or nothing."""
        if self.training is None:
            return nullcontext()
        return loaded.training_pass(noise=self.training.noise, held=self.training.held)

    def close(self) -> None:
        """Free the module."""
        self._loaded = None
        self._identities = {}

    def _check(self, taps: Taps) -> None:
        known = {layer.path: layer for layer in self._layers}
        for path in taps.layers:
            if path not in known:
                raise LayerError(f"no layer {path!r} in the model")
            if known[path].untappable:
                raise LayerError(f"layer {path!r} cannot be tapped: {known[path].untappable}")

    def _last_values(self, taps: Taps) -> int | None:
        """How many calls of tapped layers there will be, or None where only a run can tell."""
        calls = {layer.path: layer.calls for layer in self._layers}
        total = 0
        for path in dict.fromkeys(taps.layers):
            if taps.calls is not None:
                total += len(set(taps.calls))
            else:
                count = calls[path]
                if count is None:
                    return None
                total += count
        return total


class _Recorder(CallStack):
    """Hands wanted values to the sink.

    Args:
        taps: what is wanted.
        sink: receives it.
        last: how many calls to see before the pass is ended, None to let it run.
        tensor: torch's class of tensors.
        identities, helpers: as those of :class:`CallStack`.
    """

    def __init__(
        self,
        taps: Taps,
        sink: Sink | None,
        last: int | None,
        tensor: type,
        identities: Mapping[int, str],
        helpers: frozenset[tuple[str, str]],
    ) -> None:
        super().__init__(identities, helpers)
        self._wanted = frozenset(taps.layers)
        self._numbers = None if taps.calls is None else frozenset(taps.calls)
        self._ins = "in" in taps.sides
        self._outs = "out" in taps.sides
        self._sink = None if sink is ignored else sink
        self._left, self._tensor = last, tensor
        self._latest: Any = None
        self._version: int | None = None
        self._parts: tuple[tuple[str, np.ndarray], ...] = ()
        self.raised: BaseException | None = None

    @property
    def wants(self) -> bool:
        """Whether anything is to be told of what runs."""
        return self._sink is not None or self._left is not None

    def entered(self, path: str, call: int, values: Any) -> None:
        """See :class:`CallStack`."""
        if path in self._wanted and self._is_wanted(call):
            if self._ins:
                self._report(path, call, "in", values)
            if not self._outs:
                self._count_down()

    def left(self, path: str, call: int, values: Any) -> None:
        """See :class:`CallStack`."""
        if self._outs and path in self._wanted and self._is_wanted(call):
            self._report(path, call, "out", values)
            self._count_down()

    def _is_wanted(self, call: int) -> bool:
        return self._numbers is None or call in self._numbers

    def _report(self, path: str, call: int, side: str, values: Any) -> None:
        if self._sink is None:
            return
        try:
            for number, tensor in enumerate(flat_tensors(values, self._tensor)):
                for suffix, array in self._arrays(tensor):
                    self._sink(path, call, f"{side}{number}{suffix}", array)
        except BaseException as exc:
            self.raised = exc
            raise

    def _arrays(self, tensor: Any) -> tuple[tuple[str, np.ndarray], ...]:
        """Those of :func:`to_arrays`: the very same as before where the latest tensor is handed on, as it mostly is."""
        version = None if tensor.is_inference() else tensor._version  # counts what was written in place
        if tensor is not self._latest or version is None or version != self._version:
            self._parts = tuple(to_arrays(tensor))
            self._latest, self._version = tensor, version
            for _, array in self._parts:
                array.flags.writeable = False  # it may show the model's own memory
        return self._parts

    def _count_down(self) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                self.raised = _Enough()
                raise self.raised

    def close(self) -> None:
        """See :class:`CallStack`."""
        super().close()
        self._sink, self._latest, self._parts = None, None, ()


def _named_outputs(result: Any) -> Iterator[tuple[str, np.ndarray]]:
    for name, tensor in name_tensors(result):
        for suffix, array in to_arrays(tensor):
            yield name + suffix, array.copy()  # it may be the model's own state, which the next pass changes


def _tensor(name: str, array: np.ndarray) -> Any:
    try:
        return to_tensor(array)
    except TypeError:
        raise BatchError(f"input {name!r}: torch has no tensors of dtype {array.dtype}") from None


def _agreed(listed: tuple[LayerInfo, ...], named: tuple[str, ...]) -> tuple[LayerInfo, ...]:
    """The layers of the description, with a reason where the loaded graph has no such operator."""
    present = set(named)
    return tuple(
        layer if layer.untappable or layer.path in present else replace(layer, untappable="not in the loaded graph")
        for layer in listed
    )
