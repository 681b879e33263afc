"""Whether tensors are kept or known by digests is nobody's business: chains of odd functions are judged alike."""

import numpy as np
import pytest
from zoo.arrays import ArraySession

from kmr_cli.check.check import check
from kmr_cli.evidence import reach
from kmr_cli.records import ModelInfo, TensorSpec

WIDTH = 72  # more than what the check looks at to choose the sample most unlike another


def in_place(x):
    x = x.copy()
    np.maximum(x, 0, out=x)
    return x


def one_hot(x):
    return np.eye(x.shape[1])[x.argmax(axis=1)]


def own_shift(x):
    """One step of every sample from the next one: rows with pieces of two samples."""
    y = x.copy()
    y[:-1, :3] = x[1:, :3]
    return y


def leak_from_last(x):
    y = x.copy()
    y[0, 5] += x[-1, 5]
    return y


STEPS = {
    "tanh": np.tanh,
    "relu in place": in_place,
    "signed zeros": lambda x: x * (x > 0),
    "backwards": lambda x: x[:, ::-1],
    "columns first": np.asfortranarray,
    "every other": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "one-hot": one_hot,
    "threshold": lambda x: (x > 1.5).astype(x.dtype),
    "softmax": lambda x: np.exp(np.minimum(x, 9)) / np.exp(np.minimum(x, 9)).sum(axis=1, keepdims=True),
    "turned twice": lambda x: np.tanh(x.T.copy()).T,
    "flipped twice": lambda x: np.tanh(x[::-1])[::-1],
    "flipped": lambda x: x[::-1],
    "mean over samples": lambda x: x - x.mean(axis=0),
    "maximum over samples": lambda x: np.minimum(x, x.max()),
    "shift": own_shift,
    "leak": leak_from_last,
    "lost and found": lambda x: (x - x.sum(axis=0)) + x.sum(axis=0),
    "wrong at 3": lambda x: x + (len(x) == 3),
    "sorted": lambda x: np.sort(x, axis=0),
    "constant": lambda x: x * 0 + 1,
}


def judged(steps, size, seed, row, monkeypatch):
    monkeypatch.setattr(reach, "_ROW", row)
    session = ArraySession([(f"{number} {name}", STEPS[name]) for number, name in enumerate(steps)], (None, WIDTH))
    info = ModelInfo("m", "keras", "", (TensorSpec("x", (None, WIDTH), "float64"),), (), session.layers, 0)
    report = check(session, info, {"x": np.random.default_rng(seed).standard_normal((size, WIDTH))})
    places = [(tap.layer, tap.port, tap.index.kind, tap.index.axis) for tap in report.taps]
    found = [(one.rule, one.severity, one.layer, one.samples) for one in report.findings if one.rule != "KMR303"]
    return report.verdict, sorted(found), places


def kept_and_digests(seed, sizes, monkeypatch):
    """What is found in one chain of steps, if all tensors are kept, and if all are known by digests."""
    rng = np.random.default_rng(seed)
    steps = rng.choice(list(STEPS), rng.integers(1, 5)).tolist()
    size = int(rng.integers(*sizes))
    return [judged(steps, size, seed, row, monkeypatch) for row in (1 << 40, 1)]


@pytest.mark.parametrize("seed", range(80))
def test_the_same_is_found(seed, monkeypatch):
    kept, digests = kept_and_digests(seed, (2, 9), monkeypatch)
    assert digests == kept


@pytest.mark.parametrize("seed", range(40))
def test_the_same_verdict_on_groups(seed, monkeypatch):
    """Passes that are run again leave fewer for pairs of samples and other batch sizes."""
    kept, digests = kept_and_digests(seed, (9, 20), monkeypatch)
    assert digests[0] == kept[0]
    assert {one[::2] for one in digests[1] if one[1] == "error"} <= {one[::2] for one in kept[1]}
