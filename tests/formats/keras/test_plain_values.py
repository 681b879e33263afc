"""Numbers, text and lists that a subclassed Keras model returns: samples meet in them as they do in tensors."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from zoo import keras as zoo

from kmr_cli import open_model
from kmr_cli.formats.keras.run.outputs import named_leaves

pytestmark = [pytest.mark.filterwarnings(line) for line in zoo.KERAS_WARNS]
BATCH = {"x": np.random.default_rng(0).standard_normal((6, 3)).astype("float32")}
SEVERAL = {"x": BATCH["x"] + np.float32([[-2], [-2], [2], [2], [2], [2]])}
"""The first sample alone is judged otherwise than all together."""


def number(h, judged):
    return h, float(judged.mean())


def numbers(h, judged):
    return [h, [float(value) for value in judged[:, 0]]]


def text(h, judged):
    return {"h": h, "label": "high" if judged.mean() > 0 else "low"}


def texts(_, judged):
    return ["high" if value > 0 else "low" for value in judged[:, 0]]


def boxes(_, judged):
    """As many boxes as a sample has scores above zero."""
    found = [ops.convert_to_tensor(np.repeat(row[None], 1 + (row > 0).sum(), axis=0)) for row in judged]
    return [{"boxes": one, "most": float(row.max())} for one, row in zip(found, judged, strict=True)]


class Returns(keras.Model):
    def __init__(self, what, *, leaks=False):
        super().__init__()
        self.what, self.leaks = what, leaks
        self.scores = layers.Dense(2, kernel_initializer=keras.initializers.Constant([[1, -1], [1, 1], [1, 1]]))

    def build(self, shape):
        self.scores.build(shape)
        self.built = True

    def call(self, x):
        h = self.scores(x)
        judged = ops.convert_to_numpy(h)
        return self.what(h, judged - judged.mean(0) if self.leaks else judged)


def checked(model, batch=BATCH):
    model(batch["x"])
    with open_model(model, in_process=True) as opened:
        return opened.check_batch_axis(next(iter(batch.values())))


def errors(report):
    return {finding.rule for finding in report.findings if finding.severity == "error"}


@pytest.mark.parametrize("what", [numbers, texts, boxes])
def test_values_of_each_sample_and_values_of_all(what):
    assert errors(checked(Returns(what, leaks=True))) & {"KMR101", "KMR104"}
    assert checked(Returns(what)).verdict == "pass"


@pytest.mark.parametrize(("what", "kind"), [(number, "float64"), (text, "string")])
def test_one_value_for_all(what, kind):
    report = checked(Returns(what), SEVERAL)
    assert errors(report) & {"KMR102", "KMR104"}
    assert [tap.dtype for tap in report.taps if not tap.layer] == ["float32", kind]


def test_what_never_changes_is_not_verified():
    def always(h, _):
        return {"h": h, "loss": 0.25, "name": "scores", "none": None}

    report = checked(Returns(always))
    assert report.verdict == "inconclusive"
    assert [(tap.dtype, tap.index.kind) for tap in report.taps if not tap.layer][1:] == [
        ("float64", "constant"),
        ("string", "constant"),
    ]


def test_a_functional_models_outputs_are_no_list_of_samples():
    x = keras.Input((3,))
    model = keras.Model(x, [layers.Dense(2)(x) for _ in range(len(BATCH["x"]))])
    assert checked(model).verdict == "pass"


def test_names_and_owners():
    outputs = {"b": [{"n": 3, "s": "x"}, {"n": 3, "s": None}], "a": (1, [2.5, 3.5]), "c": [[1], ["p", "q"]]}
    found = [(name, np.asarray(value).tolist(), owner) for name, value, owner in named_leaves(
        outputs, keras.tree.flatten, (), size=2
    )]  # fmt: skip
    assert found == [
        ("out0", 1, None),
        ("out1", [2.5, 3.5], None),
        ("out2", 3, 0),
        ("out3", "x", 0),
        ("out4", 3, 1),
        ("out6", [1], 0),
        ("out7", [b"p", b"q"], 1),
    ]
