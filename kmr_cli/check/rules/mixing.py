"""KMR101, KMR104, KMR105, KMR106: samples change each other, or cannot be told apart, at an output."""

from __future__ import annotations

from kmr_cli.rules import Rule

CROSS_SAMPLE_LEAK = Rule(
    "KMR101",
    "cross-sample-leak",
    "error",
    "an output of one sample changes when only other samples change",
    "one user's request changes, or reveals something of, another user's answer",
    "compute over the axes of one sample only: no statistic, softmax, sort or attention over the batch axis",
    others=(("note", "the samples are separated again before the outputs"),),
    headline="samples of a batch change each other",
    gravity=100,
    needs_owners=True,
    mixes=True,
    batch_statistics="replaced",
    if_allowed="what comes after a layer that is allowed to mix cannot be judged",
)
BATCH_AXIS_LOST = Rule(
    "KMR104",
    "batch-axis-lost",
    "error",
    "an output has no axis that carries the samples",
    "the answers of a batch cannot be told apart",
    "reduce over the axes of one sample, and keep the batch axis",
    headline="samples of a batch cannot be told apart",
    gravity=80,
    needs_owners=True,
    mixes=True,
    batch_statistics="replaced",
)
SAMPLES_INTERLEAVED = Rule(
    "KMR105",
    "samples-interleaved",
    "error",
    "no axis of an output separates the samples",
    "each returned row holds pieces of several samples",
    "undo every transpose before a reshape that merges or splits the batch axis",
    headline="samples of a batch cannot be told apart",
    gravity=80,
    needs_owners=True,
    mixes=True,
    batch_statistics="replaced",
)
SAMPLES_REORDERED = Rule(
    "KMR106",
    "samples-reordered",
    "error",
    "outputs come back in another order than the inputs",
    "answers go to the wrong users",
    "apply the inverse of the permutation before the output",
    headline="samples of a batch come back in another order",
    gravity=90,
    needs_owners=True,
    mixes=True,
    batch_statistics="replaced",
)
RULES = (CROSS_SAMPLE_LEAK, BATCH_AXIS_LOST, SAMPLES_INTERLEAVED, SAMPLES_REORDERED)
