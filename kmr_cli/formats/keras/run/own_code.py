"""Code that reads the batch size, which is None in a trace that leaves it open, and a number in a pass.

A model's own code may take another path then. Keras' code does so in one place: it takes a column with a number for
each sample for a bias.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from kmr_cli.formats.keras.run.libraries import foreign
from kmr_cli.formats.keras.run.paths import Places
from kmr_cli.proof.graph import Graph, references
from kmr_cli.proof.owners import Free, Unknown
from kmr_cli.proof.verdict import prove
from kmr_cli.records.proof import UNMIXED

SIZES = (1, 8, 1009)
"""Batch sizes at which such code is looked at again: a single sample, a small batch, and a large one that no other axis
is likely to equal."""
_LAYOUT = frozenset(f"tensorflow.{op}" for op in ("Transpose", "Reshape", "Squeeze", "ExpandDims", "Identity"))
_ALIKE = {
    "tensorflow.BiasAdd": "tensorflow.AddV2",
    **{f"tensorflow.{op}": "product" for op in ("Einsum", "MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")},
}
"""What Keras chooses between by how much it knows of a shape."""
_RUNS_OTHERS = frozenset({"Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer"})


def has_own_code(model: Any, places: Places) -> bool:
    """Whether a class or function that isn't part of the libraries takes part in a model, as far as its layers tell."""
    return any(_runs_own(layer) for layer in (model, *(place.layer for place in places.places)))


def _runs_own(layer: Any) -> bool:
    kind = type(layer)
    return kind.__name__ in _RUNS_OTHERS or any(map(foreign, (kind, *_callables(vars(layer).values()))))


def _callables(values: Iterable[Any]) -> Iterable[Any]:
    return (value for value in values if callable(value))


def same_way(free: Graph, fixed: Graph) -> bool:
    """Whether the same is done to samples with the batch size left open, and at one that is known.

    Shape arithmetic differs by nature, and Keras spares axes that need not be moved. What is computed does not. Where
    nothing is claimed of what comes out, as behind a sort of the samples, less may be done at a known size, not more.
    """
    lost = _proven(free) - _proven(fixed) if fixed.batch != 1 else set()  # of one sample nothing is claimed
    ranks, known = _ranks(free), _ranks(fixed)
    alike = len(ranks) == len(known) and all(one in (None, other) for one, other in zip(ranks, known, strict=True))
    always, done = _done(free, claimed=True), _done(fixed)
    return not lost and alike and always <= done <= _done(free)


def what_is_done(graph: Graph) -> tuple[Any, ...]:
    """To samples, at one batch size: how often each operator, and whether they stay apart. Equal at sizes of a kind."""
    return _ranks(graph), _done(graph), [(claim.output, claim.answer) for claim in prove(graph).claims]


def taken_for_a_bias(graph: Graph) -> list[int]:
    """The batch sizes at which Keras may take the second operand of a sum for a bias: ``(B, 1)`` beside ``(B, 4)``.

    ``keras.ops.add`` calls ``bias_add`` where what it adds has one axis that isn't 1, as long as the channels. Where
    that axis is the batch's, a trace doesn't know its length; in a pass the samples' numbers are added to features.
    """
    found = set()
    for operator in graph.operators:
        if operator.kind in ("tensorflow.AddV2", "tensorflow.Add") and len(operator.reads) == 2:
            shapes = [graph.values[name].shape if name in graph.values else None for name in operator.reads]
            first, second = shapes
            if first is not None and second is not None and len(first) > 1:
                open_axes = [size for size in second if size != 1]
                if len(open_axes) == 1 and not isinstance(open_axes[0], int):
                    found |= {size for size in (first[1], first[-1]) if isinstance(size, int) and size > 1}
    return sorted(found)


def _proven(graph: Graph) -> set[str]:
    return {claim.output for claim in prove(graph).claims if claim.answer in UNMIXED}


def _ranks(graph: Graph) -> list[int | None]:
    """Numbers of axes of the outputs."""
    shapes = [graph.values[name].shape for _, argument in graph.outputs for name in references(argument)]
    return [None if shape is None else len(shape) for shape in shapes]


def _done(graph: Graph, *, claimed: bool = False) -> Counter[str]:
    """How often each kind of operator is applied to what holds samples.

    ``claimed``: only where it is known whose the result is, or that samples meet in it.
    """
    made = prove(graph).owners.made
    left_out = (Free, Unknown) if claimed else Free
    return Counter(
        _ALIKE.get(operator.kind, operator.kind)
        for operator in graph.operators
        if operator.kind not in _LAYOUT
        and any(name is not None and not isinstance(made.get(name), left_out) for name in operator.outputs)
    )
