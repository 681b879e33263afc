"""Made-up masks and lengths are valid ones."""

import numpy as np
import pytest

from kmr_cli.arrays.masks import hiding_value
from kmr_cli.batch.synthetic import synthesize
from kmr_cli.records import ModelInfo, TensorSpec


def made(**shapes):
    dtypes = {name: dtype for name, (dtype, *_) in shapes.items()}
    specs = tuple(TensorSpec(name, (None, *shape), dtypes[name]) for name, (_, *shape) in shapes.items())
    return synthesize(ModelInfo("m", "onnx", "", specs, (), (), None), 5, 0, {})


def test_lengths_lie_between_one_and_the_number_of_steps_longest_first():
    batch = made(x=("float32", 9, 12), lengths=("int64",), src_len=("float32",))
    assert batch["lengths"].tolist() == [9, 8, 7, 6, 5]
    assert batch["lengths"].dtype == np.int64
    assert np.allclose(batch["src_len"], batch["lengths"] / 9)


def test_masks_hold_zeros_and_ones_that_change_once():
    batch = made(ids=("int64", 6), attention_mask=("int64", 6), bias_mask=("float32", 1, 1, 6), valid=("bool", 6))
    assert batch["attention_mask"].tolist()[0] == [1] * 6
    assert batch["attention_mask"].tolist()[-1] == [1, 1, 1, 0, 0, 0]
    assert (batch["bias_mask"][:, 0, 0] == batch["attention_mask"]).all()
    assert (batch["valid"] == (batch["attention_mask"] == 1)).all()


@pytest.mark.parametrize("dtype", ["bool", "int64", "float32"])
def test_a_padding_mask_does_not_tell_which_value_stands_for_padding(dtype):
    values = made(x=("float32", 6, 4), src_key_padding_mask=(dtype, 6))["src_key_padding_mask"]
    assert set(np.unique(values).tolist()) == {0, 1}
    assert hiding_value(values) is None


def test_a_mask_of_pairs_hides_what_comes_later_too():
    (mask,) = made(x=("float32", 4, 2), mask=("float32", 2, 4, 4))["mask"][:1]
    assert (mask == np.tril(np.ones((4, 4)))).all()


def test_other_inputs_are_what_they_were_without_them():
    batch, alone = made(x=("float32", 6), mask=("float32", 6)), made(x=("float32", 6))
    assert (batch["x"] == alone["x"]).all()


def test_types_and_labels_are_not_masks():
    assert made(token_type_mask=("int64", 50))["token_type_mask"].max() > 1
