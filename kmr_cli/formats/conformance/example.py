"""One model of a format, and a session that all rules share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kmr_cli.formats.conformance.compare import Values, demand
from kmr_cli.formats.interface import Format, OpenOptions, Session, Taps
from kmr_cli.formats.live import describe_live
from kmr_cli.records import Batch, ModelInfo

SIDES = ("in", "out")


@dataclass(frozen=True)
class Example:
    """One model of a format, and what is known of it.

    Attributes:
        name: for the names of tests.
        format: the module, or whatever fulfils :class:`kmr_cli.formats.interface.Format`.
        path: the file; None for a live model.
        batch: one array per input, two samples or more along axis 0.
        bare: the outputs for a batch, in order, from the framework's own call (``model(x)``); None where there is
            nothing to compare with.
        live: an object that the format adopts, instead of a file.
        options: how to open it.
        ports: layer -> every port of its first call, for layers of which something is known: one that is called with
            None for its second argument has ``in0``, ``in2`` and ``out0``.
        bare_tolerance: how far outputs may be from the bare model's, relative to the largest; 0 for bit for bit. For
            formats whose session turns off what the framework fuses, and says so.
        taps_tolerance: the same for values of passes that observe different things.
    """

    name: str
    format: Format
    path: Path | None
    batch: Batch
    bare: Callable[[Batch], Sequence[np.ndarray]] | None = None
    live: Any = None
    options: OpenOptions = field(default_factory=OpenOptions)
    ports: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bare_tolerance: float = 0.0
    taps_tolerance: float = 0.0

    def __str__(self) -> str:
        return self.name

    def session(self) -> Session:
        """A session of its own."""
        if self.path is not None:
            return self.format.open(self.path, self.options)
        session = self.format.adopt(self.live, training=self.options.training)
        demand(session is not None, "adopt returns None for this live model")
        assert session is not None
        return session


class Opened:
    """An example with a session that all rules share, and its first pass with every tap."""

    def __init__(self, example: Example) -> None:
        self.example = example
        self.given = {name: np.array(rows) for name, rows in example.batch.items()}
        self.session = example.session()

    @cached_property
    def info(self) -> ModelInfo:
        """What the format tells without running anything."""
        if self.example.path is not None:
            return self.example.format.describe(self.example.path, self.example.options)
        return describe_live(self.example.format, self.session)

    @cached_property
    def everything(self) -> Taps:
        """Every layer that can be tapped, in and out."""
        return Taps(tuple(layer.path for layer in self.info.layers if not layer.untappable), None, SIDES)

    @cached_property
    def whole(self) -> tuple[Values, dict[str, np.ndarray]]:
        """Values and outputs of the first pass."""
        return self.run(self.everything)

    def run(
        self, taps: Taps, *, session: Session | None = None, batch: Batch | None = None
    ) -> tuple[Values, dict[str, np.ndarray]]:
        """Values in the order in which they came, and the outputs."""
        values, outputs = self.capture(taps, session=session, batch=batch)
        demand(outputs is not None, "a pass that was not to stop returned None instead of the outputs")
        assert outputs is not None
        return values, {name: np.array(value) for name, value in outputs.items()}

    def capture(
        self, taps: Taps, *, session: Session | None = None, batch: Batch | None = None, stop: bool = False
    ) -> tuple[Values, Mapping[str, np.ndarray] | None]:
        """The same for a pass that may stop early."""
        values: Values = {}

        def keep(layer: str, call: int, port: str, array: np.ndarray) -> None:
            demand(isinstance(array, np.ndarray), f"the sink got {type(array).__name__}, not an array")
            demand((layer, call, port) not in values, f"{layer} call {call} {port} came twice")
            values[layer, call, port] = np.array(array)

        outputs = (session or self.session).capture(batch or self.example.batch, taps, keep, stop=stop)
        return values, outputs

    @contextmanager
    def another(self) -> Iterator[Session]:
        """A second session on the same model."""
        session = self.example.session()
        try:
            yield session
        finally:
            session.close()


@contextmanager
def opened(example: Example) -> Iterator[Opened]:
    """The example with an open session, which is closed at the end."""
    found = Opened(example)
    try:
        yield found
    finally:
        found.session.close()
