"""The protocols that every format fulfils, and the values that go in and out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from kmr_cli.errors import KmrError, ModelFileError

if TYPE_CHECKING:
    import numpy as np

    from kmr_cli.formats.common.alone import Alone
    from kmr_cli.formats.common.comparands import Comparands
    from kmr_cli.proof.graph import Graph
    from kmr_cli.records import Batch, Hazard, LayerInfo, ModelInfo, TensorSpec

Sink: TypeAlias = "Callable[[str, int, str, np.ndarray], None]"
"""``sink(layer, call, port, array)``. The array may be a view of memory that the framework writes to again
as soon as the sink returns: a sink copies what it keeps. Where it is such a view it is read-only."""


def ignored(layer: str, call: int, port: str, array: np.ndarray) -> None:
    """A sink for passes whose taps nobody looks at, but which must run as those do whose taps somebody does.

    A format may leave it uncalled.
    """


@dataclass(frozen=True)
class OpenOptions:
    """How to open a model.

    Attributes:
        imports: modules to import first, so that the custom layers they register are known.
        signature: the signature to run; None for the only one or the usual one. For formats that take this option.
        tags: the tag set of the part to open; None for the only one or the usual one. For formats that take this
            option.
        training: run the model in training mode; the session is a :class:`TrainingSession` then.
        method: the method to run; None for the usual one. For formats that take this option.
        constants: name and value of arguments that are the same for the whole batch and hold no samples: a number, a
            truth value, text, or a tuple of these. For formats that take this option.
        custom: classes and functions by the name that the file has for them: ``module:name``, or the thing itself where
            the model is run in this process. For formats that take this option.
        given: inputs that the batch holds, of those that the model runs without (:attr:`ModelInfo.optional`).
        trust: the user vouches for the file: code that stands in it may run.
    """

    imports: tuple[str, ...] = ()
    signature: str | None = None
    tags: tuple[str, ...] | None = None
    training: bool = False
    method: str | None = None
    constants: tuple[tuple[str, Any], ...] | None = None
    custom: tuple[tuple[str, Any], ...] | None = None
    given: tuple[str, ...] = ()
    trust: bool = False

    def trusting(self, also: bool | None) -> OpenOptions:
        """The same, and trusted where it is so anyway or by what is said elsewhere."""
        return replace(self, trust=True) if also else self


@dataclass(frozen=True)
class ClassRequest:
    """A layer class under development, and how to build it.

    Attributes:
        target: ``PKG.MOD:CLASS``, for messages.
        kind: the class.
        arguments: of its constructor.
        inputs: shape (with the batch as None) and dtype of every argument of its ``call`` or ``forward``; the first
            may have the name ``""``.
        training: the sessions run it in training mode.
    """

    target: str
    kind: type
    arguments: Mapping[str, Any]
    inputs: tuple[TensorSpec, ...]
    training: bool = False


@dataclass(frozen=True)
class Taps:
    """What to observe in one forward pass.

    Attributes:
        layers: exact paths.
        calls: only these calls of each layer, counted from 0; None for every call.
        sides: ``in``, ``out`` or both.
    """

    layers: tuple[str, ...]
    calls: tuple[int, ...] | None = None
    sides: tuple[str, ...] = ("in", "out")


@runtime_checkable
class Session(Protocol):
    """A loaded model. Lives in one process, is used by one thread, and never leaves the adapter's side."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What the model wants, in its order."""

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """Every layer that can be tapped, those included that only the loaded model shows (may build the model).

        A path that ``describe`` lists is in here under the same name.
        """

    def capture(
        self, batch: Batch, taps: Taps, sink: Sink | None = None, *, stop: bool = False
    ) -> Mapping[str, np.ndarray] | None:
        """Run one forward pass, as the framework's own call unless opened for training; hand taps to ``sink``.

        Ports are ``in0, in1, …`` and ``out0, out1, …``: nested structures flattened in order, None left out
        without shifting the others. A tensor that NumPy cannot hold as one array comes in parts: sparse as
        ``out0.indices, out0.values, out0.shape``; ragged as ``out0.values, out0.row_splits`` (``row_splits1``
        for the next inner level …); quantized as ``out0.int_repr, out0.scale, out0.zero_point``. bfloat16 and
        float8 arrive as ``ml_dtypes``, text as an object array of ``bytes``.

        Guarantees, held by the conformance tests: outputs equal the bare model's bit for bit; nothing stays
        instrumented afterwards, whatever was raised; identity (path and call) is the same in every load and
        process; inputs are fed as fresh 64-byte-aligned copies, so the caller's arrays are never written to.

        Args:
            batch: one array per input of :attr:`inputs`, samples along axis 0. Names and dtypes fit already.
            taps: what to observe. Several calls of a layer come in the order they ran.
            sink: receives the values; what it raises ends the pass and reaches the caller unchanged.
            stop: run nothing after the last tapped value (as early as the format can tell), return None.

        Returns:
            The model's outputs by name (``out0, out1, …`` where it has none for them), in order, or None if ``stop``;
            of a ragged or sparse one with a row a sample the rows, as a list would be: ``y.0, y.1, …``.

        Raises:
            LayerError: a tap names a layer that the model does not have or that cannot be tapped.
            ModelRunError: the framework failed.
        """

    def close(self) -> None:
        """Free the model. The session is unusable afterwards."""


