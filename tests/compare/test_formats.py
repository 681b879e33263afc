"""One network in every format that it can be saved in: right conversions agree, a wrong one is found where it begins.

A network of PyTorch as a live module, TorchScript, ``.pt2``, and ONNX by both exporters; one of Keras as ``.keras``,
SavedModel, ONNX and ``.pt2``.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from zoo import onnx_conversions
from zoo.onnx_exports import FOLDER

from kmr_cli import open_model
from kmr_cli.api.compare import compare_models
from kmr_cli.errors import ModelRunError

BATCH = {"image": np.random.default_rng(4).standard_normal((7, 2, 6, 6)).astype(np.float32)}
FORMS = ("module", "torchscript", "pt2", "onnx-new", "onnx-old")
MISTAKES = {
    "transposed weight": "again", "missing activation": "flatten", "swapped channels": "conv", "other epsilon": "norm",
}  # fmt: skip
"""What is done to a right conversion, and the layer at which it first shows."""

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
loads_keras = pytest.mark.skipif(sys.version_info < (3, 11), reason="the Keras that wrote the file needs Python 3.11")


def network(mistake: str = ""):
    """The network of the committed files, or one with a mistake in it."""
    import torch
    from zoo import onnx_networks

    class Without(onnx_networks.Converted):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.head(self.again(self.norm(self.dense(self.flatten(self.conv(image))))))

    class Baked(onnx_networks.Converted):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            x = self.act(self.conv(image)).reshape(3, 32)
            return self.head(self.again(self.norm(self.dense(x))))

    torch.manual_seed(0)
    kind = {"missing activation": Without, "baked batch": Baked}.get(mistake, onnx_networks.Converted)
    made = kind().eval()
    with torch.no_grad():
        if mistake == "transposed weight":
            made.again.weight.copy_(made.again.weight.t().clone())
        if mistake == "swapped channels":
            made.conv.weight.copy_(made.conv.weight.flip(1))
    if mistake == "other epsilon":
        made.norm.eps = 0.3
    return made


def saved(form: str, folder: Path, mistake: str = ""):
    """A model to open: a live module, or the path of a file."""
    if form.startswith("onnx"):
        path = FOLDER / f"converted-{form.removeprefix('onnx-')}.onnx"
        if not mistake:
            return path
        change = {**onnx_conversions.WRONG, "baked batch": (onnx_conversions.baked_batch, "")}[mistake][0]
        return onnx_conversions.spoil(path, change, folder / f"{form}-{mistake}.onnx")
    from zoo import exported, torchscript

    made = network(mistake)
    if form == "module":
        return made
    if form == "torchscript":
        return torchscript.save(torchscript.script(made), folder / f"made {mistake}.pt")
    size = 3 if mistake == "baked batch" else 7
    example = {name: values[:size] for name, values in BATCH.items()}
    return exported.save(exported.plain(made, example), folder / f"made {mistake}.pt2")


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    """Form -> the right conversion."""
    folder = tmp_path_factory.mktemp("right")
    return {form: saved(form, folder) for form in FORMS}


def compared(now, before, batch=None):
    with open_model(now, in_process=True) as model, open_model(before, in_process=True) as baseline:
        return compare_models(model, baseline, BATCH if batch is None else batch)


@pytest.mark.parametrize("before", FORMS)
@pytest.mark.parametrize("now", FORMS)
def test_every_right_pair_agrees(right, now, before):
    result = compared(right[now], right[before])
    assert result.verdict == "pass", result.findings
    assert [output.agrees for output in result.outputs] == [True]
    assert result.by_path == 7
    assert not [finding for finding in result.findings if finding.severity == "error"]


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize(("form", "before"), [*zip(FORMS, (*FORMS[1:], FORMS[0]), strict=True), ("pt2", "pt2")])
def test_a_mistake_is_found_at_its_first_layer(right, tmp_path, form, before, mistake):
    result = compared(saved(form, tmp_path, mistake), right[before])
    assert result.verdict == "fail"
    changed = [finding for finding in result.findings if finding.rule == "KMR406"]
    assert changed[0].layer == MISTAKES[mistake], result.findings
    if mistake == "missing activation":
        assert any(finding.rule == "KMR401" and finding.layer == "act" for finding in result.findings)
    # And in the other direction: the baseline is the wrong one.
    back = compared(right[before], saved(form, tmp_path, mistake))
    assert (back.verdict, next(one.layer for one in back.findings if one.rule == "KMR406")) == (
        "fail", MISTAKES[mistake],
    )  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_baked_batch(right, tmp_path, form):
    """It fails at any other size, and the error names the place in both models, whichever of them is the wrong one."""
    wrong, other = saved(form, tmp_path, "baked batch"), right["torchscript" if form != "torchscript" else "pt2"]
    # A .pt2 file declares its batch, and a comparison with it takes no other.
    for pair in [(wrong, other)] if form == "pt2" else [(wrong, other), (other, wrong)]:
        with pytest.raises(ModelRunError, match="forward pass failed") as caught:
            compared(*pair)
        if form.startswith("onnx"):
            assert "at 'flatten'" in caught.value.message
            assert caught.value.message.endswith(f"{other} takes this batch, and runs 'flatten'")
        else:  # what was baked stands between two layers
            assert (caught.value.layer, caught.value.after) == (None, "act")
            assert caught.value.message.endswith(f"{other} takes this batch, and 'flatten' comes after 'act' there")


@pytest.mark.parametrize("form", ["module", "torchscript", "pt2"])
def test_a_batch_that_is_baked_into_a_layer(tmp_path, form):
    """That layer is named, in both models; in files as in processes of their own."""
    import torch
    from torch import nn
    from zoo import exported, torchscript

    class Fold(nn.Module):
        def __init__(self, batch: int) -> None:
            super().__init__()
            self.act, self.batch = nn.ReLU(), batch

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act(x).reshape(self.batch, 72)

    def made(batch: int):
        module = nn.Sequential(nn.Tanh(), Fold(batch), nn.Identity()).eval()
        if form == "module":
            return module
        if form == "torchscript":
            return torchscript.save(torchscript.script(module), tmp_path / f"{batch}.pt")
        example = {"input": BATCH["image"][:3]}
        return exported.save(exported.plain(module, example, fixed=batch == 3), tmp_path / f"{batch}.pt2")

    with open_model(made(3), in_process=form == "module") as now, open_model(made(-1), in_process=True) as before:
        with pytest.raises(ModelRunError) as caught:
            compare_models(now, before, {now.inputs[0].name: BATCH["image"]})
        path = before.info.path
    assert (caught.value.layer, caught.value.after) == ("1", "1.act")
    assert caught.value.message.endswith(f"; {path} takes this batch, and runs '1'")
    assert "the last layer that ran before is '1.act'" in caught.value.message


# -- Keras -----------------------------------------------------------------------------------------------------------

KERAS = Path(__file__).parents[1] / "zoo" / "keras_exports"
KERAS_FORMS = {"keras": "network.keras", "savedmodel": "savedmodel", "onnx": "network.onnx", "pt2": "network.pt2"}
IMAGES = np.random.default_rng(5).standard_normal((6, 6, 6, 2)).astype(np.float32)


@loads_keras
@pytest.mark.parametrize("before", KERAS_FORMS)
@pytest.mark.parametrize("now", KERAS_FORMS)
def test_what_keras_exports_agrees_with_the_model(now, before):
    result = compared(KERAS / KERAS_FORMS[now], KERAS / KERAS_FORMS[before], IMAGES)
    assert result.verdict == "pass", result.findings
    assert [output.agrees for output in result.outputs] == [True]


KERAS_MISTAKES = {
    "transposed weight": ("again", lambda layer: layer.kernel.assign(np.asarray(layer.kernel).T)),
    "missing activation": ("act", lambda layer: setattr(layer, "negative_slope", 1.0)),
    "swapped channels": ("conv", lambda layer: layer.kernel.assign(np.asarray(layer.kernel)[:, :, ::-1])),
    "other epsilon": ("bn", lambda layer: setattr(layer, "epsilon", 0.3)),
}
"""What is done to the Keras model -> the layer that it is done to, and how."""


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    """Writes the Keras model with a mistake."""
    folder = tmp_path_factory.mktemp("wrong")

    def write(mistake):
        import keras

        path = folder / f"{mistake}.keras"
        if not path.exists():
            model = keras.models.load_model(KERAS / "network.keras")
            layer, change = KERAS_MISTAKES[mistake]
            change(model.get_layer(layer))
            model.save(path)
        return path

    return write


OPERATORS = {
    "onnx": {"again": "MatMul_1", "act": "Relu", "conv": "Conv", "bn": "Mul"},
    "pt2": {"again": "matmul_1", "act": "relu", "conv": "conv2d", "bn": "mul_"},
}
"""Layer -> the operator that does its work, or begins to, in what Keras exports; a SavedModel has the layers' names."""


