"""Operators that check nothing are asked before they run: what would leave the memory of a tensor is an error."""

import copy

import pytest
import torch
from bad_files.torch_files import _program, _target
from zoo.samples import HOME

from kmr_cli import open_model
from kmr_cli.errors import ModelRunError
from kmr_cli.formats.common.torch_operators import DECOMPOSED
from kmr_cli.formats.exported.run import unchecked

aten = torch.ops.aten
WAVE, IMAGE = torch.rand(3, 8), torch.rand(2, 3, 4)
ONES, FOUR = torch.ones(3), torch.ones(4)
TABLE, ROWS, STARTS = torch.rand(5, 2), torch.tensor([0, 4, 2]), torch.tensor([0, 2])
RIGHT = {
    "r2c": (aten._fft_r2c.default, (WAVE, [1], 0, True)),
    "c2c": (aten._fft_c2c.default, (torch.view_as_complex(torch.rand(3, 2)), [0], 0, True)),
    "c2r": (aten._fft_c2r.default, (aten._fft_r2c.default(WAVE, [1], 0, True), [1], 2, 8)),
    "legit": (aten._native_batch_norm_legit.default, (IMAGE, ONES, ONES, ONES, ONES, False, 0.1, 1e-5)),
    "no stats": (aten._native_batch_norm_legit.no_stats, (IMAGE, ONES, None, True, 0.1, 1e-5)),
    "native": (aten.native_batch_norm.default, (IMAGE, None, None, ONES, ONES, False, 0.1, 1e-5)),
    "update": (aten._batch_norm_with_update.default, (IMAGE, ONES, ONES, ONES, ONES, 0.1, 1e-5)),
    "bag": (aten._embedding_bag.default, (TABLE, ROWS, STARTS)),
    "forward": (aten._embedding_bag_forward_only.default, (TABLE, ROWS, STARTS, False, 0, False, torch.ones(3))),
    "weight": (aten._weight_norm_interface.default, (torch.rand(4, 3), torch.rand(4, 1), 0)),
}
WRONG = {
    "an axis that isn't there": (aten._fft_r2c.default, (WAVE, [100_000], 0, True)),
    "an axis before the first": (aten._fft_r2c.default, (WAVE, [-3], 0, True)),
    "an axis twice": (aten._fft_r2c.default, (WAVE, [1, -1], 0, True)),
    "no axis": (aten._fft_r2c.default, (WAVE, [], 0, True)),
    "nothing": (aten._fft_r2c.default, (torch.rand(3, 0), [1], 0, True)),
    "other frequencies": (aten._fft_c2r.default, (aten._fft_r2c.default(WAVE, [1], 0, True), [1], 2, 800)),
    "other channels": (aten._native_batch_norm_legit.default, (IMAGE, FOUR, ONES, ONES, ONES, False, 0.1, 1e-5)),
    "fewer statistics": (aten.native_batch_norm.default, (IMAGE, None, None, ONES, ONES[:1], False, 0.1, 1e-5)),
    "no statistics": (aten.native_batch_norm.default, (IMAGE, None, None, None, None, False, 0.1, 1e-5)),
    "no channels": (aten._native_batch_norm_legit.no_stats, (ONES, ONES, None, True, 0.1, 1e-5)),
    "a row beyond the table": (aten._embedding_bag.default, (TABLE, torch.tensor([0, 5, 2]), STARTS)),
    "a row before it": (aten._embedding_bag.default, (TABLE, torch.tensor([0, -1, 2]), STARTS)),
    "a bag beyond the rows": (aten._embedding_bag.default, (TABLE, ROWS, torch.tensor([0, 9_999_999]))),
    "bags that overlap": (aten._embedding_bag.default, (TABLE, ROWS, torch.tensor([0, 2, 1]))),
    "fewer weights": (aten._embedding_bag.default, (TABLE, ROWS, STARTS, False, 0, False, torch.ones(1))),
    "fewer lengths": (aten._weight_norm_interface.default, (torch.rand(4, 3), torch.rand(1), 0)),
}


@pytest.mark.parametrize("case", RIGHT)
def test_what_is_right_is_what_torch_says(case):
    function, arguments = RIGHT[case]
    mine, theirs = (run(*copy.deepcopy(arguments)) for run in (unchecked.guarded(function), function))
    assert unchecked.guarded(function) is not function
    for one, other in zip(*[each if isinstance(each, tuple) else (each,) for each in (mine, theirs)], strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("case", WRONG)
def test_what_would_leave_the_memory_is_an_error(case):
    function, arguments = WRONG[case]
    with pytest.raises(RuntimeError) as raised:
        unchecked.guarded(function)(*arguments)
    assert "Exception raised from" not in str(raised.value)  # ours, not torch's: what it says depends on the release
    assert raised.traceback[-1].path.name == "unchecked.py"


def test_arguments_by_name_count_too():
    with pytest.raises(RuntimeError, match="along"):
        unchecked.guarded(aten._fft_r2c.default)(WAVE, dim=[7], normalization=0, onesided=True)


def test_all_that_programs_may_have_and_code_may_not_are_asked():
    assert {f"aten::{name}" for name in unchecked._CHECKS} >= DECOMPOSED.keys()


def test_others_are_themselves():
    assert unchecked.guarded(aten.relu.default) is aten.relu.default
    assert unchecked.guarded(max) is max


def test_in_a_program(tmp_path):
    def edit(document):
        _target("torch.ops.aten._fft_r2c.default")(document)
        node = document["graph_module"]["graph"]["nodes"][0]
        given = {"dim": {"as_ints": [100_000]}, "normalization": {"as_int": 0}, "onesided": {"as_bool": True}}
        node["inputs"] = [node["inputs"][0], *({"name": key, "arg": value, "kind": 1} for key, value in given.items())]

    with open_model(_program(tmp_path, edit)) as model, pytest.raises(ModelRunError, match="has no Fourier transform"):
        model.sample("head", 0, HOME / "digits.npz")
