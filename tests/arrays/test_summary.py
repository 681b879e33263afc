"""The figures that describe an array."""

import numpy as np

from kmr_cli.arrays.summary import summarize


def test_summary():
    found = summarize(np.array([[1.0, 2.0], [0.0, np.nan]]))
    assert (found.minimum, found.maximum, found.mean, found.zeros, found.nans, found.size) == (0, 2, 1, 1, 1, 4)
    half = summarize(np.full(100_000, 60000, np.float16))
    assert half.mean == 60000
    assert summarize(np.array([np.nan])).mean is None
    assert summarize(np.array([3 + 4j])).maximum == 5
    assert summarize(np.array([b"a"], dtype=object)).minimum is None
