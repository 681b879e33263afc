"""The batch sizes to try, in Python and on the command line."""

import numpy as np
import pytest
from onnx import helper
from zoo import onnx_models

from kmr_cli import KmrError, Policy, check_batch_axis, open_model
from kmr_cli.api.batches import refuse_sizes

X = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)


def saved(path, batch="batch"):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"], "dense"), helper.make_node("Tanh", ["h"], ["y"], "tanh")]
    ends = [onnx_models.tensor("x", [batch, 4])], [onnx_models.tensor("y", [batch, 3])]
    return onnx_models.save(onnx_models.model(nodes, *ends, [onnx_models.weights("w", 4, 3)]), path)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    with open_model(saved(tmp_path_factory.mktemp("sizes") / "m.onnx"), in_process=True) as opened:
        yield opened


def test_the_sizes_are_those_that_were_asked_for(model):
    report = check_batch_axis(model, X, batch_sizes=[40, 2, 2], proof=False)
    assert (report.verdict, report.batch_sizes) == ("pass", (8, 2, 40))
    assert "batch sizes above 40" in report.not_examined
    assert model.check_batch_axis(X, policy=Policy(batch_sizes=(3,))).batch_sizes == (8, 3)
    assert model.check_batch_axis(X, batch_sizes=16).batch_sizes == (8, 16)
    assert 32 in model.check_batch_axis(X).batch_sizes


@pytest.mark.parametrize(
    ("sizes", "said"),
    [([0], "at least 1, not 0"), ([2.5], "must be a whole number, not 2.5"), ([70000], "at most 65536")],
)
def test_what_is_not_a_size_is_refused_in_one_line(model, sizes, said):
    with pytest.raises(KmrError, match=said):
        model.check_batch_axis(X, batch_sizes=sizes)


def test_inputs_that_would_fill_the_memory_are_refused(model):
    wide = np.broadcast_to(np.float32(1), (8, 4, 10_000))
    with pytest.raises(KmrError, match=r"batch of 60000 samples takes \d+.\d GB for the inputs alone"):
        refuse_sizes(model._opened, (1, 60_000), {"x": wide})


def test_a_model_of_one_batch_size_says_that_no_other_is_tried(tmp_path):
    told = []
    with open_model(saved(tmp_path / "fixed.onnx", batch=8), in_process=True) as opened:
        opened._opened.report = lambda kind, text: told.append(text)
        assert opened.check_batch_axis(X[:8], batch_sizes=[1, 2]).batch_sizes == (8,)
    assert "the model takes exactly 8 samples: no other batch size is tried" in told
