"""A sample that is in part missing, altogether missing, or faint, beside two different sets of others."""

import numpy as np
import pytest
from zoo.arrays import ArraySession

from kmr_cli.check.check import check
from kmr_cli.records import ModelInfo

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from zoo.torchscript import quietly, script  # noqa: E402

from kmr_cli import open_model  # noqa: E402

pytestmark = [
    pytest.mark.usefixtures("tensors"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # of models that are given Inf
]
WIDTH = 7


def errors(function, size, seed=0):
    session = ArraySession([("fill", function), ("after", np.tanh)], (None, WIDTH))
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    x = np.random.default_rng(seed).standard_normal((size, WIDTH))
    return {(one.rule, one.layer) for one in check(session, info, {"x": x}).findings if one.severity == "error"}


def median_of_the_batch(x):
    return np.where(np.isnan(x), np.nan_to_num(np.nanmedian(x, axis=0)), x)


def last_known(x):
    rows = np.where(np.isnan(x), 0, np.arange(len(x))[:, None])
    return np.nan_to_num(np.take_along_axis(x, np.maximum.accumulate(rows, axis=0), axis=0))


def mean_for_who_holds_nothing(x):
    known = np.nan_to_num(x)
    return np.where(np.isnan(x).all(1, keepdims=True), known.mean(0), known)


def mean_of_the_row(x):
    known = np.nan_to_num(x)
    return np.where(np.isnan(x), known.mean(1, keepdims=True), known)


@pytest.mark.parametrize("size", [2, 3, 10])
@pytest.mark.parametrize("fill", [median_of_the_batch, last_known, mean_for_who_holds_nothing])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_gaps_that_others_fill(fill, size, seed):
    assert errors(fill, size, seed) == {("KMR101", "fill")}


@pytest.mark.parametrize("size", [2, 3, 10])
def test_gaps_that_a_sample_fills_itself(size):
    assert errors(mean_of_the_row, size) == set()


def gate(x):
    power = np.square(x).mean(1, keepdims=True)
    return np.where(power > 1e-7 * power.max(), x, 0)


def own_gate(x):
    return np.where(np.abs(x) > 1e-3 * np.abs(x).max(1, keepdims=True), x, 0)


@pytest.mark.parametrize("size", [2, 3, 4, 8])
def test_silence_beside_the_loudest_of_the_batch(size):
    assert errors(gate, size) == {("KMR101", "fill")}
    assert errors(own_gate, size) == set()


class Filled(nn.Module):
    """Inf stands for what is missing."""

    def __init__(self, axis):
        super().__init__()
        self.axis: int = axis
        self.out = nn.Linear(WIDTH, 3)

    def forward(self, x):
        gaps = torch.isinf(x)
        known = torch.where(gaps, torch.zeros_like(x), x)
        return self.out(torch.where(gaps, known.amax(self.axis, keepdim=True), x))


@pytest.mark.parametrize("size", [2, 6])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("form", ["pt", "pt2", "onnx"])
def test_an_operator_in_which_samples_meet_is_given_gaps_of_inf(tmp_path, form, axis, size):
    x = torch.randn(4, WIDTH)
    path = tmp_path / f"model.{form}"
    if form == "pt":
        script(Filled(axis)).save(str(path))
    elif form == "pt2":
        free = {0: torch.export.Dim("batch")}
        torch.export.save(torch.export.export(Filled(axis).eval(), (x,), dynamic_shapes=(free,)), str(path))
    else:
        free = {"x": {0: "batch"}}
        quietly(
            torch.onnx.export, Filled(axis).eval(), (x,), str(path), dynamo=False, input_names=["x"], dynamic_axes=free
        )  # fmt: skip
    batch = {"x": np.random.default_rng(4).standard_normal((size, WIDTH)).astype(np.float32)}
    with open_model(path) as model:
        report = model.check_batch_axis(batch)
    assert {one.rule for one in report.findings if one.severity == "error"} == ({"KMR101"} if axis == 0 else set())


class WithIds(nn.Module):
    """Ids beside floats: whoever holds nothing but NaN keeps its ids."""

    def __init__(self):
        super().__init__()
        self.words, self.out = nn.Embedding(30, 4), nn.Linear(WIDTH, 4)

    def forward(self, x, ids):
        return self.out(torch.nan_to_num(x)) + self.words(ids)


def test_what_a_missing_sample_holds_besides_stays(tmp_path):
    path = tmp_path / "model.pt"
    script(WithIds()).save(str(path))
    rng = np.random.default_rng(5)
    batch = {"x": rng.standard_normal((5, WIDTH)).astype(np.float32), "ids": rng.integers(0, 30, 5)}
    with open_model(path) as model:
        assert model.check_batch_axis(batch).verdict == "pass"
