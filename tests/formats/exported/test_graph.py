"""Exported programs as graphs for the proof: what is claimed of real files, and which layer is blamed."""

import sys
from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn
from zoo import exported
from zoo.exported_claims import violations
from zoo.faults import exported_faults, torch_faults

from kmr_cli.formats.exported.operators import graph
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.proof.verdict import prove


def proof_of(path):
    return prove(graph(path, OpenOptions()))


CLEAN = ["Bert", "Gpt", "ResNet", "VisionTransformer", "decomposed", "filling", "gru", "in_place", "int8", "length",
         "phases", "sides", "structures", "windows"]  # fmt: skip


@pytest.mark.parametrize("name", CLEAN)
def test_clean_models_are_proven_for_every_batch_size(name):
    proof = proof_of(exported.path_of(name))
    assert proof.proven, proof.claims
    assert proof.batch is None
    assert proof.unknown == {}


def test_a_fixed_batch_is_proven_at_that_size():
    proof = proof_of(exported.path_of("fixed"))
    assert (proof.proven, proof.batch) == (True, 3)


@pytest.mark.parametrize("name", ["counting", "counting_decomposed"])
def test_what_keeps_state_is_not_proven(name):
    assert {claim.answer for claim in proof_of(exported.path_of(name)).claims} == {"state"}


@pytest.mark.parametrize("name", ["branching", "looping", "mapping", "scanning"])
def test_branches_and_loops_are_followed(name):
    assert proof_of(exported.path_of(name)).proven


IN_CONTROL_FLOW = {
    exported_faults.Cond: "meet",
    exported_faults.InABranch: "meet",
    exported_faults.InALoop: "unknown",
    exported_faults.UntilAllAreSmall: "meet",
    exported_faults.ScanOverSamples: "unknown",
    exported_faults.MapWithTheRest: "meet",
}


@pytest.mark.parametrize("kind", IN_CONTROL_FLOW, ids=lambda kind: kind.__name__)
def test_faults_in_branches_and_loops(kind, tmp_path):
    path = exported.save(exported.plain(kind(), {"x": exported.normal(7, 6)}), tmp_path / "model.pt2")
    assert {claim.answer for claim in proof_of(path).claims} == {IN_CONTROL_FLOW[kind]}


def test_what_has_no_rule_is_unknown_and_named():
    proof = proof_of(exported.path_of("Recommender"))
    assert {claim.answer for claim in proof.claims} == {"unknown"}
    assert list(proof.unknown) == ["aten.embedding_bag.padding_idx"]


FAULTS = {
    torch_faults.Mean: ((6,), "meet", "aten.mean.dim"),
    torch_faults.GlobalNorm: ((6,), "meet", "aten.linalg_vector_norm"),
    torch_faults.LastTokens: ((6,), "meet", "aten.slice.Tensor"),
    torch_faults.HeadsBack: ((5, 6), "meet", "aten.reshape"),
    torch_faults.Scores: ((6,), "meet", "aten.matmul"),
    torch_faults.NoRunningStatistics: ((6,), "meet", "aten.batch_norm"),
    torch_faults.BySize: ((6,), "count", ""),
    torch_faults.Drop: ((6,), "unknown", "aten.dropout"),
    torch_faults.Capacity: ((5, 6), "unknown", "aten.nonzero"),
}


class Between(nn.Module):
    """A fault in the middle of a model."""

    def __init__(self, middle, width):
        super().__init__()
        self.before = nn.Linear(width, width)
        self.blocks = nn.ModuleList([nn.Identity(), middle])

    def forward(self, x):
        return self.blocks[1](self.before(x)) * 2


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.__name__)
def test_faults_are_reported_at_the_operator_and_layer_where_they_lie(kind, tmp_path):
    shape, answer, operator = FAULTS[kind]
    model = Between(kind(), shape[-1]).eval()
    path = exported.save(exported.plain(model, {"x": exported.normal(7, *shape)}), tmp_path / "model.pt2")
    (claim,) = proof_of(path).claims
    assert claim.answer == answer
    if operator:
        assert (claim.owner.kind, claim.layer.split(".norm")[0]) == (operator, "blocks.1")


HELD = ["Convolutions1d", "Gpt", "ResNet", "decomposed", "filling", "in_place", "shared", "windows"]


def test_no_claim_about_a_layer_is_violated_by_what_torch_computes():
    tally = Counter()
    wrong = []
    for name in HELD:
        batch = exported.example(name).batch
        rng = np.random.default_rng(0)
        data = {one: rng.permutation(np.concatenate([rows] * 8)[:8].ravel()).reshape(8, *rows.shape[1:])
                for one, rows in batch.items()}  # fmt: skip
        wrong += violations(exported.path_of(name), data, tally)
    assert wrong == []
    assert tally["Own"] > 100


class OnlyLarge(nn.Module):
    """Mixes beyond 16 samples: an export with fewer records the branch that does not."""

    def forward(self, x):
        return x - x.mean(0) if x.size(0) > 16 else x * 2


def test_the_claim_says_for_which_sizes_it_holds(tmp_path):
    path = exported.save(exported.plain(OnlyLarge(), {"x": exported.normal(7, 6)}), tmp_path / "model.pt2")
    proof = proof_of(path)
    assert proof.proven
    assert proof.range[1] == 16


def test_a_loop_over_a_fixed_number_of_samples_is_not_a_meeting(tmp_path):
    class OneByOne(nn.Module):
        def forward(self, x):
            return torch.stack([x[sample] * 2 for sample in range(x.size(0))])

    path = exported.save(exported.plain(OneByOne(), {"x": exported.normal(3, 6)}), tmp_path / "model.pt2")
    (claim,) = proof_of(path).claims
    assert claim.answer == "unknown"


def test_no_framework_is_needed(tmp_path):
    import subprocess

    code = (
        "import sys; from pathlib import Path; from kmr_cli.formats.exported.operators import graph;"
        "from kmr_cli.formats.interface import OpenOptions; from kmr_cli.proof.verdict import prove;"
        f"print(prove(graph(Path({str(exported.path_of('gru'))!r}), OpenOptions())).proven, 'torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True", "False"]
