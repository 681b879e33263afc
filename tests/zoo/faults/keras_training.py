"""Training mode that is stored in a call: ``model(x)``, and so an export, runs it, whatever ``predict`` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import keras
from keras import layers
from zoo.cases import Case
from zoo.faults.keras_faults import FLAT, STEPS, write


def in_a_call(make: Callable[[], layers.Layer], training: bool) -> keras.Model:
    """A functional model of which one call says in which mode."""
    x = keras.Input(FLAT, name="x")
    y = make()(layers.Dense(6, name="before")(x), training=training)
    return keras.Model(x, layers.Dense(3, name="after")(y))


def in_a_model_inside(make: Callable[[], layers.Layer], training: bool) -> keras.Model:
    """The call of a whole model says it."""
    inner = keras.Input(FLAT)
    block = keras.Model(inner, make()(layers.Dense(6, name="before")(inner)), name="block")
    x = keras.Input(FLAT, name="x")
    return keras.Model(x, layers.Dense(3, name="after")(block(x, training=training)))


def in_a_wrapper(make: Callable[[], layers.Layer], training: bool) -> keras.Model:
    """The call of a wrapper says it."""
    x = keras.Input(STEPS, name="x")
    y = layers.TimeDistributed(make(), name="every")(layers.Dense(6, name="before")(x), training=training)
    return keras.Model(x, layers.Dense(3, name="after")(y))


def norm() -> layers.Layer:
    return layers.BatchNormalization(name="norm")


def drop() -> layers.Layer:
    return layers.Dropout(0.5, name="drop")


WHERE = {
    "a call": (in_a_call, ""), "a model inside": (in_a_model_inside, "block/"), "a wrapper": (in_a_wrapper, "every"),
}  # fmt: skip


def _cases(*, training: bool) -> Iterator[Case]:
    for where, (make, inside) in WHERE.items():
        for layer, what, rule in ((norm, "batch norm", "KMR101"), (drop, "dropout", "KMR301")):
            for form in ("keras", "h5", "savedmodel"):
                build = partial(write, partial(make, layer, training), form)
                named = inside if inside == "every" else f"{inside}{layer.__name__}"
                kind = f"{what} stored in training mode" if training else ""
                name = f"{what}, {training} in {where}"
                rules = (rule,) if training else ()
                yield Case(name, form, build, kind, rules, named if training else "")


def cases() -> Iterator[Case]:
    """Those that say it is training."""
    return _cases(training=True)


def clean() -> Iterator[Case]:
    """Those that say it isn't."""
    return _cases(training=False)
