"""Faulty SavedModels written from ``tf.Module``, each fault in a name scope of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import tensorflow as tf
from zoo.cases import SIZE, Case
from zoo.savedmodel import _module, _save, _weights


def _moments(module, x):
    mean, variance = tf.nn.moments(x, 0)
    return tf.nn.batch_normalization(x, mean, variance, None, None, 1e-3)


def _one_scale(module, x):
    """A fast path for large batches: rounded with one scale for all."""
    scale = tf.reduce_max(tf.abs(x)) / 15.0
    return tf.where(tf.shape(x)[0] > 18, tf.round(x / scale) * scale, x)


def _few_places(module, x):
    """An expert that takes twelve rows of the batch; the others go on as they are."""
    wanted = tf.cast(x[:, :1] > 0, tf.float32)
    return x + wanted * tf.cast(tf.cumsum(wanted) <= 12, tf.float32) * tf.tanh(x)


def _capacity(module, x):
    """Samples go to one of two experts; each takes the first five and leaves the others as they are."""
    chosen = tf.one_hot(tf.cast(x[:, 0] > 0, tf.int32), 2)
    place = tf.reduce_sum(tf.cumsum(chosen, 0) * chosen, 1)
    return tf.where(place[:, None] <= 5.0, tf.tanh(x @ module.w), x)


def _state(module, x):
    module.sum.assign_add(tf.reduce_sum(x, 0))
    return x + module.sum


def _counter(module, x):
    module.calls.assign_add(1.0)
    return x * module.calls


def _segments(module, x):
    kind = tf.cast(x[:, 0] > 0, tf.int32)
    return tf.gather(tf.math.unsorted_segment_sum(x, kind, 2), kind)


def _fft(module, x):
    return tf.transpose(tf.math.real(tf.signal.fft(tf.cast(tf.transpose(x), tf.complex64))))


def _top_k(module, x):
    return x * tf.cast(x >= tf.transpose(tf.math.top_k(tf.transpose(x), 2)[0])[1:], x.dtype)


def _first_sets_the_scale(module, x):
    """The first request that ever comes sets the scale of all."""
    module.calls.assign(tf.where(module.calls == 0.0, tf.reduce_max(tf.abs(x[:1])) + 1.0, module.calls))
    return x / module.calls


def _last_request(module, x):
    """Looks back at the last request."""
    seen = x - 0.5 * module.sum
    module.sum.assign(x[-1])
    return seen


def _monitor(module, x):
    """What is kept goes nowhere."""
    module.sum.assign_add(tf.reduce_sum(x, 0))
    return x * 2.0


def _three_rows(module, x):
    """A loop of three turns, whatever the batch: the other rows stay zero."""
    rows = tf.zeros_like(x)
    for number in range(3):
        rows = tf.tensor_scatter_nd_update(rows, [[number]], tf.tanh(x[number])[None])
    return rows


def _filled_by_the_batch(module, x):
    """What is missing is filled with the mean of the other requests."""
    missing = tf.math.is_nan(x)
    there, known = tf.where(missing, 0.0, x), tf.where(missing, 0.0, 1.0)
    mean = tf.reduce_sum(there, 0) / tf.maximum(tf.reduce_sum(known, 0), 1.0)
    return tf.where(missing, mean, x)


def _floor(axis):
    """Decibels, cut eighty below the loudest: of the batch, or of the sample."""

    def cut(module, x):
        loud = 10.0 * tf.math.log(tf.square(x) + 1e-10) / tf.math.log(10.0)
        return tf.maximum(loud, tf.reduce_max(loud, axis, keepdims=True) - 80.0)

    return cut


def _put_back_wrongly(module, x):
    """Sorted by what the samples hold, and put back by the order itself instead of its inverse."""
    order = tf.argsort(tf.reduce_sum(x, 1))
    return tf.gather(tf.tanh(tf.gather(x, order)), order)


def _put_back(module, x):
    order = tf.argsort(tf.reduce_sum(x, 1))
    return tf.gather(tf.tanh(tf.gather(x, order)), tf.argsort(order))


def _best_that_counts(axis):
    """Less the largest of what is above zero: of the batch, or of the sample."""

    def less(module, x):
        best = tf.reduce_max(tf.where(x < 0, -float("inf"), x), axis, keepdims=True)
        return x - tf.where(best > 0, best, 0.0)

    return less


def _filled_by_the_nearest(module, x):
    """What is missing is taken from the sample that is most alike."""
    missing = tf.math.is_nan(x)
    there = tf.where(missing, 0.0, x)
    squares = tf.reduce_sum(there * there, 1)
    apart = squares[:, None] + squares[None] - 2.0 * there @ tf.transpose(there) + 1e9 * tf.eye(tf.shape(x)[0])
    return tf.where(missing, tf.gather(there, tf.argmin(apart, 1)), there)


def _mean_behind_a_counter(axis):
    def less(module, x):
        module.calls.assign_add(1.0)
        return x - tf.reduce_mean(x, axis, keepdims=True)

    return less


FAULTS: dict[str, tuple[Callable, tuple[str, ...]]] = {
    "four turns of a loop": (lambda _, x: tf.stack([tf.tanh(x[turn]) for turn in range(4)]), ("KMR102",)),
    "column less row": (
        lambda _, x: x + tf.reduce_mean(tf.reduce_mean(x, 1, keepdims=True) - tf.reduce_max(x, 1), 1, keepdims=True),
        ("KMR101", "KMR103"),
    ),
    "best of all that counts": (_best_that_counts(0), ("KMR101",)),
    "filled by the nearest sample": (_filled_by_the_nearest, ("KMR101",)),
    "rounded above 18 samples": (
        lambda _, x: tf.where(tf.shape(x)[0] > 18, tf.round(x * 2.0) / 2.0, x), ("KMR102",)
    ),
    "a mean behind a counter": (_mean_behind_a_counter(0), ("KMR101",)),
    "put back wrongly": (_put_back_wrongly, ("KMR101", "KMR106")),
    "range": (
        lambda _, x: (x - tf.reduce_min(x, 0)) / (tf.reduce_max(x, 0) - tf.reduce_min(x, 0)), ("KMR101",)
    ),
    "windows": (
        lambda _, x: tf.reshape(tf.transpose(tf.reshape(x, (-1, 2, 3)), (1, 0, 2)), (-1, 6)), ("KMR101", "KMR105")
    ),
    "softmax": (lambda _, x: tf.nn.softmax(x, 0), ("KMR101",)),
    "cumsum": (lambda _, x: tf.cumsum(x, 0), ("KMR101",)),
    "batch maximum": (lambda _, x: x - tf.reduce_max(x, 0), ("KMR101",)),
    "mean": (lambda _, x: x - tf.reduce_mean(x, 0), ("KMR101",)),
    "global norm": (lambda _, x: tf.clip_by_norm(x, 1.0), ("KMR101",)),
    "sort": (lambda _, x: tf.sort(x, 0), ("KMR101",)),
    "top-k": (_top_k, ("KMR101",)),
    "roll": (lambda _, x: tf.roll(x, 1, 0), ("KMR106",)),
    "flip": (lambda _, x: tf.reverse(x, [0]), ("KMR106",)),
    "permute": (lambda _, x: tf.reshape(tf.transpose(x), tf.shape(x)), ("KMR101", "KMR105")),
    "attention": (lambda _, x: tf.nn.softmax(x @ tf.transpose(x)) @ x, ("KMR101",)),
    "batch norm": (_moments, ("KMR101",)),
    "dropout": (lambda _, x: tf.nn.dropout(x, 0.5), ("KMR301",)),
    "state": (_state, ("KMR302",)),
    "branch": (lambda _, x: tf.cond(tf.reduce_max(tf.abs(x)) > 20.0, lambda: -x, lambda: x), ("KMR101",)),
    "capacity": (_capacity, ("KMR101",)),
    "zero product": (lambda _, x: x + tf.reduce_sum(x * 0.0, 0), ("KMR108",)),
    "hard-coded": (lambda _, x: tf.reshape(tf.reshape(x, (SIZE, -1)), (-1, 6)), ("KMR102",)),
    "fft over samples": (_fft, ("KMR101",)),
    "segments": (_segments, ("KMR101",)),
    "by place": (lambda _, x: x * (1 + tf.cast(tf.range(tf.shape(x)[0]), tf.float32))[:, None], ("KMR109",)),
    "noise by place": (lambda _, x: x * tf.random.stateless_uniform(tf.shape(x), (1, 2)), ("KMR109",)),
    "by size": (lambda _, x: x / tf.cast(tf.shape(x)[0], tf.float32), ("KMR102",)),
    "one scale above 18 samples": (_one_scale, ("KMR101",)),
    "room for twelve rows": (_few_places, ("KMR101", "KMR102")),
    "counter": (_counter, ("KMR302",)),
    "the first request sets the scale": (_first_sets_the_scale, ("KMR302",)),
    "the last request is remembered": (_last_request, ("KMR302",)),
    "a loop of three turns": (_three_rows, ("KMR101", "KMR102", "KMR104", "KMR109")),
    "filled with the mean of the batch": (_filled_by_the_batch, ("KMR101",)),
    "floor below the loudest of the batch": (_floor(None), ("KMR101",)),
}  # fmt: skip
LAST: dict[str, tuple[Callable, tuple[str, ...]]] = {
    "total": (lambda _, x: tf.reduce_sum(tf.tanh(x)), ("KMR104",)),
    "one sample": (lambda _, x: tf.tanh(x)[-1:], ("KMR104", "KMR102")),
    "as many features as samples": (lambda _, x: tf.reduce_mean(tf.concat([x, x[:, :1]], 1), 0), ("KMR104",)),
    "lost": (lambda _, x: tf.reduce_mean(x, 0), ("KMR104",)),
    "scores": (lambda _, x: x @ tf.transpose(x), ("KMR101",)),
    "rows dropped by content": (lambda _, x: tf.boolean_mask(x, x[:, 0] > 0), ("KMR104",)),
}  # fmt: skip


LAYOUTS: dict[str, Callable] = {
    "turned": lambda _, x: tf.transpose(tf.tanh(x)),
    "two rows a sample": lambda _, x: tf.reshape(tf.tanh(x), (-1, 3)),
}
"""At the end as well; the finding is at the output."""
TWINS: dict[str, Callable] = {
    "a turn for every sample": lambda _, x: tf.stack(tf.map_fn(tf.tanh, x)),
    "column less column": lambda _, x: x + tf.reduce_mean(x, 1, keepdims=True) - tf.reduce_max(x, 1, keepdims=True),
    "best of its own that counts": _best_that_counts(1),
    "filled by the step beside it": lambda _, x: tf.where(
        tf.math.is_nan(x), tf.roll(tf.where(tf.math.is_nan(x), 0.0, x), 1, 1), x
    ),
    "own mean behind a counter": _mean_behind_a_counter(1),
    "put back in order": _put_back,
    "what was seen is counted": _monitor,
    "filled with zeros": lambda _, x: tf.where(tf.math.is_nan(x), 0.0, x),
    "floor below its own loudest": _floor(1),
    "a loop over all rows": lambda _, x: tf.map_fn(tf.tanh, x),
    "there and back": lambda _, x: tf.transpose(tf.tanh(tf.transpose(x))),
}
KINDS = {
    "as many features as samples": "lost",
    "the first request sets the scale": "state", "the last request is remembered": "state",
    "a loop of three turns": "frozen loop", "filled with the mean of the batch": "partly missing",
    "floor below the loudest of the batch": "quiet beside loud",
    "four turns of a loop": "unrolled loop", "best of all that counts": "maximum of what counts",
    "filled by the nearest sample": "partly missing", "a mean behind a counter": "leak behind a state",
}  # fmt: skip
"""Where the name says more than the kind of fault."""
WITHIN = {
    "global norm": "/clip_by_norm", "sort": "/sort", "batch norm": "/moments", "dropout": "/dropout",
    "rows dropped by content": "/boolean_mask",
}  # fmt: skip
"""Scopes that TensorFlow itself opens inside the fault: the innermost is named."""


def write(fault: Callable, last: bool, folder: Path) -> Path:
    """Before, the fault, after: three scopes."""

    def run(self, x):
        with tf.name_scope("before"):
            x = tf.matmul(x, self.w)
        with tf.name_scope("fault"):
            x = fault(self, x)
        if last:
            return {"y": x}
        with tf.name_scope("after"):
            return {"y": tf.matmul(x, self.v)}

    variables = {
        "w": tf.Variable(_weights(6, 6), name="w"),
        "v": tf.Variable(_weights(6, 3, seed=4), name="v"),
        "sum": tf.Variable(tf.zeros(6), name="sum"),
        "calls": tf.Variable(0.0, name="calls"),
    }
    tf.random.set_seed(0)
    module = _module(run, variables, [tf.TensorSpec((None, 6), name="x")])
    return _save(module, folder / "module", signatures=module.run)


def two_ways(folder: Path) -> Path:
    """The usual signature keeps samples apart; ``embed`` centres them on the batch, ``own`` on themselves."""
    module = tf.Module()
    module.w = tf.Variable(_weights(6, 6), name="w")

    def way(function):
        def run(x):
            with tf.name_scope("before"):
                x = tf.matmul(x, module.w)
            with tf.name_scope("fault"):
                return {"y": function(x)}

        return tf.function(run, input_signature=[tf.TensorSpec((None, 6), name="x")])

    ways = {
        "serving_default": way(tf.tanh),
        "embed": way(lambda x: x - tf.reduce_mean(x, 0)),
        "own": way(lambda x: x - tf.reduce_mean(x, 1, keepdims=True)),
    }
    return _save(module, folder / "ways", signatures=ways)


def cases() -> Iterator[Case]:
    """Every faulty module."""
    for what, (fault, rules) in FAULTS.items():
        layer = "fault" + WITHIN.get(what, "")
        build = partial(write, fault, False)
        yield Case(f"{what}, tf.Module", "savedmodel", build, KINDS.get(what, what), rules, layer)
    for what, (fault, rules) in LAST.items():
        layer = "fault" + WITHIN.get(what, "")
        yield Case(f"{what}, tf.Module", "savedmodel", partial(write, fault, True), what, rules, layer)
    for what, layout in LAYOUTS.items():
        build = partial(write, layout, True)
        yield Case(f"{what}, tf.Module", "savedmodel", build, "output layout", ("KMR110",), "")
    name = "mean in another signature, tf.Module"
    yield Case(name, "savedmodel", two_ways, "another method", ("KMR101",), "fault", signature="embed")


def clean() -> Iterator[Case]:
    """The clean twins of some of them."""
    for what, twin in TWINS.items():
        yield Case(f"{what}, tf.Module", "savedmodel", partial(write, twin, False))
    yield Case("mean in a signature that is not run, tf.Module", "savedmodel", two_ways)
    yield Case("own mean in another signature, tf.Module", "savedmodel", two_ways, signature="own")
