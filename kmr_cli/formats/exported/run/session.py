"""An exported program, run by our own interpreter: one forward pass at a time, with taps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from kmr_cli.errors import BatchError, KmrError, ModelLoadError, ModelRunError
from kmr_cli.formats.common.alone import Alone
from kmr_cli.formats.common.comparands import SMALL, Comparands, listed
from kmr_cli.formats.common.devices import TO_THE_CPU, missing_device
from kmr_cli.formats.common.frameworks import first_line
from kmr_cli.formats.common.other_padding import OtherPadding, PutsOtherPadding
from kmr_cli.formats.common.torch_arrays import to_arrays, to_tensor
from kmr_cli.formats.common.torch_state import TensorState
from kmr_cli.formats.exported.describe.comparands import compared, others
from kmr_cli.formats.exported.describe.contents import steps_of
from kmr_cli.formats.exported.describe.description import Description
from kmr_cli.formats.exported.describe.program import Graph, Node, Ref
from kmr_cli.formats.exported.run import taps as tapping
from kmr_cli.formats.exported.run.alone import Noted
from kmr_cli.formats.exported.run.examples import examples
from kmr_cli.formats.exported.run.mapped import whole
from kmr_cli.formats.exported.run.steps import Inside, Values, compile_graph, run_steps
from kmr_cli.formats.exported.run.weights import Weights
from kmr_cli.formats.interface import Sink, State, Taps
from kmr_cli.records import Batch, LayerInfo, TensorSpec

_PLANS = 4
"""Plans that are kept: the taps are mostly the same again."""


class ExportedSession(PutsOtherPadding):
    """See :class:`kmr_cli.formats.interface.Session`.

    Every operation is torch's own, in the program's order, on the CPU and without gradients. Buffers that the program
    writes to keep what was written for the next pass, as in the model itself, unless :attr:`start` says otherwise.

    Args:
        described: what the file tells.
        numbers: in place of those that arguments had when the program was exported.

    Raises:
        ModelLoadError: an operator is not allowed or not registered, a weight is kept as a pickle, or an argument
            cannot be fed.
    """

    def __init__(self, described: Description, numbers: Mapping[str, Any] | None = None) -> None:
        self.start: State | None = None
        self._described = described
        name = described.info.path
        self._numbers = _numbers(described, numbers or {})
        for one in described.interface.fed:
            if one.how == "unsupported":
                raise ModelLoadError(
                    f"{name}: the argument {one.name!r} cannot be fed from a batch",
                    "export a module around the model whose forward takes tensors with the samples along axis 0",
                )
        self._inside = Inside()
        self._steps = compile_graph(name, described.program.graph, self._inside)
        self._weights: Weights | None = Weights(described.archive, described.program)
        self._given = examples(described, self._weights)
        self._plans: dict[tuple[Taps, bool], tapping.Plan] = {}

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What the program wants, in its order."""
        return self._described.info.inputs

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """The layers that ``describe`` lists."""
        return self._described.info.layers

    def capture(
        self, batch: Batch, taps: Taps, sink: Sink | None = None, *, stop: bool = False
    ) -> Mapping[str, np.ndarray] | None:
        """Run one forward pass; see :meth:`kmr_cli.formats.interface.Session.capture`."""
        import torch

        weights = self._weights
        if weights is None:
            raise ValueError("the session is closed")
        if self.start is not None:
            self.start.restore()
        plan = self._plan(taps, stop=stop)
        values = _Values(weights, self._padding)
        values.update(self._fed(batch))
        run = _Run(plan, values, sink)
        steps = self._steps[: plan.length]
        self._inside.watcher = run.inside if plan.inside else None
        try:
            with torch.no_grad():
                run_steps(steps, values, run)
        except KmrError:
            raise
        except Exception as exc:
            if run.delivering or not steps:
                raise
            raise self._failure(steps[run.place].node, exc) from exc
        finally:
            self._inside.watcher = None
        if stop:
            return None
        with torch.no_grad():
            self._write_back(values, weights)
            return dict(self._outputs(values))

    def alone(self, operators: Sequence[str], batch: Batch) -> Mapping[str, Alone]:
        """See :class:`kmr_cli.formats.interface.ProbingSession`."""
        import torch

        weights = self._weights
        if weights is None:
            raise ValueError("the session is closed")
        if self.start is not None:
            self.start.restore()
        values = _Values(weights)
        values.update(self._fed(batch))
        noted = Noted(self._steps, operators, values)
        try:
            with torch.no_grad():
                run_steps(self._steps[: noted.last], values, noted)
        except KmrError:
            raise
        except Exception as exc:
            raise ModelRunError(f"{self._described.info.path}: the forward pass failed ({first_line(exc)})") from exc
        return noted.found

    def state(self) -> State:
        """See :class:`kmr_cli.formats.interface.KeepingSession`."""
        weights = self._weights
        if weights is None:
            raise ValueError("the session is closed")
        program = self._described.program
        written = {one.target for one in program.outputs if one.kind in ("buffer", "parameter")}
        kept = [one for one in program.inputs if one.kind == "buffer" or (one.target and one.target in written)]
        return TensorState(weights[one.value] for one in kept if one.value is not None)

    def comparands(self) -> Comparands:
        """See :class:`kmr_cli.formats.interface.ComparingSession`."""
        graph, weights = self._described.program.graph, self._weights
        small = {} if weights is None else {name: tensor.numpy() for name, tensor in weights.small(SMALL)}
        in_comparisons = (small.get(one.name) if isinstance(one, Ref) else one for one in compared(graph))
        return listed(in_comparisons, (*others(graph), *small.values()))

    def other_padding(
        self, where: Mapping[int, np.ndarray], seed: int, inputs: Mapping[str, float] | None = None
    ) -> AbstractContextManager[None] | None:
        """See :class:`kmr_cli.formats.interface.PaddingSession`."""
        fed = [one.value for one in self._described.interface.fed if one.name in (inputs or {})]
        found = tuple(steps_of(self._described.program.graph, fed))
        return self._put(OtherPadding(found, where, seed)) if found else None

    def any_size(self) -> AbstractContextManager[None]:
        """See :class:`kmr_cli.formats.interface.ResizableSession`: what is declared is never insisted on."""
        return nullcontext()

    def close(self) -> None:
        """Free the weights."""
        if self._weights is not None:
            self._weights.close()
        self._weights = None
        self._given = {}

    def _plan(self, taps: Taps, *, stop: bool) -> tapping.Plan:
        key = (taps, stop)
        if key not in self._plans:
            while len(self._plans) >= _PLANS:
                del self._plans[next(iter(self._plans))]
            self._plans[key] = tapping.plan(self._described, taps, stop=stop)
        return self._plans[key]

    def _fed(self, batch: Batch) -> Iterator[tuple[str, Any]]:
        for one in self._described.interface.fed:
            if one.how == "batch":
                try:
                    yield one.value, to_tensor(batch[one.name])
                except TypeError:
                    dtype = batch[one.name].dtype
                    raise BatchError(f"input {one.name!r}: torch has no tensors of dtype {dtype}") from None
            elif one.how == "number":
                yield one.value, self._numbers[one.value]
            else:
                given = self._given[one.value]
                yield one.value, given.clone() if hasattr(given, "clone") else given

    def _write_back(self, values: Mapping[str, Any], weights: Weights) -> None:
        """Where the program returns the new content of a buffer instead of writing it, it is written at the end."""
        names = {one.target: one.value for one in self._described.program.inputs if one.kind in ("buffer", "parameter")}
        for one in self._described.program.outputs:
            name = names.get(one.target)
            if one.kind in ("buffer", "parameter") and name is not None and isinstance(one.value, Ref):
                weights[name].copy_(values[one.value.name])

    def _outputs(self, values: Mapping[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
        for name, value in self._described.interface.outputs:
            for suffix, array in to_arrays(values[value]):
                yield name + suffix, array.copy()  # it may be a buffer, which the next pass changes
        for name, value in self._described.interface.numbers:
            yield name, np.asarray(values[value])

    def _failure(self, node: Node, exc: Exception) -> ModelRunError:
        path = node.stack[-1].path if node.stack else ""
        where = f" in layer {path!r}" if path else ""
        operation = node.target.removeprefix("torch.ops.")
        name = self._described.info.path
        if (device := missing_device(str(exc))) is not None:
            error = ModelRunError(
                f"{name}: its program runs on {device}, which is not available here{where}, at {operation}",
                TO_THE_CPU.replace("saved", "exported"),
            )
        else:
            error = ModelRunError(
                f"{name}: the forward pass failed{where}, at {operation} ({first_line(exc)})",
                "compare the batch with what the model expects",
            )
        error.layer = path or None
        return error


def _numbers(described: Description, given: Mapping[str, Any]) -> dict[str, Any]:
    """The number of every argument that is one, by the graph's name for it.

    Raises:
        ModelLoadError: a constant is given for an argument that isn't a number.
    """
    known = {one.name: one.value for one in described.interface.fed if one.how == "number"}
    for name, number in given.items():
        if name not in known:
            hint = f"numbers are {', '.join(map(repr, known))}" if known else "none of its arguments is a number"
            raise ModelLoadError(f"{described.info.path}: no argument {name!r} that is a number", hint)
        if not isinstance(number, (int, float)):
            raise ModelLoadError(f"{described.info.path}: {name!r} is a number, not {number!r}")
    exported = {value: described.program.graph.numbers[value] for value in known.values()}
    return {**exported, **{known[name]: number for name, number in given.items()}}


class _Values(dict[str, Any]):
    """Values of one pass; weights are looked up when they are first taken."""

    def __init__(self, weights: Weights, padding: OtherPadding | None = None) -> None:
        super().__init__()
        self._weights, self._padding = weights, padding

    def __setitem__(self, name: str, value: Any) -> None:
        if self._padding is not None and name in self._padding.tensors:
            import torch

            if value.dtype in (torch.float16, torch.float32, torch.float64):
                other = self._padding.other({name: value.detach().numpy()})
                value = torch.from_numpy(other[name]) if name in other else value
        super().__setitem__(name, value)

    def __missing__(self, name: str) -> Any:
        return self._weights[name]


class _Run:
    """Hands values over at their moments, and lets go of those that nobody needs any longer.

    Attributes:
        place: of the step that runs.
        delivering: whether the sink has the word.
    """

    def __init__(self, plan: tapping.Plan, values: _Values, sink: Sink | None) -> None:
        self.place = 0
        self.delivering = False
        self._plan, self._values, self._sink = plan, values, sink
        self._counts: dict[str, int] = {}
        self._current: dict[int, int] = {}

    def before(self, place: int) -> None:
        """Hand over what is due before this step."""
        self.place = place
        if 2 * place in self._plan.events:
            self.deliver(self._plan.events[2 * place], self._values)

    def after(self, place: int) -> None:
        """Hand over what is due after this step, and let go."""
        if 2 * place + 1 in self._plan.events:
            self.deliver(self._plan.events[2 * place + 1], self._values)
        for name in self._plan.unneeded.get(place, ()):
            self._values.pop(name, None)

    def inside(self, graph: Graph, values: Values) -> _Inner | None:
        """Who watches one run of a graph that an operator runs."""
        events = self._plan.inside.get(id(graph))
        return None if events is None else _Inner(self, events, values)

    def deliver(self, events: Sequence[tapping.Event], values: Values) -> None:
        """Hand over the values of a moment."""
        if self._sink is None:
            return
        for event in events:
            call = event.call if event.call is not None else self._number(event)
            if event.call is None and self._plan.calls is not None and call not in self._plan.calls:
                continue
            self.delivering = True
            for suffix, array in to_arrays(whole(values[event.value])):
                array.flags.writeable = False  # it may show memory that later operations take
                self._sink(event.layer, call, event.port + suffix, array)
            self.delivering = False

    def _number(self, event: tapping.Event) -> int:
        """Which call of its layer it is, of those that ran so far."""
        if event.opens:
            self._current[event.source] = self._counts.get(event.layer, 0)
            self._counts[event.layer] = self._current[event.source] + 1
        return self._current[event.source]


class _Inner:
    """Watches one run of a graph that an operator runs."""

    def __init__(self, run: _Run, events: Mapping[int, tuple[tapping.Event, ...]], values: Values) -> None:
        self._run, self._events, self._values = run, events, values

    def before(self, place: int) -> None:
        """Hand over what is due before this step."""
        self._run.deliver(self._events.get(2 * place, ()), self._values)

    def after(self, place: int) -> None:
        """Hand over what is due after it."""
        self._run.deliver(self._events.get(2 * place + 1, ()), self._values)