@runtime_checkable
class PaddingSession(Session, Protocol):
    """A session that can reach what the model's own layers put into masked steps, which no input can."""

    def other_padding(
        self, where: Mapping[int, np.ndarray], seed: int, inputs: Mapping[str, float] | None = None
    ) -> AbstractContextManager[None] | None:
        """While it is open, passes find other values in masked steps, from the layers on that mask them.

        Args:
            where: number of steps -> booleans ``(samples, steps)``: only there, and only where the layer masks.
            seed: of the values.
            inputs: that are padded there -> with what, for formats whose files do not tell which layers mask.

        Returns:
            None where the loaded model does not allow it.
        """


@runtime_checkable
class ResizableSession(Session, Protocol):
    """A session that can feed its model other sizes than the file declares: more steps, say."""

    def any_size(self) -> AbstractContextManager[None] | None:
        """While it is open, passes take inputs of any size along every axis; the model itself may still refuse them.

        Returns:
            None where the loaded model does not allow it.
        """


@runtime_checkable
class ListingSession(Session, Protocol):
    """A session whose model may return lists with one element a sample, as detectors do."""

    @property
    def listed(self) -> Mapping[str, int]:
        """Of the last pass: output -> number of the sample whose element of a list it is in, if each has one."""


@runtime_checkable
class RemarkingSession(Session, Protocol):
    """A session that learns in its passes how else the model may be run, with other values."""

    @property
    def unseen(self) -> tuple[str, ...]:
        """The same as :attr:`kmr_cli.records.ModelInfo.unseen`, as far as only passes show it."""


@runtime_checkable
class ProbingSession(Session, Protocol):
    """A session that can run single operators of the graph that its format hands to the proof."""

    def alone(self, operators: Sequence[str], batch: Batch) -> Mapping[str, Alone]:
        """Those of these operators that can be run by themselves, by name; one pass notes what they are given.

        Raises:
            ModelRunError: the pass failed.
        """


@runtime_checkable
class ComparingSession(Session, Protocol):
    """A session that can tell with which numbers its model may compare what it is given."""

    def comparands(self) -> Comparands:
        """Those that its graph or code holds."""


@runtime_checkable
class OperatorsSession(Session, Protocol):
    """A session that can tell the operators of every layer, also where no graph of the whole model can be had."""

    def operators(self) -> Mapping[str, Collection[str]]:
        """Path of a layer -> names of the operators in its own code, without those of the layers inside it."""


class State(Protocol):
    """All that a model keeps from one pass for the next, as it was at one moment.

    Random numbers aren't part of it: what is drawn shall show as such.
    """

    def changed(self) -> bool:
        """Whether passes have left something else since; True also where only a run could tell."""

    def restore(self) -> None:
        """Put it back. Costs next to nothing where nothing has changed."""


@runtime_checkable
class KeepingSession(Session, Protocol):
    """A session that can put back what a pass leaves for the next one: buffers, counters, caches, tables.

    Attributes:
        start: what every pass to come begins with; None for what the pass before it left, as in the model itself.
    """

    start: State | None

    def state(self) -> State:
        """What the model keeps at present; as the file holds it, where a format can only load that again."""


