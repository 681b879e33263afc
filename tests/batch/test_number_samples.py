"""The engine numbers the samples of the input batch as ``DynamicBatchIndexGenerator`` does."""

import keras
import numpy as np
import pytest
from zoo.samples import DATA, HOME, batch_of

from kmr_cli import open_model
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


@pytest.mark.slow
@pytest.mark.parametrize("name", DATA)
def test_the_taps_at_the_inputs_have_these_owners(name):
    batch = batch_of(name)
    with open_model(HOME / name) as model:
        records = model.sample("*", slice(None), batch, side="in")
    parts: dict[tuple[str, int, str], list] = {}
    for record in records:
        parts.setdefault((record.layer, record.call, record.port), []).append(record)
    for values in batch.values():
        rows = values.reshape(len(values), -1)
        at_input = [
            found
            for found in parts.values()
            if len(found) == len(values) and np.array_equal([record.value.ravel() for record in found], rows)
        ]
        assert at_input
        for found in at_input:
            assert found[0].index.axis == 0
            assert found[0].index.owners == tuple(number_samples(batch).tolist())
            assert [record.sample for record in found] == number_samples(batch).tolist()
