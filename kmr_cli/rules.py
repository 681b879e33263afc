"""The table of rules: what each code means, why it matters and how to mend it. Codes never change meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Rule:
    """One kind of finding.

    Attributes:
        code: ``KMR101``; stable.
        name: short, for machines and people: ``cross-sample-leak``.
        severity: unless the finding says otherwise.
        found_when: the condition, one line.
        why: what goes wrong in practice, one line.
        remedy: what to change, one line.
        others: (other severity that a finding may have, when); empty where it is always the same.
    """

    code: str
    name: str
    severity: Severity
    found_when: str
    why: str
    remedy: str
    others: tuple[tuple[Severity, str], ...] = ()


_TABLE = (
    Rule(
        "KMR101",
        "cross-sample-leak",
        "error",
        "an output of one sample changes when only other samples change",
        "one user's request changes, or reveals something of, another user's answer",
        "compute over the axes of one sample only: no statistic, softmax, sort or attention over the batch axis",
        (("note", "the samples are separated again before the outputs"),),
    ),
    Rule(
        "KMR102",
        "batch-size-dependent",
        "error",
        "the model fails, or returns another number of samples or other values, at some batch size",
        "a server that batches dynamically fails on the first batch of that size, or answers by how many ask at once",
        "take the batch size from the input at run time, and let no value depend on it; name the axes of squeeze and"
        " reshape",
    ),
    Rule(
        "KMR103",
        "coincident-broadcast",
        "error",
        "a sample's value changes, or only works, when the batch size equals another dimension",
        "two axes that happen to be equal are multiplied with each other, silently",
        "give the operand its missing axis (expand_dims), so that shapes agree at every batch size",
    ),
    Rule(
        "KMR104",
        "batch-axis-lost",
        "error",
        "an output has no axis that carries the samples",
        "the answers of a batch cannot be told apart",
        "reduce over the axes of one sample, and keep the batch axis",
    ),
    Rule(
        "KMR105",
        "samples-interleaved",
        "error",
        "no axis of an output separates the samples",
        "each returned row holds pieces of several samples",
        "undo every transpose before a reshape that merges or splits the batch axis",
    ),
    Rule(
        "KMR106",
        "samples-reordered",
        "error",
        "outputs come back in another order than the inputs",
        "answers go to the wrong users",
        "apply the inverse of the permutation before the output",
    ),
    Rule(
        "KMR107",
        "batch-axis-moved",
        "note",
        "at this layer the batch is not axis 0, or is merged with another axis",
        "slicing this tensor at [i] does not give sample i",
        "nothing to mend if it is intended: kmr-inspect sample finds the right slices",
    ),
    Rule(
        "KMR108",
        "poisoned-neighbour",
        "error",
        "NaN in one sample changes another",
        "one bad request spoils every answer of its batch",
        "select with where() instead of multiplying by a mask of zeros",
    ),
    Rule(
        "KMR109",
        "batch-place-dependent",
        "error",
        "a sample's value depends on its place in the batch",
        "the same request gets another answer, depending on how many others stand before it in its batch",
        "count positions along the axis of steps (batch_first), and give parameters and noise no axis for the samples",
    ),
    Rule(
        "KMR201",
        "mask-ignored",
        "error",
        "what stands in masked positions changes a result",
        "padding influences the answer, so it depends on how long the longest neighbour is",
        "hand the mask to every layer that reduces over the masked axis",
    ),
    Rule(
        "KMR202",
        "mask-empty",
        "error",
        "a fully masked sample gives NaN or Inf",
        "an empty sequence divides by zero",
        "divide by max(unmasked steps, 1); where a softmax or attention has no step left, put zeros with where()",
    ),
    Rule(
        "KMR203",
        "mask-misaligned",
        "error",
        "a mask broadcasts against the wrong axis",
        "steps are masked by another axis' mask, which shows only where two sizes differ",
        "expand the mask to the rank of what it masks: mask[..., None]",
    ),
    Rule(
        "KMR301",
        "nondeterministic",
        "warning",
        "the same batch twice gives different values",
        "dropout left on or unseeded noise: answers cannot be reproduced, nor samples verified independent",
        "run and export the model in inference mode",
    ),
    Rule(
        "KMR302",
        "stateful",
        "warning",
        "a result depends on earlier calls",
        "what one request left behind changes the next",
        "reset or remove the running state in inference",
    ),
    Rule(
        "KMR303",
        "batch-variant",
        "note",
        "the last bits differ between batch sizes, or downstream of routed rows",
        "bitwise reproducibility across batch sizes is lost; the values are the same for practical purposes",
        "nothing to mend, unless you compare bit for bit: then fix the batch size",
        (("warning", "the model makes last bits so large that other values come out"),),
    ),
    Rule(
        "KMR304",
        "non-finite",
        "error",
        "NaN or Inf comes out of finite input",
        "a value overflowed or was divided by zero",
        "look at the layer's input with kmr-inspect sample; instead of -Inf, the lowest finite number forbids too",
        (
            (
                "warning",
                "what it reaches of the outputs holds -Inf alone: it may forbid something (an action, a token)",
            ),
            ("note", "what it reaches of the outputs is finite"),
        ),
    ),
    Rule(
        "KMR401",
        "layers-changed",
        "error",
        "layers were added or removed",
        "the model is no longer built as the baseline says, whatever its values",
        "see which layers are named; take the snapshot again if the change is intended (compare --update)",
    ),
    Rule(
        "KMR402",
        "layer-renamed",
        "warning",
        "a layer has another path, with the same shape at the same place",
        "weights, taps and settings that go by the path no longer find it",
        "give the layer its old name, or take the snapshot again",
    ),
    Rule(
        "KMR403",
        "shape-changed",
        "error",
        "a tensor has another shape",
        "what consumes it breaks, or broadcasts silently",
        "look at the first layer named: padding, strides, units, data format",
    ),
    Rule(
        "KMR404",
        "dtype-changed",
        "error",
        "a tensor has another dtype",
        "precision or range changed, and so does what consumes it",
        "look at the dtype policy at the first layer named; take the snapshot again if it is intended",
    ),
    Rule(
        "KMR405",
        "batch-axis-changed",
        "error",
        "the samples lie along another axis, or no longer apart",
        "slicing at [i] gives another sample's values, or several samples'",
        "run kmr-inspect check-batch-axis on both models",
    ),
    Rule(
        "KMR406",
        "values-changed",
        "error",
        "values differ by more than the tolerance",
        "the model gives other answers to the same batch",
        "look at the first layer named, on both sides, with kmr-inspect sample",
    ),
    Rule(
        "KMR407",
        "values-reordered",
        "error",
        "the same values stand in another order within a sample",
        "channels or features were swapped on the way",
        "apply the same order of channels on both sides (data format, flatten, concatenation)",
    ),
    Rule(
        "KMR408",
        "values-close",
        "note",
        "values differ, but within the tolerance",
        "other kernels, versions or machines round differently",
        "nothing to mend; --rtol, --atol or --ulp make it stricter",
    ),
    Rule(
        "KMR409",
        "interface-changed",
        "error",
        "the model takes other inputs, or returns other outputs",
        "callers break",
        "restore names, shapes and dtypes, or take the snapshot again and tell the callers",
    ),
)

RULES = {rule.code: rule for rule in _TABLE}
"""Every rule by its code, in order."""

MIXING = ("KMR101", "KMR104", "KMR105", "KMR106")
"""Samples change each other, or cannot be told apart."""