@dataclass
class TrainingMode:
    """How the passes to come run a model in training mode; may be changed between passes.

    Attributes:
        noise: seed of all that the framework draws at random in a pass (dropout): every pass draws the same again.
        held: layers that normalise over the batch run in inference mode, and all others in training mode.
        normalizers: paths of the layers that normalise over the batch in training mode and use moving statistics in
            inference; known after the first pass.
    """

    noise: int = 0
    held: bool = False
    normalizers: tuple[str, ...] = ()


@runtime_checkable
class TrainingSession(Session, Protocol):
    """A session that can run its model in training mode.

    Every such pass starts with the variables that were loaded (moving statistics, say) and with the same random
    numbers, and leaves both as they were: passes can be compared bit for bit, and the model is not changed.
    """

    @property
    def training(self) -> TrainingMode | None:
        """None where the session was opened for inference."""


@runtime_checkable
class TwoWaySession(Session, Protocol):
    """A session on a model that its framework may run in two ways which give other values.

    Attributes:
        way: the one of :attr:`ways` that the passes to come take; at first the first.
    """

    way: str

    @property
    def ways(self) -> tuple[str, ...]:
        """As users know them, ``model(x)`` and ``predict``; none where they are the same for this model."""


@runtime_checkable
class TracedSession(Session, Protocol):
    """A session whose framework traces the graph of a model that its file does not hold."""

    def graph(self) -> Graph:
        """The model as a graph of operators, with the number of samples left open.

        Raises:
            ModelLoadError: the framework cannot trace it.
        """


@runtime_checkable
class ExportableSession(Session, Protocol):
    """A session on a model whose graph is known only where it is run or exported with data of some shape.

    Attributes:
        cheap: whether that takes about as long as a pass, so that every check does it.
    """

    cheap: bool

    def graph_for(self, batch: Batch) -> Graph:
        """The model as a graph of operators, with the number of samples left open, for inputs of such shapes.

        Raises:
            ModelLoadError: the framework cannot export it, and why.
        """


RECORDED_SIZES = (5, 7, 11)
"""Batch sizes of recorded passes: an even growth between two of them is held against the third."""


@runtime_checkable
class RecordingSession(Session, Protocol):
    """A session that can write down the operators that run, whatever decides that these run and no others."""

    def record(self, batch: Batch) -> Graph:
        """The path of batches of :data:`RECORDED_SIZES`, with other samples each, as a graph.

        What it proves holds for that path at those sizes: another may run elsewhere.

        Raises:
            ModelLoadError: not the same runs on all of them, or what runs depends on what the samples hold.
        """


def training_mode(session: Session) -> TrainingMode | None:
    """How a session trains, None where it infers."""
    return session.training if isinstance(session, TrainingSession) else None


class Format(Protocol):
    """What a format's module provides at its top level: facts, and four functions.

    The module is imported to read its facts alone, also by programs that open nothing: it imports what reads files
    and what runs models inside its functions.

    A format may provide more. What it leaves out stands in :class:`OptionalParts`; a format without any of that is
    complete.
    """

    NAME: str
    """The word used in reports and in the table of formats: ``keras``."""
    TITLE: str
    """For people, as a heading: ``Keras archive``."""
    FILE: str
    """For people, in a sentence, with its article: ``a .keras file``."""
    EXTRA: str
    """The pip extra of kmr-inspect that brings its framework; empty where it needs none."""
    SEPARATOR: str
    """What joins the parts of a layer's path."""
    PROGRAMS: tuple[str, ...]
    """Distributions whose versions may change what a model computes; those that are installed are written down."""
    FRAMEWORKS: tuple[str, ...]
    """Modules after whose import a process must not be forked any more: they start threads."""
    FREE_DIMS: bool
    """Whether None beyond axis 0 of an input means any size (else: that the file does not say)."""
    OPTIONS: frozenset[str]
    """Those of ``signature``, ``tags``, ``method`` and ``constants`` that it takes; the others are refused before it is
    asked for anything."""

    def matches(self, path: Path) -> bool:
        """Whether the content of this existing file or directory looks like this format. Cheap; raises nothing."""

    def describe(self, path: Path, options: OpenOptions) -> ModelInfo:
        """Read the file's own description. Imports no framework, reads no weight values.

        Raises:
            ModelFileError: the file is damaged; the message says how.
        """

    def open(self, path: Path, options: OpenOptions) -> Session:
        """Import the framework and load the model, or as much of it as can be loaded before the taps are known.

        Raises:
            MissingFrameworkError, ModelFileError, ModelLoadError.
            ModelLoadError: training mode is asked for, and was left behind when the file was written.
        """

    def adopt(self, model: Any, *, training: bool = False) -> Session | None:
        """A session on a live object of this format's framework, or None if it is something else.

        Consults frameworks that are loaded already (``sys.modules``); imports none.
        """


