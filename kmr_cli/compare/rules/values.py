"""KMR403 to KMR408: shapes, dtypes, batch axes and values of tensors that correspond."""

from __future__ import annotations

from kmr_cli.rules import Rule

SHAPE_CHANGED = Rule(
    "KMR403",
    "shape-changed",
    "error",
    "a tensor has another shape",
    "what consumes it breaks, or broadcasts silently",
    "look at the first layer named: padding, strides, units, data format",
    command="compare",
    if_passed="the outputs agree, layers on the way differ",
    gravity=20,
)
DTYPE_CHANGED = Rule(
    "KMR404",
    "dtype-changed",
    "error",
    "a tensor has another dtype",
    "precision or range changed, and so does what consumes it",
    "look at the dtype policy at the first layer named; take the snapshot again if it is intended",
    command="compare",
)
BATCH_AXIS_CHANGED = Rule(
    "KMR405",
    "batch-axis-changed",
    "error",
    "the samples lie along another axis, or no longer apart",
    "slicing at [i] gives another sample's values, or several samples'",
    "run kmr-inspect check-batch-axis on both models",
    command="compare",
    if_passed="the outputs agree, layers on the way differ",
    gravity=20,
)
VALUES_CHANGED = Rule(
    "KMR406",
    "values-changed",
    "error",
    "values differ by more than the tolerance",
    "the model gives other answers to the same batch",
    "look at the first layer named, on both sides, with kmr-inspect sample",
    command="compare",
    if_passed="the outputs agree, layers on the way differ",
    gravity=20,
)
VALUES_REORDERED = Rule(
    "KMR407",
    "values-reordered",
    "error",
    "the same values stand in another order within a sample",
    "channels or features were swapped on the way",
    "apply the same order of channels on both sides (data format, flatten, concatenation)",
    command="compare",
    if_passed="the outputs agree, layers on the way differ",
    gravity=20,
)
VALUES_CLOSE = Rule(
    "KMR408",
    "values-close",
    "note",
    "values differ, but within the tolerance",
    "other kernels, versions or machines round differently",
    "nothing to mend; --rtol, --atol or --ulp make it stricter",
    command="compare",
)
RULES = (SHAPE_CHANGED, DTYPE_CHANGED, BATCH_AXIS_CHANGED, VALUES_CHANGED, VALUES_REORDERED, VALUES_CLOSE)
