"""Made-up data that a model rightly refuses say nothing of it: ids that come as floats, rows that must be whole."""

import numpy as np
import pytest
from zoo.arrays import ArraySession
from zoo.cases import judge
from zoo.clean import ids

from kmr_cli.batch.synthetic import synthesize
from kmr_cli.check.check import check
from kmr_cli.errors import ModelRunError
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.records import ModelInfo, TensorSpec

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
CASES = {f"{case.format}, {case.name}": case for case in ids.cases()}
ROWS = np.random.default_rng(0).standard_normal((6, 4))


@pytest.mark.parametrize(
    "name",
    [
        "torchscript, columns in floats", "torchscript, columns in floats, made up", "onnx, words in floats, made up",
        "pt2, columns in floats", "savedmodel, columns in floats",
    ],
)  # fmt: skip
def test_a_model_that_casts_floats_to_ids_passes(name):
    outcome = judge(CASES[name])
    assert (outcome.verdict, outcome.errors) == ("pass", ()), outcome.reasons


@pytest.mark.parametrize("form", ["onnx", "torchscript", "savedmodel"])
def test_made_up_ids_are_several_words_of_the_table(form, tmp_path):
    case = CASES[f"{form}, words in floats, made up"]
    path = case.build(tmp_path)
    info = detect(path).describe(path, OpenOptions())
    assert info.inputs[0].whole
    values = synthesize(info, 6, 0, case.shapes)["x"]
    assert values.dtype == np.float32
    assert (values == np.floor(values)).all()
    assert 0 <= values.min() < values.max() < 50
    assert len(np.unique(values)) > 10


def whole_rows(*, but=np.tanh):
    """A model that fails on every row but those of the batch, whole; then ``but``."""

    def look(x):
        if not (x[:, None] == ROWS).all(axis=2).any(axis=1).all():
            raise ModelRunError("no such row")
        return but(x)

    return [("look", look)]


def checked(steps, shape=(None, 4)):
    session = ArraySession(steps, shape, "float64")
    info = ModelInfo("m", "keras", "", (TensorSpec("x", shape, "float64"),), (), session.layers, 0)
    return check(session, info, {"x": ROWS})


def test_copies_of_whole_samples_stand_in_where_made_up_ones_are_refused():
    report = checked(whole_rows())
    assert report.verdict == "pass"
    assert any(
        "copies of whole samples took their place" in line and "no such row" in line for line in report.not_examined
    )


def test_they_show_what_mixes_all_the_same():
    report = checked(whole_rows(but=lambda x: x - x.mean(axis=0)))
    assert ("KMR101", "look") in {(finding.rule, finding.layer) for finding in report.findings}


def test_a_model_that_takes_no_other_batch_at_all():
    def look(x):
        if not any((x == ROWS[:size]).all() for size in range(1, 7) if len(x) == size):
            raise ModelRunError("not these rows")
        return x

    with pytest.raises(ModelRunError, match=r"takes the batch, but not the other data .*: not these rows"):
        checked([("look", look)])


def test_nan_that_is_refused_is_a_fault_only_where_no_float_is_an_id():
    def look(x):
        if np.isnan(x).any():
            raise ModelRunError("no NaN")
        return np.tanh(x)

    assert {finding.rule for finding in checked([("look", look)]).findings} == {"KMR108"}
    whole = np.floor(ROWS * 9)
    session = ArraySession([("look", look)], (None, 4), "float64")
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    report = check(session, info, {"x": whole})
    assert report.verdict == "pass"
    assert any("NaN in a sample" in line and "no NaN" in line for line in report.not_examined)


def test_extreme_values_that_are_refused_are_named():
    def look(x):
        if np.abs(x).max() > 20:
            raise ModelRunError("too large")
        return np.tanh(x)

    report = checked([("look", look)])
    assert report.verdict == "pass"
    assert any(line.startswith("making the others extreme") and "too large" in line for line in report.not_examined)


def test_samples_in_order_stay_in_order_in_batches_of_other_sizes():
    def look(x):
        if (np.diff(x[:, 0]) > 0).any():
            raise ModelRunError("the longest comes first")
        return np.tanh(x)

    session = ArraySession([("look", look)], (None, 1), "int64")
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    report = check(session, info, {"x": np.array([[9], [7], [6], [2]])})
    assert (report.verdict, report.findings) == ("pass", ())
    assert max(report.batch_sizes) >= 32
