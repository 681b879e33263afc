"""A report says what the check did not look at."""

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from zoo.arrays import ArraySession

from kmr_cli.check.check import Policy, check
from kmr_cli.errors import ModelRunError
from kmr_cli.records import LayerInfo, ModelInfo, TensorSpec
from kmr_cli.render.headline import headline
from kmr_cli.render.screen.layers import show_layers

UNLIKE = "data unlike what was run, which only a proof covers: the format provides no graph to prove it by"
pytestmark = pytest.mark.usefixtures("tensors")
X = np.random.default_rng(0).standard_normal((4, 3))
SPEC = TensorSpec("x", (None, 3), "float64")


def unexamined(spec=SPEC, data=X, policy=None, first=np.tanh, **about):
    session = ArraySession([("one", first)], spec.shape, spec.dtype)
    info = ModelInfo("m", "keras", "", (spec,), (), session.layers, 0, **about)
    return check(session, info, {"x": data}, policy=policy).not_examined


def test_the_other_mode_and_larger_batches():
    assert unexamined() == ("training mode", UNLIKE, "batch sizes above 32")


def test_other_sizes_of_a_model_that_declares_one():
    assert unexamined(fixed_batch=4) == ("training mode", UNLIKE, "batch sizes other than 4")


def test_padding_that_may_be_there_unless_it_was_checked():
    spec, data = TensorSpec("x", (None, None), "int64"), np.arange(12).reshape(4, 3)
    assert "masks: padding in input 'x' (--mask-input x=0)" in unexamined(spec, data)
    assert len(unexamined(spec, data, Policy(masks=("x=0",)))) == 3
    assert len(unexamined(replace(spec, shape=(None, 3)), data)) == 3


def test_masks_in_the_other_inputs_by_their_values_and_layers_that_mask():
    data = np.where(np.arange(6)[None] < np.array([6, 2, 4, 3])[:, None], np.arange(1.0, 25).reshape(4, 6), -1)
    assert "masks: padding in input 'x' (--mask-input x=-1)" in unexamined(replace(SPEC, shape=(None, 6)), data)
    layers = (LayerInfo("masking", "Scope"),)
    info = ModelInfo("m", "savedmodel", "", (SPEC,), (), layers, 0)
    lines = check(ArraySession([("one", np.tanh)], SPEC.shape, SPEC.dtype), info, {"x": X}).not_examined
    assert "masks: what layer 'masking' may mask (--mask-input x=0, or what else stands for padding)" in lines


class Sparse(ArraySession):
    """Lists layers that no tap reaches."""

    hidden = ()

    @property
    def layers(self):
        return (*super().layers, *self.hidden)


@pytest.mark.parametrize(
    ("unseen", "parameters", "told"),
    [
        ((), None, None),
        ((LayerInfo("cell", "Cell", untappable="it runs inside a loop"),), None, None),
        (
            tuple(LayerInfo(f"cell{n}", "Cell", untappable="it runs inside a loop") for n in range(2)),
            None,
            "layers: 2 of 3, 'cell0' the first: it runs inside a loop",
        ),
        (tuple(LayerInfo(f"list{n}", "ModuleList", calls=0) for n in range(5)), None, None),
        ((), 9, "layers: 9 of 9 parameters stand in no layer that is listed"),
    ],
    ids=["all seen", "half seen", "most unseen", "containers that never run", "parameters of no layer"],
)
def test_that_most_of_a_model_was_not_seen_and_then_it_is_not_called_every_layer(unseen, parameters, told):
    session = Sparse([("one", np.tanh)], SPEC.shape, SPEC.dtype)
    session.hidden = unseen
    layers = tuple(replace(layer, parameters=0) for layer in session.layers)
    info = ModelInfo("m", "keras", "", (SPEC,), (), layers, parameters)
    report = check(session, info, {"x": X})
    assert report.verdict == "pass"
    assert [line for line in report.not_examined if line.startswith("layers: ")] == ([told] if told else [])
    assert ("every layer" in headline(report)) == (told is None)
    assert ("every output depends on its own sample alone" in headline(report)) == (told is not None)


def test_parameters_of_layers_that_the_loaded_model_alone_shows_are_in_a_layer():
    """As of a subclassed model, whose file names none."""
    session = Sparse([("one", np.tanh)], SPEC.shape, SPEC.dtype)
    session.hidden = (LayerInfo("two", "Dense", parameters=7),)
    told = []
    for parameters in (9, 20):
        report = check(session, ModelInfo("m", "keras", "", (SPEC,), (), (), parameters), {"x": X})
        told += [line for line in report.not_examined if line.startswith("layers: ")]
    assert told == ["layers: 13 of 20 parameters stand in no layer that is listed"]


def test_parameters_of_no_layer_are_pointed_out():
    layers = (LayerInfo("a", "A", parameters=3), LayerInfo("a/b", "B", parameters=2), LayerInfo("c", "C", parameters=1))
    info = ModelInfo("m", "keras", "", (), (), layers, 10)
    assert info.parameters_outside == 6
    assert replace(info, parameters=4).parameters_outside == 0
    assert replace(info, parameters=None).parameters_outside == 0
    console = Console(file=io.StringIO(), width=100)
    show_layers(console, info, layers)
    assert "6 of them in no layer that is listed" in console.file.getvalue()


def test_also_where_the_batch_itself_fails():
    def picky(x):
        if len(x) == 4:
            raise ModelRunError("not four")
        return x

    assert unexamined(first=picky) == ("training mode", UNLIKE, "batch sizes above 32")
