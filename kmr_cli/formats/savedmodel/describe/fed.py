"""What a batch holds, which differs from what a signature takes where an input of that is ragged or sparse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kmr_cli.formats.savedmodel.describe import dtypes
from kmr_cli.formats.savedmodel.describe.analysis import Analysis
from kmr_cli.formats.savedmodel.describe.composites import composites
from kmr_cli.formats.savedmodel.describe.ragged import Ragged, ragged_inputs, ragged_parts, ragged_specs
from kmr_cli.formats.savedmodel.describe.sparse import Sparse, sparse_inputs, sparse_parts, sparse_spec
from kmr_cli.records import Batch, TensorSpec


@dataclass(frozen=True)
class Composites:
    """The inputs that the signature takes in parts.

    Attributes:
        ragged: with rows of different lengths.
        sparse: of which only some places hold a value.
        unknown: input of the signature -> (``ragged`` or ``sparse``, what part it is), where no batch can be fed.
    """

    ragged: tuple[Ragged, ...] = ()
    sparse: tuple[Sparse, ...] = ()
    unknown: Mapping[str, tuple[str, str]] | None = None

    def in_parts(self, batch: Batch, types: Mapping[str, np.dtype[np.generic]]) -> Batch:
        """A batch as the signature takes it, whose inputs are of these dtypes."""
        return sparse_parts(self.sparse, ragged_parts(self.ragged, batch, types), types)


def composite_inputs(analysis: Analysis) -> Composites:
    """Those of a signature; all unknown where a part is left that nothing is known to belong to."""
    parts = composites(analysis)
    if not parts:
        return Composites()
    ragged, sparse = ragged_inputs(analysis), sparse_inputs(analysis)
    names = [one.name for one in ragged] + [one.name for one in sparse]
    if 2 * len(ragged) + 3 * len(sparse) != len(parts) or len(set(names)) != len(names):
        return Composites(unknown=parts)
    return Composites(ragged, sparse)


def fed_specs(analysis: Analysis) -> tuple[TensorSpec, ...]:
    """The signature's inputs, of a ragged one the samples and their lengths, and a sparse one as a dense array."""
    known, specs = composite_inputs(analysis), {spec.name: spec for spec in analysis.specs()}
    made: dict[str, tuple[TensorSpec, ...]] = {one.name: ragged_specs(one, specs) for one in known.ragged}
    made |= {one.indices: (sparse_spec(one, specs),) for one in known.sparse}
    gone = {one.splits for one in known.ragged} | {part for one in known.sparse for part in (one.values, one.shape)}
    return tuple(fed for name, spec in specs.items() if name not in gone for fed in made.get(name, (spec,)))


def shown_names(analysis: Analysis) -> dict[str, str]:
    """Input of the signature -> the one that is fed for it."""
    known = composite_inputs(analysis)
    found = {part: one.name for one in known.ragged for part in (one.name, one.splits)}
    return found | {part: one.name for one in known.sparse for part in (one.indices, one.values, one.shape)}


def types_of(analysis: Analysis) -> dict[str, np.dtype[np.generic]]:
    """Dtype of each input of the signature that takes a place, a shape or where rows begin."""
    known = composite_inputs(analysis)
    wanted = {one.splits for one in known.ragged} | {part for one in known.sparse for part in (one.indices, one.shape)}
    return {one.name: np.dtype(dtypes.name(one.dtype)) for one in analysis.inputs if one.name in wanted}
