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
    """Those with one level of rows; none where parts of another are left that nothing is known to belong to."""
    parts = {name: role for name, role in composites(analysis).items() if role[0] == "ragged"}
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


def ragged_specs(one: Ragged, specs: Mapping[str, TensorSpec]) -> tuple[TensorSpec, TensorSpec]:
    """The samples and their lengths, of what the signature declares of each of its inputs."""
    spec, size = specs[one.name], (specs[one.splits].shape or (None,))[0]
    samples = None if size is None else size - 1
    assert spec.shape is not None
    whole = replace(spec, shape=(samples, None, *spec.shape[1:]), lengths=one.lengths)
    return whole, TensorSpec(one.lengths, (samples,), "int64")


def ragged_parts(
    ragged: tuple[Ragged, ...], batch: Batch, types: Mapping[str, np.dtype[np.generic]]
) -> dict[str, np.ndarray]:
    """A batch with each ragged input as the signature takes it: what stands behind a sample's last step is left out.

    Args:
        ragged: the inputs to take apart.
        batch: what is fed; a length counts no further than there are steps.
        types: dtype of each input of the signature.
    """
    result = dict(batch)
    for one in ragged:
        steps = batch[one.name]
        counts = np.clip(result.pop(one.lengths), 0, steps.shape[1])
        result[one.name] = steps[np.arange(steps.shape[1]) < counts[:, None]]
        result[one.splits] = np.concatenate([[0], np.cumsum(counts)]).astype(types[one.splits])
    return result
