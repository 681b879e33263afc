"""Inputs of a signature that a user gives one value for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmr_cli.formats.common.fixed_inputs import fixed_inputs
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.formats.savedmodel.describe.analysis import Analysis
from kmr_cli.formats.savedmodel.describe.fed import fed_specs

if TYPE_CHECKING:
    import numpy as np


def constants(analysis: Analysis, options: OpenOptions) -> dict[str, np.ndarray]:
    """What is fed besides the batch, by the name of the input.

    Raises:
        ModelFileError: the signature has no such input, or one of another shape or dtype.
    """
    where = f"{analysis.source.path.name}: signature {analysis.source.signature_name!r}"
    return fixed_inputs(where, fed_specs(analysis), options.constants)
