"""Masks as attention takes them: each is found to be heeded, or not, and named where nobody asked."""

import numpy as np
import pytest
from zoo.cases import judge
from zoo.clean import attention_masks as clean
from zoo.faults import attention_masks as faults

from kmr_cli.batch.likely_masks import likely_masks
from kmr_cli.config.masks import masks_of
from kmr_cli.errors import BatchError
from kmr_cli.records import ModelInfo, TensorSpec

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]
FAULTS = {case.name: case for case in faults.cases()}
CLEAN = {case.name: case for case in clean.cases()}


@pytest.mark.parametrize("name", FAULTS)
def test_a_mask_that_is_not_heeded_is_found(name):
    outcome = judge(FAULTS[name])
    assert outcome.found, (outcome.verdict, outcome.errors, outcome.reasons)


@pytest.mark.parametrize("name", CLEAN)
def test_its_twin_passes(name):
    outcome = judge(CLEAN[name])
    assert (outcome.verdict, outcome.errors) == ("pass", ()), outcome.reasons


@pytest.mark.parametrize("name", CLEAN)
def test_it_is_named_where_nobody_asked_with_the_option_that_has_it_examined(name):
    case = CLEAN[name]
    batch = dict(case.data())
    specs = tuple(TensorSpec(key, None, str(values.dtype)) for key, values in batch.items())
    found = {likely.option for likely in likely_masks(ModelInfo("m", "torchscript", "", specs, (), (), 0), batch)}
    (asked,) = case.masks
    assert found <= {asked, f"{asked}=True", f"{asked}=1"}
    assert found
    (likely,) = found
    assert masks_of([likely], specs, batch) == masks_of([asked], specs, batch)


def test_a_mask_of_pairs_is_named_and_the_padded_input_asked_for():
    pairs = np.tril(np.ones((9, 9), bool))[None] & faults.COUNTED[:, None]
    batch = {"x": np.random.default_rng(0).standard_normal((6, 9, 4)), "mask": pairs}
    specs = (TensorSpec("x", None, "float64"), TensorSpec("mask", None, "bool"))
    info = ModelInfo("m", "torchscript", "", specs, (), (), 0)
    assert [likely.option for likely in likely_masks(info, batch)] == ["INPUT=VALUE"]
    with pytest.raises(BatchError, match="masks pairs of steps") as caught:
        masks_of(["mask"], specs, batch)
    assert "--mask-input NAME=VALUE" in caught.value.hint
    same = {**batch, "mask": np.repeat(np.tril(np.ones((1, 9, 9), bool)), 6, 0)}
    assert not list(likely_masks(info, same))


def test_an_added_mask_is_given_by_its_value_too():
    values = np.where(faults.COUNTED, 0, -1e4).astype(np.float32)
    batch, specs = {"mask": values}, (TensorSpec("mask", None, "float32"),)
    (mask,) = masks_of(["mask=-10000"], specs, batch)
    assert (mask.value, mask.padding, mask.counted) == (None, -1e4, 0)


def test_a_mask_that_says_the_same_as_the_padding_changes_with_it():
    ids = np.where(faults.COUNTED, faults.IDS, 0)
    batch = {"ids": ids, "keep": faults.COUNTED.astype(np.int64), "other": (faults.IDS > 9).astype(np.int64)}
    specs = tuple(TensorSpec(name, None, "int64") for name in batch)
    assert [(mask.name, mask.value, mask.hides) for mask in masks_of(["ids=0"], specs, batch)] == [
        ("ids", 0, 0),
        ("keep", None, 0),
    ]
