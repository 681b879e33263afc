"""Which samples an operator is aimed at with."""

from types import SimpleNamespace

import numpy as np

from kmr_cli.check.probes.aimed import _strength
from kmr_cli.proof.owners import Meet
from kmr_cli.records import BatchIndex


def test_the_largest_and_the_smallest_are_found_among_negative_values_too():
    tap = ("mix", 0, "in0")
    value = np.array([[-5.0, -9.0], [-1.0, -7.0], [-8.0, -6.0], [-2.0, -3.0]])
    run = SimpleNamespace(
        evidence=SimpleNamespace(size=4, order=[tap, ("mix", 0, "out0")], base={tap: value}),
        indices={tap: BatchIndex("separated", 0, (0, 1, 2, 3)), ("mix", 0, "out0"): BatchIndex("mixed")},
    )
    strength = _strength(run, Meet("it reduces", "ReduceMax", "onnx.ReduceMax", "mix", 0), 3)
    assert strength.tolist() == [-5.0, -1.0, -6.0]
