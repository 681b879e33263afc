"""Masks as attention takes them: each is found to be heeded, or not, and named where nobody asked."""

import numpy as np
import pytest
from zoo.cases import judge
from zoo.clean import attention_masks as clean
from zoo.faults import attention_masks as faults

from kmr_cli.batch.likely_masks import likely_masks
from kmr_cli.check.probes.masks import padded
from kmr_cli.config.masks import masks_of
from kmr_cli.errors import BatchError
from kmr_cli.records import ModelInfo, TensorSpec

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]
FAULTS = {f"{case.name}, {case.format}": case for case in faults.cases()}
CLEAN = {f"{case.name}, {case.format}": case for case in clean.cases()}


@pytest.mark.parametrize("name", FAULTS)
def test_a_mask_that_is_not_heeded_is_found(name):
    case = FAULTS[name]
    outcome = judge(case)
    assert outcome.found, (outcome.verdict, outcome.errors, outcome.reasons)
    assert outcome.named == (case.layer,)  # where padding first shows beside itself, of a memory in the softmax


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


PAIRS = np.tril(np.ones((9, 9), bool))[None] & faults.COUNTED[:, None]


@pytest.mark.parametrize("hides", [False, True, -np.inf])
def test_a_mask_of_pairs_is_named_and_read(hides):
    pairs = hides != PAIRS if isinstance(hides, bool) else np.where(PAIRS, 0, hides).astype(np.float32)
    pairs = pairs[:, None]  # as heads are broadcast
    batch = {"x": np.random.default_rng(0).standard_normal((6, 9, 4)), "mask": pairs}
    specs = (TensorSpec("x", None, "float64"), TensorSpec("mask", None, str(pairs.dtype)))
    info = ModelInfo("m", "torchscript", "", specs, (), (), 0)
    assert [likely.option for likely in likely_masks(info, batch)] == ["mask"]
    (mask,) = masks_of(["mask"], specs, batch)
    assert (mask.hides, mask.axis, mask.pairs) == (float(hides), 3, True)
    padded_ = padded(batch, [mask], {9: np.array([9, 3, 2, 8, 1, 4])})["mask"]
    seen = (padded_ != hides).any(axis=(1, 2)).sum(axis=1)
    assert seen.tolist() == [9, 3, 2, 8, 1, 4]
    assert not (np.triu(np.ones((9, 9), bool), 1) & (padded_ != hides)).any()  # what was causal still is


def test_a_mask_of_pairs_goes_with_the_padding_of_another_input():
    batch = {"ids": np.where(faults.COUNTED, faults.IDS, 0), "mask": PAIRS}
    specs = (TensorSpec("ids", None, "int64"), TensorSpec("mask", None, "bool"))
    ids, mask = masks_of(["ids=0"], specs, batch)
    assert (ids.value, mask.name, mask.pairs, mask.implied) == (0, "mask", True, True)


def test_a_mask_of_pairs_that_tells_no_padding_is_not_named_and_the_hint_says_what_to_type():
    same = np.repeat(np.tril(np.ones((1, 9, 9), bool)), 6, 0)
    batch = {"x": np.random.default_rng(0).standard_normal((6, 9, 4)), "mask": same}
    specs = (TensorSpec("x", None, "float64"), TensorSpec("mask", None, "bool"))
    assert not list(likely_masks(ModelInfo("m", "torchscript", "", specs, (), (), 0), batch))
    with pytest.raises(BatchError, match="mask pairs of steps") as caught:
        masks_of(["mask"], specs, batch)
    assert "--mask-input x=0" in caught.value.hint


def test_types_of_tokens_are_no_padded_ids():
    specs = tuple(TensorSpec(name, (None, None), "int64", 2) for name in ("input_ids", "token_type_ids"))
    info = ModelInfo("m", "onnx", "", specs, (), (), 0, free_dims=True)
    batch = {"input_ids": faults.IDS, "token_type_ids": np.zeros_like(faults.IDS)}
    assert [likely.option for likely in likely_masks(info, batch)] == ["input_ids=0"]


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
