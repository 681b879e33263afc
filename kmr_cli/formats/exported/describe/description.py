"""From an archive to the record that ``layers`` shows, and to what a session runs by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.common.dynamic_quantization import one_scale
from kmr_cli.formats.common.graph_layers import inputs_of_calls, reaching
from kmr_cli.formats.common.notes import some
from kmr_cli.formats.exported.describe import control, operators, reader
from kmr_cli.formats.exported.describe.archive import Archive
from kmr_cli.formats.exported.describe.calls import ModuleCall
from kmr_cli.formats.exported.describe.damage import DAMAGES, reason
from kmr_cli.formats.exported.describe.interface import BATCH, Interface, interface, spec
from kmr_cli.formats.exported.describe.modules import Flow, flow
from kmr_cli.formats.exported.describe.operators import Operator
from kmr_cli.formats.exported.describe.program import Program, SubGraph
from kmr_cli.formats.exported.describe.sizes import Symbol
from kmr_cli.formats.exported.describe.stored import Stored
from kmr_cli.records import LayerInfo, ModelInfo, TensorSpec

SEPARATOR = "."
_NO_OPERATION = "never called, or nothing is left of it in the program"
_INSIDE = "runs inside a branch or a loop, and has no weights by which its operators could be recognized"
_ASSUMED = 2
_Identity = tuple[object, ...]


@dataclass(frozen=True)
class Description:
    """What the file tells.

    Attributes:
        info: for ``layers``.
        archive: as read.
        program: its program.
        interface: what goes in and out.
        flow: calls of its layers.
    """

    info: ModelInfo
    archive: Archive
    program: Program
    interface: Interface
    flow: Flow


def describe_archive(archive: Archive, format_name: str) -> Description:
    """Everything that the program tells of the model.

    Raises:
        ModelFileError: the program is damaged.
    """
    try:
        program = reader.parse(archive.program)
        outside = interface(program)
        found = flow(program)
    except DAMAGES as exc:
        raise ModelFileError(
            f"{archive.path}: the program {archive.name!r} isn't what torch.export writes: {reason(exc)}",
            "export and save the model again",
        ) from exc
    weights = _Weights(program, archive)
    listed = operators.of(program) if not found.calls and not found.inner else {}
    if listed:
        found = Flow({name: one.calls for name, one in listed.items()}, found.makers, found.order, found.inner)
    shown = dict.fromkeys(outside.batch, BATCH)
    info = ModelInfo(
        path=str(archive.path),
        format=format_name,
        writer=f"torch.export {program.writer}" if program.writer else "torch.export",
        inputs=outside.inputs,
        outputs=tuple(spec(name, program.graph.tensors[value], shown) for name, value in outside.outputs),
        layers=tuple(
            _operators(program, listed, found, weights, shown) or _layers(program, outside, found, weights, shown)
        ),
        parameters=weights.count(""),
        separator=SEPARATOR,
        fixed_batch=outside.fixed,
        batch_range=_batch_range(program, outside),
        notes=tuple(_notes(archive, program, outside)),
        trains=tuple(_in_training(program)),
        training_stays=True,
    )
    return Description(info, archive, program, outside, found)


class _Weights:
    """Counts parameters: each stored tensor once, whatever names it has."""

    def __init__(self, program: Program, archive: Archive) -> None:
        targets = [one.target for one in program.inputs if one.kind == "parameter"]
        sizes = {
            one.target: program.graph.tensors[one.value]
            for one in program.inputs
            if one.kind == "parameter" and one.value is not None and one.value in program.graph.tensors
        }
        trained = {_identity(target, archive.weights.get(target)) for target in targets}
        self._known: dict[str, tuple[_Identity, int, str | None]] = {}
        for name in dict.fromkeys((*targets, *archive.weights)):
            stored = archive.weights.get(name)
            identity = _identity(name, stored)
            if identity not in trained:
                continue
            meta = sizes.get(name)
            if stored is not None and stored.refused is None:
                self._known[name] = (identity, stored.size, stored.dtype)
            elif meta is not None:
                count = 1
                for length in meta.shape:
                    count *= length if isinstance(length, int) else 1
                self._known[name] = (identity, count, meta.dtype)

    def of(self, path: str) -> list[tuple[_Identity, int, str | None]]:
        """(identity, size, dtype) of the parameters of a module and the modules inside it."""
        return [found for name, found in self._known.items() if not path or name.startswith(f"{path}{SEPARATOR}")]

    def count(self, path: str) -> int:
        """Numbers in them."""
        return sum({identity: size for identity, size, _ in self.of(path)}.values())

    def sum(self, names: Iterable[str]) -> int:
        """Numbers in the parameters of these names."""
        return sum({one[0]: one[1] for name in names if (one := self._known.get(name)) is not None}.values())


def _identity(name: str, stored: Stored | None) -> _Identity:
    if stored is None or stored.refused:
        return (name,)
    return stored.inside, stored.member, stored.offset, stored.shape, stored.strides


def _operators(
    program: Program, listed: Mapping[str, Operator], found: Flow, weights: _Weights, shown: Mapping[str, str]
) -> list[LayerInfo]:
    """Where no module is called, the operators are the layers.

    Keras copies weights into constants: whose numbers they are, the file does not say then.
    """
    tells = any(one.weights for one in listed.values())
    return [
        LayerInfo(
            path=name,
            type=one.calls[0].kind,
            inputs=_ports(program, found, name, "in", shown),
            outputs=(outputs := _ports(program, found, name, "out", shown)),
            dtype=outputs[0].dtype,
            parameters=weights.sum(one.weights) if tells else None,
            calls=1,
            mixes=_mixes(program, one.calls),
        )
        for name, one in listed.items()
    ]


def _layers(
    program: Program, outside: Interface, found: Flow, weights: _Weights, shown: Mapping[str, str]
) -> Iterator[LayerInfo]:
    fed = {one.value: one.name for one in outside.fed}
    nodes = program.graph.nodes if len(fed) > 1 and any(len(calls) > 1 for calls in found.calls.values()) else ()
    known = reaching(fed, ((node.uses, node.makes) for node in nodes))
    inside = _weights_of_subgraphs(program)
    for path in _paths(program, found):
        calls, inner = found.calls.get(path, ()), found.inner.get(path, ())
        dtypes = [dtype for _, _, dtype in weights.of(path)]
        untappable = None
        if not calls and not inner:
            nested = any(target.startswith(f"{path}{SEPARATOR}") for target in inside)
            untappable = _INSIDE if nested else _NO_OPERATION
        yield LayerInfo(
            path=path,
            type=calls[0].kind.rpartition(".")[2] if calls else inner[0].kind if inner else "",
            inputs=_ports(program, found, path, "in", shown),
            outputs=_ports(program, found, path, "out", shown),
            dtype=dtypes[0] if dtypes else None,
            parameters=weights.count(path),
            calls=None if inner or untappable == _INSIDE else len(calls),
            untappable=untappable,
            mixes=_mixes(program, calls),
            call_inputs=inputs_of_calls([call.inputs for call in calls], known, list(fed.values())),
        )


_ONE_SCALE = frozenset(
    {"choose_qparams", "choose_qparams_symmetric", "_choose_qparams_per_tensor", "quantize_per_tensor_dynamic"}
)
"""Operators that find one scale for a whole tensor at run time."""


def _mixes(program: Program, calls: tuple[ModuleCall, ...]) -> str | None:
    """Of a layer in which dynamic quantization is at work, by the innermost module around it."""
    for call in calls:
        for node in program.graph.nodes[call.first : call.last + 1]:
            innermost = node.stack[-1].path if node.stack else node.name
            if innermost == call.path and operators.short(node) in _ONE_SCALE:
                return one_scale(operators.short(node))
    return None


def _paths(program: Program, found: Flow) -> list[str]:
    """The modules in the model's order; an operator that runs graphs behind the last module of those around it."""
    paths = list(dict.fromkeys((*program.modules, *found.inner)))
    for path in found.calls:
        if path not in paths:
            around = path.rpartition(SEPARATOR)[0]
            inside = [
                place for place, one in enumerate(paths) if one == around or one.startswith(f"{around}{SEPARATOR}")
            ]
            paths.insert(inside[-1] + 1 if around and inside else len(paths), path)
    return paths


