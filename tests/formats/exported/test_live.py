"""Live eager modules: looked at as they are, and compared with what they were exported to."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from zoo import exported as zoo

from kmr_cli import open_model
from kmr_cli.api.compare import compare_models
from kmr_cli.errors import KmrError, LayerError, ModelLoadError, ModelRunError
from kmr_cli.formats import conformance, exported
from kmr_cli.formats.interface import Taps

LIVE = ("ResNet", "Bert", "CellLoop", "shared", "in_place", "fields")


@pytest.fixture(autouse=True, scope="module")
def without_fused_kernels():
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(True)


@pytest.mark.parametrize("name", LIVE)
def test_conformance(name):
    model = zoo.example(name)
    conformance.check_conformance(
        conformance.Example(
            name, exported, None, model.batch, bare=lambda _: zoo.arrays(model.bare()), live=model.module
        )
    )


@pytest.mark.parametrize("name", ["ResNet", "Siamese", "in_place", "length"])
def test_an_export_agrees_with_the_live_module(name):
    model = zoo.example(name)
    with (
        open_model(zoo.path_of(name), in_process=True) as program,
        open_model(model.module, in_process=True) as live,
    ):
        result = compare_models(program, live, model.batch)
    assert result.verdict == "pass", result.findings
    assert [output.size for output in result.outputs] == [0] * len(result.outputs)
    assert not [finding for finding in result.findings if finding.rule in ("KMR406", "KMR407", "KMR408")]


def test_a_wrong_export_is_found_at_its_layer():
    model = zoo.example("ResNet")
    torch.manual_seed(1)
    other = type(model.module)().eval()
    other.load_state_dict(model.module.state_dict())
    with torch.no_grad():
        other.layer2[0].conv1.weight.mul_(1.5)
    with (
        open_model(zoo.saved(other, model.batch), in_process=True) as program,
        open_model(model.module, in_process=True) as live,
    ):
        result = compare_models(program, live, model.batch)
    assert result.verdict == "fail"
    assert result.findings[0].layer == "layer2.0.conv1"


def test_the_module_is_not_touched():
    module = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5)).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    session = exported.adopt(module)
    session.capture({"input": zoo.normal(3, 4)}, Taps(("0", "1")), lambda *tap: None)
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert not module[0]._forward_hooks


def test_check_of_a_live_module():
    class Leak(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x) - x.mean()

    with open_model(Leak().eval(), in_process=True) as model:
        report = model.check_batch_axis({"x": zoo.normal(5, 4)})
    assert report.verdict == "fail"
    assert "KMR101" in {finding.rule for finding in report.findings}


class Centred(nn.Module):
    """Subtracts the mean of each sample, or of the batch, or of a batch that is large enough."""

    def __init__(self, axis, least=0):
        super().__init__()
        self.axis, self.least, self.seen = axis, least, 0
        self.inner = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        x = self.inner(x)
        return x - x.mean(self.axis, keepdim=True) if x.shape[0] > self.least else x


def test_what_is_proven_of_a_live_module():
    module = Centred(1)
    with open_model(module, in_process=True) as model:
        proof = model.prove(shapes="x=4")
        assert (proof.proven, proof.least) == (True, 2)  # what code does with one sample alone, an export leaves out
        assert model.prove({"x": zoo.normal(1, 4)}).proven
    assert module.seen == 0
    with open_model(Centred(0), in_process=True) as model:
        (claim,) = model.prove(shapes="x=4").outputs
    assert (claim.output, claim.answer) == ("out0", "meet")


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (Centred(1, least=9), "does something else at other batch sizes"),
        (torch.jit.script(Centred(1)), "keeps something for the next call"),
    ],
    ids=["reads the batch size", "scripted"],
)
def test_a_live_module_whose_graph_cannot_be_had_says_why(module, why):
    with open_model(module, in_process=True) as model, pytest.raises(KmrError, match=why):
        model.prove(shapes="x=4")


def test_arguments_with_a_default_are_left_to_the_module():
    class Optional(nn.Module):
        def forward(self, x: Tensor, mask: Tensor | None = None, *, scale: float = 2.0) -> Tensor:
            return x * scale if mask is None else x * mask

    session = exported.adopt(Optional())
    assert [spec.name for spec in session.inputs] == ["x"]
    assert (session.capture({"x": np.ones((2, 3), np.float32)}, Taps(()))["out0"] == 2).all()


def test_errors():
    module = nn.Sequential(nn.Linear(4, 2)).eval()
    session = exported.adopt(module)
    with pytest.raises(LayerError, match="no layer '7'"):
        session.capture({"input": zoo.normal(3, 4)}, Taps(("7",)))
    with pytest.raises(ModelRunError, match="the forward pass failed"):
        session.capture({"input": zoo.normal(3, 5)}, Taps(()))
    with pytest.raises(ModelLoadError, match="inference mode only"):
        exported.adopt(module, training=True)
    with zoo.quiet():
        program = torch.export.export(module, (torch.ones(2, 4),))
    with pytest.raises(KmrError, match="opened from its file") as caught:
        open_model(program, in_process=True)
    assert "torch.export.save" in caught.value.hint
    assert exported.adopt("text") is None
