"""A report says what the check did not look at."""

from dataclasses import replace

import numpy as np
import pytest
from zoo.arrays import ArraySession

from kmr_cli.check.check import Policy, check
from kmr_cli.errors import ModelRunError
from kmr_cli.records import ModelInfo, TensorSpec

pytestmark = pytest.mark.usefixtures("tensors")
X = np.random.default_rng(0).standard_normal((4, 3))
SPEC = TensorSpec("x", (None, 3), "float64")


def unexamined(spec=SPEC, data=X, policy=None, first=np.tanh, **about):
    session = ArraySession([("one", first)], spec.shape, spec.dtype)
    info = ModelInfo("m", "keras", "", (spec,), (), session.layers, 0, **about)
    return check(session, info, {"x": data}, policy=policy).not_examined


def test_the_other_mode_and_larger_batches():
    assert unexamined() == ("training mode", "batch sizes above 5")


def test_other_sizes_of_a_model_that_declares_one():
    assert unexamined(fixed_batch=4) == ("training mode", "batch sizes other than 4")


def test_padding_that_may_be_there_unless_it_was_checked():
    spec, data = TensorSpec("x", (None, None), "int64"), np.arange(12).reshape(4, 3)
    assert "padding in input 'x' (--mask-input x=0)" in unexamined(spec, data)
    assert len(unexamined(spec, data, Policy(masks=("x=0",)))) == 2
    assert len(unexamined(replace(spec, shape=(None, 3)), data)) == 2


def test_also_where_the_batch_itself_fails():
    def picky(x):
        if len(x) == 4:
            raise ModelRunError("not four")
        return x

    assert unexamined(first=picky) == ("training mode", "batch sizes above 32")