REQUIRED = tuple(name for name in (*Format.__annotations__, *vars(Format)) if not name.startswith("_"))
"""The facts and functions that every format has."""


class OptionalParts(Protocol):
    """What a format may also provide at its top level. :func:`optional` tells whether it does."""

    FAMILY: str
    """Formats of one family give the same paths to the same layers; the default is the format's own name."""
    SEPARATORS: tuple[str, ...]
    """All that join paths, where that is for a file to say; the default is ``SEPARATOR`` alone."""
    SORTED_OUTPUTS: bool
    """Whether outputs come sorted by name as text, ``output_10`` before ``output_2``; the default is False."""
    NUMBERED_NODES: bool
    """Whether viewers of graphs number the nodes of such a file in place of their names; the default is False."""
    CHANNELS_FIRST: bool
    """Whether images have their channels first, unless the file declares it; the default is False."""
    WITHOUT_INPUTS: str
    """What to do, for people, about a file that does not tell what its model takes."""
    LIVE: str
    """For people, what ``adopt`` takes, with its article: ``a keras.Model``."""
    LAYER_CLASS: str
    """For people, the base class of layers under development, with its article: ``a keras.Layer``."""

    TRACED: bool
    """Whether ``graph`` has the framework trace the model, as its file holds no graph; the default is False."""

    EXPORTED: bool
    """Whether a session writes down the graph of a file for inputs of some shape (:class:`ExportableSession`); the
    default is False."""

    def refuse_live(self, model: Any) -> KmrError | None:
        """What to do about a live object of this framework that ``adopt`` does not take; None for anything else."""

    def explain(self, path: Path) -> ModelFileError | None:
        """What an existing path is that no format can open, if it stems from this format's world: weights alone, say.

        Reads a few bytes, imports no framework.
        """

    def is_layer_class(self, kind: type) -> bool:
        """Whether a class is a layer of this format's framework. Imports nothing."""

    def from_class(self, request: ClassRequest) -> Callable[[], Session]:
        """Build such a class into the smallest model that holds it.

        Returns:
            What opens a session: every time afresh, with the same weights.

        Raises:
            LayerError: the inputs do not fit the class.
            ModelLoadError: building it failed, or it has no training mode.
        """

    def graph(self, path: Path, options: OpenOptions) -> Graph:
        """The model as a graph of operators, for the structural proof (:mod:`kmr_cli.proof`).

        Imports no framework where the file holds such a graph; otherwise the framework traces it
        (:class:`TracedSession`).

        Raises:
            ModelFileError: the file is damaged.
            ModelLoadError, MissingFrameworkError: where the framework traces it.
        """

    def beside(self, path: Path) -> tuple[str, ...]:
        """Files beside the model's own that belong to it, named from there.

        Raises:
            ModelFileError: the file is damaged.
        """

    def backend(self) -> str | None:
        """Which of several frameworks runs a model here, by the name it is imported by; None where none can.

        Imports none of them.
        """

    SCANNED: tuple[str, ...]
    """For people: the parts of a file that ``scan`` looks at."""

    def scan(self, path: Path) -> Iterable[Hazard]:
        """What in the file could run code, touch other files, reach the network or exhaust memory, were it loaded.

        Reads the file's bytes; imports no framework, and nothing that the file names.

        Raises:
            ModelFileError: the file is damaged.
        """


def optional(format_: Any, name: str) -> Any:
    """A part that a format may leave out (see :class:`OptionalParts`), or None."""
    return getattr(format_, name, None)
