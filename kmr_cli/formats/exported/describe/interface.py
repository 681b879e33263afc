"""What an exported program takes and returns: names, shapes, which axis is the batch, and what has none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kmr_cli.formats.exported.describe import limits, sizes, tree
from kmr_cli.formats.exported.describe.limits import UNUSED, Use
from kmr_cli.formats.exported.describe.program import Meta, Program, Ref
from kmr_cli.formats.exported.describe.sizes import Expression, Symbol
from kmr_cli.records import Presumable, TensorSpec

BATCH = "batch"
_USUAL = 12
"""What a size without bounds and without an example is taken to be."""

Feeding = Literal["batch", "example", "number", "unsupported"]


@dataclass(frozen=True)
class Fed:
    """One input of the program.

    Attributes:
        name: as people know it: ``x``, ``options.scale``.
        value: the graph's name for it.
        place: among all leaves of the arguments.
        how: from the batch; with what it was in the export (``example``: it has no batch axis); with a number that
            the file tells; or not at all.
    """

    name: str
    value: str
    place: int
    how: Feeding


@dataclass(frozen=True)
class Interface:
    """The outside of a program.

    Attributes:
        fed: every input, in order.
        inputs: those that take a batch.
        outputs: (name, the graph's name) of every tensor that it returns.
        numbers: the same of every number that it returns and computes.
        batch: the symbols that stand for the number of samples; empty where it is fixed.
        fixed: the only number of samples it takes, or None.
        arguments: structure of the arguments.
    """

    fed: tuple[Fed, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[tuple[str, str], ...]
    numbers: tuple[tuple[str, str], ...]
    batch: frozenset[str]
    fixed: int | None
    arguments: tree.Branch | None


def interface(program: Program) -> Interface:
    """Find out what the program takes and returns."""
    arguments = tree.parse(program.in_spec, program.fields)
    leaves = [one for one in program.inputs if one.kind in ("user", "fixed")]
    placeholders = [one.value or one.target or f"argument_{place}" for place, one in enumerate(leaves)]
    names = tree.input_names(arguments, program.argument_names, placeholders)
    users = [(place, one.value) for place, one in enumerate(leaves) if one.value is not None]
    batch, fixed = _batch(program, [value for _, value in users])
    fed = tuple(Fed(names[place], value, place, _feeding(program, value, batch, fixed)) for place, value in users)
    shown = dict.fromkeys(batch, BATCH)
    uses = limits.uses(program)
    values = _values(program)
    inputs = tuple(
        spec(one.name, program.graph.tensors[one.value], shown, values, uses.get(one.value, UNUSED))
        for one in fed
        if one.how == "batch"
    )
    return Interface(fed, inputs, tuple(_outputs(program)), tuple(_numbers(program)), batch, fixed, arguments)


def spec(
    name: str,
    meta: Meta,
    shown: Mapping[str, str],
    values: Mapping[str, int] | None = None,
    use: Use = UNUSED,
) -> TensorSpec:
    """What the file declares of a tensor.

    Args:
        name: of the spec.
        meta: dtype and sizes.
        shown: names for symbols.
        values: a size for every symbol; where they are given, free sizes beyond the batch get an example.
        use: what its numbers are used for.
    """
    shape = tuple(size if isinstance(size, int) else None for size in meta.shape)
    symbolic = any(not isinstance(size, int) for size in meta.shape)
    words = tuple("?" if size is None else sizes.show(size, shown) for size in meta.shape)
    example: tuple[int | None, ...] | None = None
    if values is not None and None in shape[1:]:
        example = (None, *(_number(size, values) for size in meta.shape[1:]))
    presumed: tuple[Presumable, ...] = ("limit",) if use.partial and use.rows is not None else ()
    return TensorSpec(
        name, shape, meta.dtype, use.rows, presumed=presumed, symbols=words if symbolic else (), example=example,
        whole=use.whole,
    )  # fmt: skip


def _number(size: Expression | None, values: Mapping[str, int]) -> int | None:
    return None if size is None else sizes.evaluate(size, values)


def _batch(program: Program, users: Sequence[str]) -> tuple[frozenset[str], int | None]:
    """The symbols on axis 0 of the inputs or, without any, the number that the first one has there."""
    firsts = [meta.shape[0] for value in users if (meta := program.graph.tensors.get(value)) is not None and meta.shape]
    symbols = frozenset(first.name for first in firsts if isinstance(first, Symbol))
    return symbols, None if symbols else next((first for first in firsts if isinstance(first, int)), None)


def _feeding(program: Program, value: str, batch: frozenset[str], fixed: int | None) -> Feeding:
    meta = program.graph.tensors.get(value)
    if meta is None:
        return "number" if program.graph.numbers.get(value) is not None else "unsupported"
    if not meta.shape:
        return "example"
    first = meta.shape[0]
    if isinstance(first, Symbol) and first.name in batch:
        return "batch"
    if isinstance(first, int):
        return "batch" if first == fixed else "example"
    return "unsupported"  # 2*batch rows, say: no slice of it belongs to one sample


def _values(program: Program) -> dict[str, int]:
    """A size for every symbol that its range allows: the one it was exported with where the file tells it."""
    found = {}
    for symbol, (least, most) in program.ranges.items():
        size = program.hints.get(symbol, _USUAL)
        found[symbol] = max(size if most is None else min(size, most), least or 0)
    return {**program.hints, **found}


def _outputs(program: Program) -> Iterator[tuple[str, str]]:
    results = [one.value for one in program.outputs if one.kind == "user"]
    tensors = [isinstance(value, Ref) and value.name in program.graph.tensors for value in results]
    names = tree.output_names(tree.parse(program.out_spec, program.fields), tensors)
    for name, value in zip(names, results, strict=True):
        if name is not None and isinstance(value, Ref):
            yield name, value.name


def _numbers(program: Program) -> Iterator[tuple[str, str]]:
    results = [one.value for one in program.outputs if one.kind == "user"]
    names = tree.plain_names(tree.parse(program.out_spec, program.fields), len(results))
    for name, value in zip(names, results, strict=True):
        if isinstance(value, Ref) and value.name not in program.graph.tensors:
            yield name, value.name
