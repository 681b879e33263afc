"""Ragged inputs: fed as one array with a row a sample, filled up, and how many steps of each sample count.

The signature takes such a tensor in two parts, the values of all samples in a row and the places where samples begin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from kmr_cli.config.names import names_of_splits
from kmr_cli.formats.savedmodel.describe.analysis import Analysis
from kmr_cli.formats.savedmodel.describe.composites import composites
from kmr_cli.records import Batch, TensorSpec

_SUFFIX = "_lengths"


@dataclass(frozen=True)
class Ragged:
    """One such input.

    Attributes:
        name: of the values in the signature, and of the samples, ``(batch, steps, ...)``, outside of it.
        splits: of the row splits in the signature.
        lengths: of the numbers of steps, ``(batch,)``.
    """

    name: str
    splits: str
    lengths: str


def ragged_inputs(analysis: Analysis) -> tuple[Ragged, ...]:
    """Those with one level of rows; none where parts are left that nothing is known to belong to."""
    parts = composites(analysis)
    values = [name for name, (kind, part) in parts.items() if (kind, part) == ("ragged", "values")]
    splits = [name for name, (kind, part) in parts.items() if (kind, part) == ("ragged", "row splits")]
    names = {one.name for one in analysis.inputs}
    found = []
    for name in values:
        mine = splits if len(values) == len(splits) == 1 else [one for one in splits if one in names_of_splits(name)]
        lengths = _stem(name) + _SUFFIX
        if len(mine) == 1 and lengths not in names and _rank(analysis, mine[0]) == 1 and _rank(analysis, name):
            found.append(Ragged(name, mine[0], lengths))
    return tuple(found) if 2 * len(found) == len(parts) else ()


def _stem(values: str) -> str:
    return values.removesuffix(".values")


def _rank(analysis: Analysis, name: str) -> int | None:
    shape = next(one.shape for one in analysis.inputs if one.name == name)
    return None if shape is None else len(shape)


def fed_specs(analysis: Analysis) -> tuple[TensorSpec, ...]:
    """What a batch holds: the signature's inputs, and of a ragged one the samples and their lengths."""
    ragged = {one.name: one for one in ragged_inputs(analysis)}
    splits = {one.splits: one for one in ragged.values()}
    specs = {spec.name: spec for spec in analysis.specs()}
    found = []
    for name, spec in specs.items():
        if name in ragged:
            one = ragged[name]
            size = (specs[one.splits].shape or (None,))[0]
            samples = None if size is None else size - 1
            assert spec.shape is not None
            found.append(replace(spec, shape=(samples, None, *spec.shape[1:]), lengths=one.lengths))
            found.append(TensorSpec(one.lengths, (samples,), "int64"))
        elif name not in splits:
            found.append(spec)
    return tuple(found)


def shown_names(analysis: Analysis) -> dict[str, str]:
    """Input of the signature -> the one that is fed for it."""
    return {part: one.name for one in ragged_inputs(analysis) for part in (one.name, one.splits)}


def in_parts(ragged: tuple[Ragged, ...], batch: Batch, splits: Mapping[str, np.dtype[np.generic]]) -> Batch:
    """A batch as the signature takes it: what stands behind a sample's last step is left out.

    Args:
        ragged: the inputs to take apart.
        batch: what is fed; a length counts no further than there are steps.
        splits: dtype of each input that takes row splits.
    """
    result = dict(batch)
    for one in ragged:
        steps = batch[one.name]
        counts = np.clip(result.pop(one.lengths), 0, steps.shape[1])
        result[one.name] = steps[np.arange(steps.shape[1]) < counts[:, None]]
        result[one.splits] = np.concatenate([[0], np.cumsum(counts)]).astype(splits[one.splits])
    return result
