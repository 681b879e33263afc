"""The names that a Keras config may hold, by groups, and why those of a group do no harm.

``names.txt`` is written by ``scripts/list_keras_names.py``, in which stands what was cut out by hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

GROUPS: Mapping[tuple[str, str], str] = {
    ("class", "layer"): "computes on tensors; what it is made from is a config, which is walked as well",
    ("class", "operation"): "computes on tensors, in the form of a class",
    ("class", "initializer"): "makes the first values of a weight",
    ("class", "regularizer"): "computes a number from a weight",
    ("class", "constraint"): "computes a weight from itself, in training",
    ("class", "loss"): "computes a number from outputs and targets",
    ("class", "metric"): "computes a number from outputs and targets, and keeps it in variables of its own",
    ("class", "optimizer"): "computes weights from gradients, in training",
    ("class", "schedule"): "computes a number from the number of the step",
    ("class", "quantizer"): "rounds the values of tensors",
    ("class", "policy"): "names the dtypes of a layer",
    ("class", "seed"): "keeps the state of random numbers in a variable",
    ("function", "activation"): "computes a tensor from a tensor",
    ("function", "loss"): "computes a number from outputs and targets",
    ("function", "metric"): "computes a number from outputs and targets",
    ("function", "regularizer"): "makes a regularizer from two numbers",
    ("tensorflow", "tf"): "an operation on tensors, chosen by hand from those that stand in no module",
    ("tensorflow", "operator"): "an operator between tensors, or an index",
    ("tensorflow", "bitwise"): "bits of integers",
    ("tensorflow", "image"): "pixels of tensors, and coded images that are tensors of text themselves",
    ("tensorflow", "linalg"): "matrices",
    ("tensorflow", "math"): "arithmetic on tensors",
    ("tensorflow", "nn"): "what networks compute: convolutions, pools, losses",
    ("tensorflow", "ragged"): "tensors with rows of different lengths",
    ("tensorflow", "sets"): "sets that are tensors",
    ("tensorflow", "signal"): "transforms of signals, and windows",
    ("tensorflow", "sparse"): "sparse tensors",
    ("tensorflow", "strings"): "tensors of text; nothing takes them for names of files",
}
"""What names are of, and their group -> why they are allowed."""


def of_models() -> frozenset[str]:
    """Classes and functions that a config may name."""
    return of("class") | of("function")


@cache
def of(kind: str) -> frozenset[str]:
    """All names of a kind: ``class``, ``function``, or ``tensorflow`` for what TFOpLambda may call."""
    return frozenset(name for one, _, name in lines() if one == kind)


def lines() -> Iterator[tuple[str, str, str]]:
    """Kind, group and name of every entry."""
    for line in Path(__file__).with_name("names.txt").read_text(encoding="ascii").splitlines():
        kind, group, name = line.split(" ")
        yield kind, group, name