def _ports(program: Program, found: Flow, path: str, side: str, shown: Mapping[str, str]) -> tuple[TensorSpec, ...]:
    """What the file declares of the values of a layer's first call."""
    if path in found.calls:
        call = found.calls[path][0]
        values, tensors = found.port_values(call, side), program.graph.tensors
        if call.first in control.mapped(program.graph):
            return tuple(TensorSpec(f"{side}{port}", None, tensors[value].dtype) for port, value in enumerate(values))
    elif path in found.inner:
        inner = found.inner[path][0]
        values, tensors = tuple(inner.inputs if side == "in" else inner.outputs), inner.graph.tensors
    else:
        return ()
    return tuple(spec(f"{side}{port}", tensors[value], shown) for port, value in enumerate(values))


def _weights_of_subgraphs(program: Program) -> set[str]:
    """Names of the weights that branches and loops take."""
    targets = {one.value: one.target for one in program.inputs if one.kind in ("parameter", "buffer")}
    return {
        targets[name]
        for node in program.graph.nodes
        if any(True for _ in node.graphs)
        for name in node.uses
        if name in targets
    }


def _notes(archive: Archive, program: Program, outside: Interface) -> Iterator[str]:
    if archive.others:
        yield f"program {archive.name}; also in the file: {', '.join(archive.others)} (--signature NAME)"
    yield from _ranges(program, outside)
    for one in outside.fed:
        if one.how == "example":
            yield f"argument {one.name!r} has no batch axis: it is fed with what the program was exported with"
        elif one.how == "number":
            number = program.graph.numbers[one.value]
            yield f"argument {one.name!r} is {number}, as in the export; --constant {one.name}=N gives another number"
    nested = [node.name for node in program.graph.nodes if any(isinstance(one, SubGraph) for one in node.positional)]
    if nested:
        yield "inside of branches and loops only modules with weights of their own can be tapped"
    training = _in_training(program)
    if training:
        yield f"exported in training mode, in which these run: {some(training)}"


