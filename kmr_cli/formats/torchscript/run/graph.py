"""The graph of a TorchScript module: its code, followed node by node with the number of samples left open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from kmr_cli.errors import BatchError, ModelLoadError
from kmr_cli.formats.torchscript.describe.description import Description
from kmr_cli.formats.torchscript.describe.signature import build, leaves
from kmr_cli.formats.torchscript.run.calls import CallStack
from kmr_cli.formats.torchscript.run.failures import meaningful_line
from kmr_cli.formats.torchscript.run.instrument import Loaded
from kmr_cli.formats.torchscript.run.interpreted import Interpreter, Module
from kmr_cli.formats.torchscript.run.lockstep import ROWS, NotFollowedError, Tensor, from_samples
from kmr_cli.formats.torchscript.run.outputs import flat_tensors, name_tensors
from kmr_cli.formats.torchscript.run.recording import Recording
from kmr_cli.formats.torchscript.run.survey import SIZES, Survey, surveying
from kmr_cli.proof.graph import Argument, Graph, Operator, Ref, shape_of_samples
from kmr_cli.proof.sizes import BATCH
from kmr_cli.proof.verdict import prove

_HINT = "check it with passes (check-batch-axis), or export the model with torch.export and prove the .pt2 file"
_Named: TypeAlias = "list[tuple[str, Any]]"
_LAST_BITS = 1e-5
"""Of the largest value."""


def graph_of(
    loaded: Loaded, described: Description, tensors: Mapping[str, Any], same_for_all: Mapping[str, Any]
) -> Graph:
    """The operators of a module, with the number of samples left open.

    The code that was followed must give the module's own values on some samples of this batch, up to last bits.

    Args:
        loaded: with our operators in its graphs.
        described: what it takes.
        tensors: by input name, samples along axis 0.
        same_for_all: the inputs that hold no samples.

    Raises:
        BatchError: an input has no axis for samples.
        ModelLoadError: its code cannot be followed, or does something else at another number of samples.
    """
    import torch

    name = described.info.path
    if any(one.kind == "each" for one in leaves(described.arguments)):
        raise ModelLoadError(f"{name}: its code takes a list of as many tensors as there are samples", _HINT)
    if loaded.takes_gradients:
        raise ModelLoadError(f"{name}: its code takes gradients (torch.autograd.grad), which aren't followed", _HINT)
    rows = {input_: _some(name, tensor) for input_, tensor in tensors.items()}
    method = getattr(loaded.module, described.method)
    with torch.no_grad(), torch.jit.optimized_execution(False):
        try:
            given = {key: one.clone() for key, one in rows.items()} | dict(same_for_all)
            theirs = list(name_tensors(method(*_arguments(described, given, method))))
            return _from_one_on(loaded, described, rows, same_for_all, theirs)
        except NotFollowedError as exc:
            raise ModelLoadError(f"{name}: its code can't be followed: {exc}", _HINT) from exc
        except Exception as exc:
            raise ModelLoadError(f"{name}: its code can't be followed: {meaningful_line(exc)}", _HINT) from exc


def _from_one_on(
    loaded: Loaded, described: Description, rows: dict[str, Any], same_for_all: Mapping[str, Any], theirs: _Named
) -> Graph:
    """The graph for batches of any size; where one sample alone is treated otherwise, for those of two and more.

    Raises:
        NotFollowedError: the code does something else at another number of samples, above one.
    """
    with suppress(Exception):  # whatever one sample alone is refused for, two need not be
        made = _followed(loaded, described, rows, same_for_all, theirs, least=1)
        if prove(made).proven:
            return made
    return _followed(loaded, described, rows, same_for_all, theirs, least=ROWS)


def _followed(
    loaded: Loaded,
    described: Description,
    rows: dict[str, Any],
    same_for_all: Mapping[str, Any],
    theirs: _Named,
    *,
    least: int,
) -> Graph:
    """The graph for batches of ``least`` samples and more, whose values are those that the module itself gave."""
    stack = _Taps(loaded.modules_by_identity(), described)
    with from_samples(least):
        recording = Recording()
        mine = _interpreted(loaded, described, rows, same_for_all, recording, stack)
    found = list(flat_tensors(mine, Tensor))
    if len(theirs) != len(found) or not all(
        _equal(one.lanes[0], other) for one, (_, other) in zip(found, theirs, strict=True)
    ):
        raise NotFollowedError("followed node by node, it gives other values than it does")
    listed = frozenset(layer.path for layer in described.info.layers)
    return Graph(
        vocabulary="aten",
        inputs=tuple(recording.inputs),
        operators=tuple(_in_listed(operator, listed) for operator in recording.operators),
        values=recording.values,
        outputs=tuple(_outputs(theirs, found)),
        batch=BATCH,
        ranges={"batch": (least, None)},
        taps=stack.taps,
        shapes=tuple(shape_of_samples(input_, tensor.shape) for input_, tensor in rows.items()),
    )


def _interpreted(
    loaded: Loaded,
    described: Description,
    rows: Mapping[str, Any],
    same_for_all: Mapping[str, Any],
    recording: Recording,
    stack: CallStack,
) -> Any:
    """What the method returns, in all lanes."""
    taken = {input_: recording.samples(input_, tensor) for input_, tensor in rows.items()}
    taken |= {input_: recording.weight(input_, tensor, fixed=False) for input_, tensor in same_for_all.items()}
    arguments = list(_arguments(described, taken, getattr(loaded.module, described.method)))
    return Interpreter(loaded, recording, stack).method(Module(loaded.handle, ""), described.method, arguments)


_SURVEYS = 8
"""Batch sizes as at which the code is followed to learn what else it asks."""


def kinds_of_sizes(
    loaded: Loaded, described: Description, tensors: Mapping[str, Any], same_for_all: Mapping[str, Any]
) -> list[tuple[int, ...]]:
    """Batch sizes at which the code does the same, as far as it asks for the number of samples, together.

    Takes what :func:`graph_of` takes. Questions that come up only after something that cannot be followed are not seen.
    One kind where nothing is asked, or nothing can be told.
    """
    import torch

    name = described.info.path
    if loaded.takes_gradients or any(one.kind == "each" for one in leaves(described.arguments)):
        return [tuple(SIZES.tolist())]
    rows = {input_: _some(name, tensor) for input_, tensor in tensors.items()}
    answers: list[np.ndarray] = []
    kind_of = np.zeros(len(SIZES), np.int64)
    explored: list[int] = []
    while len(explored) < _SURVEYS:
        seen = {int(kind_of[place]) for place in explored}
        counts = {kind: int((kind_of == kind).sum()) for kind in set(kind_of.tolist()) - seen}
        if not counts:
            break
        place = int((kind_of == max(counts, key=lambda kind: counts[kind])).argmax())
        explored.append(max(place, ROWS - 1) if not explored else place)
        survey = Survey(int(SIZES[explored[-1]]))
        stack = _Taps(loaded.modules_by_identity(), described)
        with suppress(Exception), torch.no_grad(), surveying(survey), from_samples(ROWS):
            _interpreted(loaded, described, rows, same_for_all, Recording(), stack)
        answers += survey.answers
        if answers:
            _, kind_of = np.unique(np.stack(answers), axis=1, return_inverse=True)
            kind_of = kind_of.reshape(-1)
    return [tuple(SIZES[kind_of == kind].tolist()) for kind in dict.fromkeys(kind_of.tolist())]


def computed(
    loaded: Loaded, described: Description, tensors: Mapping[str, Any], same_for_all: Mapping[str, Any]
) -> list[np.ndarray]:
    """Numbers that the code computes from no sample, and compares samples with. Takes what :func:`graph_of` takes."""
    import torch

    recording, name = Recording(), described.info.path
    stack = _Taps(loaded.modules_by_identity(), described)
    with suppress(Exception), torch.no_grad():  # what came before it ended is told
        rows = {input_: _some(name, tensor) for input_, tensor in tensors.items()}
        _interpreted(loaded, described, rows, same_for_all, recording, stack)
    return recording.compared


def _arguments(described: Description, tensors: dict[str, Any], method: Any) -> Iterator[Any]:
    """All that a method takes, those with a default of their own included."""
    positional, keywords = build(described.arguments, tensors)
    yield from positional
    for one in method.schema.arguments[1 + len(positional) :]:
        yield keywords.get(one.name, one.default_value)


def _outputs(named: _Named, found: list[Tensor]) -> Iterator[tuple[str, Argument]]:
    for (name, _), one in zip(named, found, strict=True):
        yield name, Ref(one.name)


class _Taps(CallStack):
    """Notes which value stands at which tap."""

    def __init__(self, identities: Mapping[int, str], described: Description) -> None:
        super().__init__(identities, described.helpers)
        self._tappable = {layer.path for layer in described.info.layers if not layer.untappable}
        self.taps: dict[tuple[str, int, str], str] = {}

    def entered(self, path: str, call: int, values: Any) -> None:
        """See :class:`CallStack`."""
        self._note(path, call, "in", values)

    def left(self, path: str, call: int, values: Any) -> None:
        """See :class:`CallStack`."""
        self._note(path, call, "out", values)

    def _note(self, path: str, call: int, side: str, values: Any) -> None:
        if path in self._tappable:
            for number, one in enumerate(flat_tensors(values, Tensor)):
                self.taps[path, call, f"{side}{number}"] = one.name


def _some(name: str, tensor: Any) -> Any:
    """The first samples; the only one twice."""
    import torch

    if tensor.ndim == 0:
        raise BatchError(f"{name}: an input is a single number", "give one row per sample")
    return tensor[:ROWS].clone() if len(tensor) >= ROWS else torch.cat([tensor] * ROWS)


def _in_listed(operator: Operator, listed: frozenset[str]) -> Operator:
    """The operator in a layer of the file: what stands in the model's own code isn't one."""
    known = operator.layer in listed
    return replace(operator, layer=operator.layer if known else "", call=max(operator.call, 0) if known else 0)


def _equal(one: Any, other: Any) -> bool:
    """The same but for last bits, which kernels round as a tensor lies in memory."""
    import torch

    if one.dtype != other.dtype or one.shape != other.shape or not one.is_floating_point():
        return bool(one.dtype == other.dtype and one.shape == other.shape and one.equal(other))
    scale = float(other[other.isfinite()].abs().max()) if other.isfinite().any() else 0.0
    return bool(torch.allclose(one, other, rtol=0.0, atol=_LAST_BITS * scale, equal_nan=True))
