"""Claims held against data in benchmarks/proof.py: true ones hold, and every kind of false one is seen."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from zoo.samples import HOME

from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.proof.owners import Free, Own
from kmr_cli.proof.verdict import prove

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
MODEL = HOME / "windows.onnx"


@pytest.fixture
def hold(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import proof_values

    def held(path, claims=None):
        format_, options = detect(path), OpenOptions()
        graph = format_.graph(path, options)
        proof = prove(graph)
        for name, owner in (claims or {}).items():
            assert isinstance(proof.owners.made[name], Own)
            proof.owners.made[name] = proof.owners.of[name] = owner
        (spec,) = format_.describe(path, options).inputs
        rows = np.random.default_rng(0).standard_normal((proof_values.ROWS, *spec.shape[1:])).astype(np.float32)
        return proof_values.hold(format_.NAME, path, graph, proof, {spec.name: rows}, options)

    yield held
    sys.modules.pop("proof_values", None)


def values():
    """Of every value that holds samples along axis 0 and has other axes: its owner."""
    graph = detect(MODEL).graph(MODEL, OpenOptions())
    made = prove(graph).owners.made
    starts = dict(graph.inputs)
    return {
        name: owner
        for name, owner in made.items()
        if isinstance(owner, Own) and owner.pattern == (0, 1, 1) and name not in starts
    }


@pytest.mark.parametrize("name", ["windows.onnx", "windows.pt2"])
def test_true_claims_hold(name, hold):
    found = hold(HOME / name)
    assert found.broken == ()
    assert found.claims["Own"] > 5


def test_false_claims_are_seen(hold):
    for name, owner in list(values().items())[:3]:
        for wrong, why in (
            (Free(), "changed with sample"),
            (replace(owner, inner=3), "is claimed of"),
            (Free(frozenset({0})), "isn't the same along axis 0"),
        ):
            broken = hold(MODEL, {name: wrong}).broken
            assert any(name in one and why in one for one in broken), (name, wrong, broken)
