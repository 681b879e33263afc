"""Faulty Keras models as ``.keras`` archives, ``.h5`` files and exported SavedModels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import keras
from keras import layers
from zoo.cases import Case
from zoo.faults.keras_layers import Apply, Block, InTraining, Keeps, MaskedAverage, Mean, Running
from zoo.savedmodel import _quiet

IMPORTS = ("zoo.faults.keras_layers",)
FLAT, STEPS = (6,), (5, 6)


def write(make: Callable[[], keras.Model], form: str, folder: Path) -> Path:
    """Build a model with names and weights that do not depend on what was built before, and save it."""
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)
    model = make()
    if form == "savedmodel":
        path = folder / "exported"
        with _quiet():
            model.export(str(path), verbose=False)
        return path
    path = folder / f"model.{form}"
    with _quiet():
        model.save(path)
    return path


# -- where a fault can sit -----------------------------------------------------------------------------------------


def _layer(fault):
    """Layers are made with the model, so that no two files share one."""
    return Apply(fault, name="fault") if isinstance(fault, str) else fault()


def flat(fault, shape=FLAT, after=True, width=6):
    x = keras.Input(shape, name="x")
    y = _layer(fault)(layers.Dense(width, name="before")(x))
    return keras.Model(x, layers.Dense(4, name="after")(y) if after else y)


def nested(fault, shape=FLAT):
    inner = keras.Input(shape)
    block = keras.Model(inner, _layer(fault)(layers.Dense(6, name="mid")(inner)), name="block")
    outer = keras.Input(shape)
    body = keras.Model(outer, layers.Dense(6, name="last")(block(layers.Dense(6, name="first")(outer))), name="body")
    x = keras.Input(shape, name="x")
    return keras.Model(x, layers.Dense(3, name="head")(body(x)))


def shared(fault, shape=FLAT):
    inner = keras.Input(shape)
    tower = keras.Model(inner, _layer(fault)(layers.Dense(6, name="mid")(inner)), name="tower")
    x = keras.Input(shape, name="x")
    return keras.Model(x, layers.Dense(3, name="head")(tower(layers.Dense(6, name="between")(tower(x)))))


def repeated(fault, shape=FLAT):
    x = keras.Input(shape, name="x")
    y = x
    for number in range(3):
        inner = keras.Input(shape)
        middle = layers.Dense(6, activation="leaky_relu", name="mid")(inner)
        y = keras.Model(inner, _layer(fault)(middle) if number == 2 else middle, name=f"block{number}")(y)
    return keras.Model(x, layers.Dense(3, name="head")(y))


def in_a_custom_layer(what):
    x = keras.Input(FLAT, name="x")
    return keras.Model(x, layers.Dense(3, name="head")(Block(what, name="block")(x)))


def two_branches(fault):
    x = keras.Input(FLAT, name="x")
    left, right = layers.Dense(6, name="left")(x), _layer(fault)(layers.Dense(6, name="right")(x))
    return keras.Model(x, {"clean": layers.Dense(2, name="a")(left), "joined": layers.Add(name="join")([left, right])})


# -- faults that are more than one function ------------------------------------------------------------------------


def time_major_lstm():
    x = keras.Input(STEPS, name="x")
    moved = Apply("time-major", name="turn")(layers.Dense(6, name="before")(x))
    read = layers.LSTM(4, return_sequences=True, name="lstm")(moved)
    return keras.Model(x, layers.Dense(2, name="after")(Apply("time-major", name="back")(read)))


def attention_over_samples():
    x = keras.Input(STEPS, name="x")
    moved = Apply("time-major", name="turn")(layers.Dense(6, name="before")(x))
    seen = layers.MultiHeadAttention(2, 3, name="attention", flash_attention=False)(moved, moved)
    return keras.Model(x, layers.Dense(2, name="after")(Apply("time-major", name="back")(seen)))


def training_mode(make):
    return flat(lambda: InTraining(make(), name="fault"))


def keras_own(name, shape, options):
    """Layers of Keras 3.15 itself: a maximum over the whole batch, and a lookup that one NaN makes fail for all."""
    x = keras.Input(shape, name="x")
    return keras.Model(x, getattr(layers, name)(name="layer", **options)(x))


def beside_a_constant():
    """The second output is the same whatever comes in, though it has as many rows."""
    x = keras.Input(FLAT, name="x")
    left, right = layers.Dense(6, name="before")(x), keras.ops.ones_like(x) * 0.5
    return keras.Model(x, {"answer": layers.Dense(2, name="after")(left), "half": right})


def tabled():
    """What fails at other sizes is the sum; what is wrong is the table."""
    x = keras.Input(FLAT, name="x")
    before = layers.Dense(6, name="before")(x)
    places = Apply("a table of seven rows", name="places")(before)
    return keras.Model(x, layers.Dense(4, name="after")(layers.Add(name="add")([before, places])))


def of_one_sample():
    """A batch of 1, and the last request in the answer to this one."""
    x = keras.Input(batch_shape=(1, *FLAT), name="x")
    return keras.Model(x, layers.Dense(4, name="after")(Keeps("last", name="state")(layers.Dense(6, name="before")(x))))


def masked_average():
    values, mask = keras.Input((5, 5), name="values"), keras.Input((5,), name="mask")
    return keras.Model([values, mask], MaskedAverage(name="average")(layers.Dense(5, name="before")(values), mask))


SIMPLE = {
    "softmax": ("KMR101",),
    "log softmax": ("KMR101",),
    "norm": ("KMR101",),
    "mean": ("KMR101",),
    "variance": ("KMR101",),
    "batch maximum": ("KMR101",),
    "range": ("KMR101",),
    "cumsum": ("KMR101",),
    "sort": ("KMR101",),
    "top-k": ("KMR101",),
    "roll": ("KMR106",),
    "flip": ("KMR106",),
    "difference": ("KMR101",),
    "global norm": ("KMR101",),
    "global mean": ("KMR101",),
    "permute": ("KMR101", "KMR105"),
    "by place": ("KMR109",),
    "by size": ("KMR102",),
    "one scale above 18 samples": ("KMR101",),
    "room for twelve rows": ("KMR101", "KMR102"),
    "windows": ("KMR101", "KMR105"),
    "put back wrongly": ("KMR101", "KMR106"),
    "segments": ("KMR101",),
    "attention": ("KMR101",),
    "capacity": ("KMR101",),
    "branch": ("KMR101",),
    "clip": ("KMR101",),
    "zero product": ("KMR108",),
    "leak into the last": ("KMR101",),
    "hard-coded": ("KMR102",),
    "mask": ("KMR103", "KMR101"),
    "empty": ("KMR304",),
    "filled with the mean of the batch": ("KMR101",),
    "floor below the loudest of the batch": ("KMR101",),
    "a loop of three turns": ("KMR101", "KMR102", "KMR104", "KMR109"),
    "four turns of a loop": ("KMR102",),
    "column less row": ("KMR101", "KMR103"),
    "best of all that counts": ("KMR101",),
    "filled by the nearest sample": ("KMR101",),
    "rounded above 18 samples": ("KMR102",),
}
"""Rules by the function of ``keras_layers.FUNCTIONS`` that stands between two dense layers."""
LAST = {
    "lost": ("KMR104",),
    "total": ("KMR104",),
    "scores": ("KMR101",),
    "one sample": ("KMR104", "KMR102"),
    "last sample": ("KMR104", "KMR102"),
    "as many features as samples": ("KMR104",),
    "squeeze": ("KMR102",),
}
"""The same, at the end of the model."""


KINDS = {
    "last sample": "one sample",
    "as many features as samples": "lost",
    "filled with the mean of the batch": "partly missing",
    "floor below the loudest of the batch": "quiet beside loud",
    "a loop of three turns": "frozen loop",
    "four turns of a loop": "unrolled loop",
    "best of all that counts": "maximum of what counts",
    "filled by the nearest sample": "partly missing",
}
"""Where the name says more than the kind of fault."""


def masked(what):
    """A mean of steps, told by an input which of them count. Keras passes ``mask`` by keyword."""
    values, counts = keras.Input((5, 4), name="values"), keras.Input((5,), name="counts")
    pooled = Mean(what, name="mean")(layers.Dense(4, name="before")(values), counts)
    return keras.Model([values, counts], layers.Dense(3, name="after")(pooled))


def blind_reader():
    """Padding is told by nothing but the token 0, and nothing asks for it."""
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    words = layers.Embedding(9, 4, name="words")(tokens)
    return keras.Model(tokens, layers.GlobalAveragePooling1D(name="mean")(words))


def masked_pooling():
    """GlobalAveragePooling1D of Keras 3.15 divides by the number of unmasked steps, also where that is 0."""
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    words = layers.Embedding(9, 4, mask_zero=True, name="words")(tokens)
    return keras.Model(tokens, layers.GlobalAveragePooling1D(name="mean")(words))


AUGMENTATION: dict[str, dict[str, object]] = {
    "RandomBrightness": {"factor": 0.2},
    "RandomContrast": {"factor": 0.2},
    "RandomCrop": {"height": 4, "width": 4},
    "RandomFlip": {},
    "RandomRotation": {"factor": 0.2},
    "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.2},
    "RandomZoom": {"height_factor": 0.2},
    "RandomShear": {"x_factor": (0.0, 0.2)},
    "RandomGrayscale": {},
    "RandomHue": {"factor": 0.2},
    "RandomSaturation": {"factor": 0.2},
    "RandomSharpness": {"factor": 0.2},
    "RandomPosterization": {"factor": 4, "value_range": (-4, 4)},
    "RandomInvert": {},
    "RandomGaussianBlur": {},
    "RandomErasing": {},
    "RandomPerspective": {},
    "RandomColorDegeneration": {"factor": 0.2},
    "RandomElasticTransform": {},
    "MixUp": {},
    "CutMix": {},
}
"""``model(x)`` augments, though ``predict`` does not."""
EXPORTED_AUGMENTATION: dict[str, dict[str, object]] = {
    "RandomRotation": {"factor": 0.2},
    "RandomHue": {"factor": 0.2},
    "RandomErasing": {},
    "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.2},
    "MixUp": {},
    "RandomCrop": {"height": 4, "width": 4},
}
"""Keras 3.15 does nothing there in inference, and yet exports the random operations."""
IN_H5 = frozenset({"RandomFlip", "RandomPerspective", "RandomShear"})
NOT_IN_H5 = frozenset({"beside a constant"})
"""Keras itself doesn't find its operations when it reads such a file."""
KERAS_OWN = {
    "MelSpectrogram": (
        (600,),
        {
            "fft_length": 64,
            "sequence_stride": 32,
            "num_mel_bins": 4,
            "sampling_rate": 4000,
            "min_freq": 20,
            "max_freq": 2000,
        },
    ),
    "ContrastLimitedAdaptiveHistogramEqualization": ((16, 16, 3), {"value_range": (-4, 4), "tile_grid_size": (2, 2)}),
}


