"""The graph of a module's code: followed node by node, exported, and proven."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from zoo.samples import HOME
from zoo.torchscript_traps import NEVER_PROVEN, PROVEN

from kmr_cli import open_model
from kmr_cli.errors import ModelLoadError
from kmr_cli.formats import torchscript
from kmr_cli.proof.verdict import prove

X = torch.linspace(-1, 1, 20).reshape(5, 4)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def largest(x: Tensor, axis: int) -> Tensor:
    return x.amax(axis, keepdim=True)


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.drop = nn.Linear(4, 4), nn.Dropout(0.5)


class Plain(Base):
    """A function, a list, a loop and a branch that nothing of the batch decides, and a result by name."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        kept = [self.layer(x)]
        for turn in range(3):
            kept.append(kept[turn] - largest(kept[turn], 1) if turn < 2 else kept[-1] * 2)
        return {"last": kept[-1].view(x.size(0), 2, -1), "sum": torch.stack(kept).sum(0)}


class Mixes(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) - largest(x, 0)


class BySize(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if x.size(0) > 18 else x - x.mean(0)


class ByRounds(Base):
    def forward(self, x: Tensor) -> Tensor:
        for _ in range(x.size(0)):
            x = self.layer(x)
        return x


class OneSizeAlone(Base):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(5, 2, -1)


class ByValue(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if bool((x > 0).all()) else x


class LeftOn(Base):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(self.layer(x), 0.5, training=True)


class Squeezes(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).squeeze()


class OneApart(Base):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.size(0) == 1 else self.layer(x)


class ByAxes(Base):
    """It asks how many axes are left, which takes no operator that a proof would see."""

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if x.squeeze(0).dim() == x.dim() else x


class AllButOne(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + x[: x.size(0) - 1].sum()


class Halves(nn.Module):
    """What a trace makes of sizes: numbers in tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        rows, width = x.shape
        return self.inner(x.reshape(rows * 2, width // 2)).reshape(rows, -1)


def graph_of(module: Callable[[Tensor], Tensor], x: Tensor = X):
    session = torchscript.adopt(module)
    try:
        return session.graph_for({"x": x.numpy()})
    finally:
        session.close()


def test_what_nothing_of_the_batch_decides_is_followed_and_proven():
    proof = prove(graph_of(torch.jit.script(Plain())))
    assert [(claim.output, claim.answer) for claim in proof.claims] == [("last", "proven"), ("sum", "proven")]
    assert proof.range == (1, None)
    assert {operator.layer for operator in proof.owners.graph.operators} == {"", "layer"}


def test_a_trace_with_arithmetic_on_sizes_is_proven():
    proof = prove(graph_of(torch.jit.trace(Halves(), X)))
    assert proof.proven
    assert proof.batch is None


def test_a_meeting_is_found():
    (claim,) = prove(graph_of(torch.jit.script(Mixes()))).claims
    assert (claim.answer, claim.kind) == ("meet", "aten.amax")


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (BySize, "depends on the number of samples"),
        (ByRounds, "depends on the number of samples"),
        (ByValue, "depends on what the samples hold"),
        (LeftOn, "gives other values"),
        (OneSizeAlone, "can't be followed: shape .* is invalid for input of size"),  # what torch says, not its preface
    ],
)
def test_what_the_batch_decides_is_not_taken_for_granted(kind, why):
    with pytest.raises(ModelLoadError, match=why):
        graph_of(torch.jit.script(kind()))


@pytest.mark.parametrize("code", NEVER_PROVEN, ids=lambda code: code.__name__)
def test_where_samples_meet_or_count_nothing_is_proven(code):
    try:
        proof = prove(graph_of(torch.jit.script(code), torch.randn(8, 6)))
    except ModelLoadError:
        return
    assert not proof.proven


@pytest.mark.parametrize("code", PROVEN, ids=lambda code: code.__name__)
def test_its_clean_kin_is_proven(code):
    proof = prove(graph_of(torch.jit.script(code), torch.randn(8, 6)))
    assert proof.proven, [str(claim.reason) for claim in proof.claims]


@pytest.mark.parametrize("kind", [Squeezes, OneApart, ByAxes, AllButOne])
def test_one_sample_is_not_claimed_where_it_goes_another_way(kind):
    """The axis of samples goes away, the code asks, or the rest of the batch is empty: an export never sees that."""
    proof = prove(graph_of(torch.jit.script(kind())))
    assert (proof.proven, proof.range) == (kind is not AllButOne, (2, None))


def test_of_a_file_with_shapes():
    with open_model(HOME / "digits_traced.pt", in_process=True) as model:
        proof = model.prove(HOME / "digits.npz")
    assert proof.proven
    assert proof.vocabulary == "aten"
