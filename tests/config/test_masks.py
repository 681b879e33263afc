"""How ``--mask-input`` is read."""

import numpy as np
import pytest

from kmr_cli.config.masks import masks_of
from kmr_cli.errors import BatchError
from kmr_cli.records import TensorSpec

COUNTED = np.arange(6)[None] < np.array([6, 2, 4, 3])[:, None]
X = np.ones((4, 6, 2))


def read(text, mask):
    name = text.partition("=")[0]
    batch = {"x": X, name: mask}
    (found,) = masks_of([text], [TensorSpec(key) for key in batch], batch)
    return found


@pytest.mark.parametrize("text", ["m=True", "m=true", "m=1"])
def test_true_is_padding_where_it_is_said(text):
    found = read(text, COUNTED)
    assert (found.value, found.hides, found.padding, found.counted) == (None, 1, 1, 0)


@pytest.mark.parametrize("text", ["m=False", "m=0"])
def test_false_is_padding_where_it_is_said(text):
    found = read(text, ~COUNTED)
    assert (found.value, found.hides, found.padding, found.counted) == (None, 0, 0, 1)


@pytest.mark.parametrize("dtype", ["bool", "int64", "float32"])
def test_the_data_tell_which_value_hides(dtype):
    assert read("m", COUNTED.astype(dtype)).hides == 0
    assert read("m", (~COUNTED).astype(dtype)).hides == 1


def test_a_padding_mask_that_does_not_tell_is_asked_about():
    random = np.array([[True, False, True, False, True, True]] * 4)
    assert read("attention_mask", random).hides == 0
    with pytest.raises(BatchError, match="which value stands for padding") as caught:
        read("key_padding_mask", random)
    assert caught.value.hint == "--mask-input key_padding_mask=True or --mask-input key_padding_mask=False"
    with pytest.raises(BatchError) as caught:
        read("padding_mask", random.astype("int32"))
    assert "padding_mask=1" in caught.value.hint


def test_padding_in_data_stays_a_number():
    found = read("ids=9", np.arange(24).reshape(4, 6))
    assert (found.value, found.padding) == (9.0, 9.0)