def cases() -> Iterator[Case]:
    """Every faulty Keras model, in every format that can hold it."""
    for form in ("keras", "h5", "savedmodel"):
        for name, kind, rules, layer, make in _models():
            if form == "h5" and name in NOT_IN_H5:
                continue
            layer = layer.get(form, layer["keras"]) if isinstance(layer, dict) else layer
            yield Case(name, form, partial(write, make, form), kind, rules, layer, imports=IMPORTS)

        for name, rule in (("padding-blind mean", "KMR201"), ("mean over an empty mask", "KMR202")):
            make = partial(write, partial(masked, name), form)
            yield Case(name, form, make, name, (rule,), "mean", imports=IMPORTS, masks=("counts",))
        name = "padding-blind mean"
        make = partial(write, blind_reader, form)
        yield Case("padding-blind reader", form, make, name, ("KMR201",), "mean", masks=("tokens=0",))
    for form in ("keras", "savedmodel"):
        make = partial(write, masked_pooling, form)
        name = "GlobalAveragePooling1D"
        yield Case(name, form, make, "Keras' own layers", ("KMR202",), "mean", masks=("tokens=0",))
    for name, options in EXPORTED_AUGMENTATION.items():
        make = partial(write, partial(keras_own, name, (6, 6, 3), options), "savedmodel")
        yield Case(f"{name}, exported", "savedmodel", make, "augmentation left on by export", ("KMR301",), "layer")
    for name, options in AUGMENTATION.items():
        for form in ("keras", "h5") if name in IN_H5 else ("keras",):
            make = partial(write, partial(keras_own, name, (6, 6, 3), options), form)
            yield Case(name, form, make, "augmentation left on", ("KMR301",), "layer")
    for name, (shape, options) in KERAS_OWN.items():
        make = partial(keras_own, name, shape, options)
        yield Case(name, "keras", partial(write, make, "keras"), "Keras' own layers", ("KMR101", "KMR108"), "layer")