@loads_keras
@pytest.mark.parametrize("mistake", KERAS_MISTAKES)
@pytest.mark.parametrize("before", ["savedmodel", "onnx", "pt2"])
def test_a_mistake_between_keras_and_its_exports(wrong, before, mistake):
    layer = KERAS_MISTAKES[mistake][0]
    other = OPERATORS[before][layer] if before in OPERATORS else None
    result = compared(wrong(mistake), KERAS / KERAS_FORMS[before], IMAGES)
    assert (result.verdict, named(result)) == ("fail", (layer, other)), result.findings
    back = compared(KERAS / KERAS_FORMS[before], wrong(mistake), IMAGES)
    expected = (layer, None) if other is None else (other, layer)
    assert (back.verdict, named(back)) == ("fail", expected), back.findings


def named(result):
    """The first layer with other values, on both sides; its counterpart is None where it has the same name."""
    first = next(one for one in result.findings if one.rule == "KMR406" and one.severity == "error")
    return first.layer, first.counterpart


@loads_keras
def test_a_batch_that_is_baked_into_what_keras_exported(tmp_path):
    baked = partial(onnx_conversions.baked_batch, width=16)
    wrong = onnx_conversions.spoil(KERAS / "network.onnx", baked, tmp_path / "baked.onnx")
    for pair in ((wrong, KERAS / "network.keras"), (KERAS / "network.keras", wrong)):
        with pytest.raises(ModelRunError, match="forward pass failed") as caught:
            compared(*pair, IMAGES)
        assert "at 'Reshape'" in caught.value.message
        # No layer of the two has the same name: what leaves the one tells where the other is.
        assert caught.value.message.endswith(
            "network.keras takes this batch, and 'flatten' comes after 'pool', which leaves the same values, there"
        ), caught.value