def _batch_range(program: Program, outside: Interface) -> tuple[int, int | None]:
    """The least and the largest number of samples that the program was exported for."""
    limits = [program.ranges[symbol] for symbol in outside.batch if symbol in program.ranges]
    least = max((_from(low) for low, _ in limits), default=1)
    return least, min((most for _, most in limits if most is not None), default=None)


def _from(least: int | None) -> int:
    """Sizes of at least 2 are what torch assumes while it exports; it does not hold a run to that."""
    return least if least is not None and least > _ASSUMED else 1


def _ranges(program: Program, outside: Interface) -> Iterator[str]:
    """``batch is 2 to 64``, for every size with a bound that says something."""
    said = set()
    for symbol, (least, most) in program.ranges.items():
        place = "" if symbol in outside.batch else _where(program, outside, symbol)
        if place is None:
            continue  # a size that only shows inside
        name = f"{BATCH if symbol in outside.batch else symbol}{place}"
        from_ = _from(least)
        line = f"{name} is {from_} to {most}" if most is not None else f"{name} is {from_} or more"
        if (most is not None or from_ > 1) and line not in said:
            said.add(line)
            yield line


def _where(program: Program, outside: Interface, symbol: str) -> str | None:
    for one in outside.fed:
        meta = program.graph.tensors.get(one.value)
        for axis, size in enumerate(meta.shape if meta is not None else ()):
            if isinstance(size, Symbol) and size.name == symbol:
                return f" (axis {axis} of {one.name})"
    return None


def _in_training(program: Program) -> list[str]:
    """Layers whose dropout or batch statistics were exported switched on."""
    found: dict[str, None] = {}
    for node in program.graph.nodes:
        operation = operators.short(node)
        place = {"dropout": 2, "dropout_": 2, "batch_norm": 5, "feature_dropout": 2, "alpha_dropout": 2}.get(operation)
        arguments = dict(node.keywords)
        flag = node.positional[place] if place is not None and len(node.positional) > place else None
        if flag is True or arguments.get("train") is True or arguments.get("training") is True:
            found[node.stack[-1].path if node.stack and node.stack[-1].path else node.name] = None
    return list(found)