def _models():
    for what, rules in SIMPLE.items():
        shape = STEPS if what == "capacity" else FLAT
        yield what, KINDS.get(what, what), rules, "fault", partial(flat, what, shape)
    for what, rules in LAST.items():
        yield (
            what,
            KINDS.get(what, what),
            rules,
            "fault",
            partial(flat, what, after=False, width=1 if what == "squeeze" else 6),
        )
    for what in ("softmax", "batch maximum", "roll", "zero product", "branch"):
        rules = SIMPLE[what]
        yield f"{what}, nested", what, rules, "body/block/fault", partial(nested, what)
        yield f"{what}, repeated", what, rules, "block2/fault", partial(repeated, what)
    for what in ("softmax", "mean", "cumsum"):
        yield f"{what}, shared", what, SIMPLE[what], "tower/fault", partial(shared, what)
        yield f"{what}, in a custom layer", what, SIMPLE[what], "block/mid", partial(in_a_custom_layer, what)
        yield f"{what}, in one branch", what, SIMPLE[what], "fault", partial(two_branches, what)
    yield "heads back", "heads back", ("KMR101", "KMR105"), "fault", partial(flat, "heads back", STEPS)
    yield "lengths", "mask", ("KMR101", "KMR103"), "fault", partial(flat, "lengths", STEPS)
    yield "LSTM over samples", "recurrence", ("KMR101",), "lstm", time_major_lstm
    yield "attention over samples", "attention", ("KMR101",), "attention", attention_over_samples
    for name, kind, rule, layer, make in (
        (
            "batch norm in training mode",
            "batch norm",
            "KMR101",
            "fault/inner",
            partial(layers.BatchNormalization, name="inner"),
        ),
        ("dropout left on", "dropout", "KMR301", "fault/inner", partial(layers.Dropout, 0.5, name="inner")),
        ("noise left on", "dropout", "KMR301", "fault/inner", partial(layers.GaussianNoise, 0.5, name="inner")),
    ):
        yield name, kind, (rule,), layer, partial(training_mode, make)
    for what in ("turned", "two rows a sample"):
        yield what, "output layout", ("KMR110",), "", partial(flat, what, after=False)
    for what, name in (("first", "the first request sets the scale"), ("last", "the last request is remembered")):
        yield name, "state", ("KMR302",), "state", partial(flat, partial(Keeps, what, name="state"))
    yield "calls are counted", "counter", ("KMR302",), "state", partial(flat, partial(Keeps, "calls", name="state"))
    yield (
        "a mean behind a counter",
        "leak behind a state",
        ("KMR101",),
        "state",
        partial(flat, partial(Keeps, "mean", name="state")),
    )
    yield "a table of seven rows", "batch size baked in", ("KMR102",), {"keras": "places", "savedmodel": "add"}, tabled
    yield "one sample, the last is remembered", "state", ("KMR302",), "state", of_one_sample
    yield "beside a constant", "constant", ("KMR104",), "", beside_a_constant
    yield "running state", "state", ("KMR302",), "state", partial(flat, partial(Running, name="state"))
    yield "masked average", "mask", ("KMR103",), "average", masked_average
