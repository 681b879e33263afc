"""The engine numbers the samples of the input batch as ``DynamicBatchIndexGenerator`` does."""

import keras
import numpy as np
import pytest
from zoo.samples import DATA, batch_of

from kmr_cli.batch.given import number_samples
from kmr_cli.layers import DynamicBatchIndexGenerator


@pytest.mark.parametrize("size", [1, 2, 11, 300])
def test_numbers(size):
    numbers = number_samples({"x": np.zeros((size, 3)), "y": np.zeros((size, 2, 2), np.float16)})
    assert numbers.dtype == np.int32
    assert numbers.tolist() == list(range(size))


@pytest.mark.parametrize("name", DATA)
def test_the_layer_gives_the_same_numbers_for_every_input(name):
    batch = batch_of(name)
    numbers = number_samples(batch)
    for values in batch.values():
        index = keras.ops.convert_to_numpy(DynamicBatchIndexGenerator()(values))
        assert index.dtype == numbers.dtype
        np.testing.assert_array_equal(index, numbers)
