"""Masks of files that Keras 2 wrote as archives, which Keras 2 runs: the same verdicts as of Keras 3."""

import numpy as np
import pytest

from kmr_cli.check.check import check
from kmr_cli.formats import describe
from kmr_cli.formats.interface import OpenOptions

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
COUNTED = np.arange(9)[None] < np.array([9, 7, 5, 3, 8, 2, 6])[:, None]
RNG = np.random.default_rng(0)
DATA = {
    "words": np.where(COUNTED, RNG.integers(1, 30, COUNTED.shape), 0).astype(np.int32),
    "series": (RNG.standard_normal((7, 9, 4)) * COUNTED[:, :, None]).astype(np.float32),
}


def built(masking, then):
    tf_keras = pytest.importorskip("tf_keras")
    layers = tf_keras.layers
    if masking == "words":
        given = tf_keras.Input((9,), dtype="int32", name="words")
        x = layers.Embedding(30, 6, mask_zero=True, name="table")(given)
    else:
        given = tf_keras.Input((9, 4), name="series")
        x = layers.Masking(name="mask")(given)
    if then == "heeds":
        x = layers.LSTM(5, name="read")(x)
    elif then == "flattens":
        x = layers.Flatten(name="flat")(x)
    else:
        x = layers.GlobalMaxPooling1D(name="largest")(layers.Conv1D(5, 3, name="turn")(x))
    return tf_keras.Model(given, layers.Dense(3, name="head")(x))


@pytest.mark.parametrize("masking", ["words", "series"])
@pytest.mark.parametrize(
    ("then", "wanted"),
    [("heeds", []), ("flattens", [("KMR201", "head")]), ("blind", [("KMR201", "largest")])],
)
def test_what_stands_in_masked_steps_shows_or_does_not(masking, then, wanted, tmp_path):
    path = tmp_path / "model.keras"
    built(masking, then).save(path)
    form, info = describe(path, OpenOptions())
    session = form.open(path, OpenOptions())
    try:
        report = check(session, info, {masking: DATA[masking]})
    finally:
        session.close()
    errors = [(finding.rule, finding.layer) for finding in report.findings if finding.severity == "error"]
    assert (report.verdict, errors) == ("fail" if wanted else "pass", wanted), report.inconclusive
