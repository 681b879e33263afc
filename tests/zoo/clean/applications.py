"""Every architecture of keras.applications with random weights, on the smallest images that it takes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import keras
from zoo.cases import Case
from zoo.faults.keras_faults import write

LARGE_IMAGES = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}
TOO_LARGE = frozenset(
    {
        "ConvNeXtBase",
        "ConvNeXtLarge",
        "ConvNeXtXLarge",
        "EfficientNetB6",
        "EfficientNetB7",
        "EfficientNetV2M",
        "EfficientNetV2L",
        "NASNetLarge",
    }
)
"""More than 40 million weights, or more than half a minute: a smaller one of the same architecture is in."""
SAVED = ("MobileNetV2", "ResNet50", "EfficientNetB0")


def _network(name):
    size = LARGE_IMAGES.get(name, 32)
    make = getattr(keras.applications, name)
    return make(include_top=False, weights=None, input_shape=(size, size, 3), pooling="avg")


def cases() -> Iterator[Case]:
    """One ``.keras`` archive each, of three of them a SavedModel too."""
    for name in sorted(dir(keras.applications)):
        if name[0].isupper() and name not in TOO_LARGE:
            yield Case(name, "keras", partial(write, partial(_network, name), "keras"), size=4)
            if name in SAVED:
                yield Case(name, "savedmodel", partial(write, partial(_network, name), "savedmodel"), size=4)
