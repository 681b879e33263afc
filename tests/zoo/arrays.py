"""Models made of plain NumPy functions: what the proof must find out, with no framework in the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from kmr_cli.errors import ModelRunError
from kmr_cli.formats.interface import Sink, Taps
from kmr_cli.records import Batch, LayerInfo, Report, TensorSpec

Step = tuple[str, Callable[[np.ndarray], np.ndarray]]


class Stop(Exception):  # noqa: N818
    """Ends a pass after the last wanted value."""


class ArraySession:
    """A chain of named functions as a Session. ``passes`` counts forward passes."""

    def __init__(
        self,
        steps: Sequence[Step],
        shape: tuple[int | None, ...] = (None, 3),
        dtype: str = "float64",
        limit: int | None = None,
    ) -> None:
        self.steps = list(steps)
        self.passes = 0
        self._inputs = (TensorSpec("x", shape, dtype, limit),)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._inputs

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        return tuple(LayerInfo(name, "Function") for name in dict.fromkeys(name for name, _ in self.steps))

    def capture(
        self, batch: Batch, taps: Taps, sink: Sink | None = None, *, stop: bool = False
    ) -> Mapping[str, np.ndarray] | None:
        self.passes += 1
        value, calls = np.array(batch["x"]), {}
        for name, function in self.steps:
            call = calls.setdefault(name, 0)
            calls[name] += 1
            wanted = name in taps.layers and (taps.calls is None or call in taps.calls) and sink is not None
            if wanted and "in" in taps.sides:
                sink(name, call, "in0", value)
            try:
                with np.errstate(all="ignore"):  # as frameworks: Inf and NaN aren't warnings
                    value = function(value)
            except ValueError as exc:
                raise ModelRunError(f"{name}: {exc}") from exc
            if wanted and "out" in taps.sides:
                sink(name, call, "out0", value)
        return None if stop else {"y": value}

    def close(self) -> None:
        self.steps = []


class HeadsSession(ArraySession):
    """The same with several outputs, each a named function of the last value."""

    def __init__(
        self,
        steps: Sequence[Step],
        heads: Mapping[str, Callable[[np.ndarray], np.ndarray]],
        shape: tuple[int | None, ...] = (None, 3),
        dtype: str = "float64",
    ) -> None:
        super().__init__(steps, shape, dtype)
        self.heads = heads

    def capture(
        self, batch: Batch, taps: Taps, sink: Sink | None = None, *, stop: bool = False
    ) -> Mapping[str, np.ndarray] | None:
        found = super().capture(batch, taps, sink, stop=stop)
        with np.errstate(all="ignore"):
            return None if found is None else {name: np.asarray(head(found["y"])) for name, head in self.heads.items()}


class Graph(ArraySession):
    """The same where each function takes the results of others, or the input ``x``, by name; the last is returned."""

    def __init__(
        self, nodes: Mapping[str, tuple[Callable[..., np.ndarray], Sequence[str]]], shape: tuple[int | None, ...]
    ) -> None:
        super().__init__([(name, function) for name, (function, _) in nodes.items()], shape)
        self.nodes = nodes

    def capture(
        self, batch: Batch, taps: Taps, sink: Sink | None = None, *, stop: bool = False
    ) -> Mapping[str, np.ndarray]:
        self.passes += 1
        values = {"x": np.array(batch["x"])}
        for name, (function, reads) in self.nodes.items():
            wanted = sink if name in taps.layers else None
            for number, one in enumerate(reads):
                if wanted is not None:
                    wanted(name, 0, f"in{number}", values[one])
            with np.errstate(all="ignore"):
                values[name] = np.asarray(function(*(values[one] for one in reads)))
            if wanted is not None:
                wanted(name, 0, "out0", values[name])
        return {"y": values[name]}


class Named:
    """One layer, ``pool``, over several named inputs, as a Session. ``passes`` counts forward passes."""

    def __init__(self, function: Callable[..., np.ndarray], *inputs: TensorSpec) -> None:
        self.function, self.inputs, self.passes = function, inputs, 0
        self.layers = (LayerInfo("pool", "Function"),)

    def capture(
        self, batch: Batch, taps: Taps, sink: Sink | None = None, *, stop: bool = False
    ) -> Mapping[str, np.ndarray]:
        self.passes += 1
        with np.errstate(all="ignore"):
            result = self.function(**{spec.name: batch[spec.name] for spec in self.inputs})
        if sink is not None and taps.layers:
            for number, spec in enumerate(self.inputs):
                sink("pool", 0, f"in{number}", batch[spec.name])
            sink("pool", 0, "out0", result)
        return {"y": result}

    def close(self) -> None:
        pass


OWNED = {"separated", "merged", "moved"}


def unowned(report: Report, allowed: tuple[str, ...] = ()) -> list[str]:
    """Outputs of a report that passes which are neither owned, nor allowed, nor mixed in their last bits alone."""
    if report.verdict != "pass" or any(finding.allowed for finding in report.findings if finding.layer):
        return []
    rounded = any(finding.rule == "KMR303" for finding in report.findings)
    return [
        tap.port
        for tap in report.taps
        if not tap.layer and tap.port not in allowed and tap.index.kind not in OWNED
        and not (rounded and tap.index.kind == "mixed" and tap.index.max_ulp)
    ]  # fmt: skip
