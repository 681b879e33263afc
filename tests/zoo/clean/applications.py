"""Every architecture of keras.applications with random weights, on the smallest images that it takes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import keras
from zoo.cases import Case
from zoo.faults.keras_faults import write

LARGE_IMAGES = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}
LARGE = frozenset(
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
"""More than 40 million weights, or many layers: up to 40 seconds and 5 GB each."""
SAVED = ("MobileNetV2", "ResNet50", "EfficientNetB0")


def _network(name):
    size = LARGE_IMAGES.get(name, 32)
    make = getattr(keras.applications, name)
    return make(include_top=False, weights=None, input_shape=(size, size, 3), pooling="avg")


def names() -> list[str]:
    """Of all architectures."""
    return [name for name in sorted(dir(keras.applications)) if name[0].isupper()]


def case(name: str, form: str = "keras") -> Case:
    """One architecture in one format."""
    return Case(name, form, partial(write, partial(_network, name), form), size=4)


def cases() -> Iterator[Case]:
    """One ``.keras`` archive each of all but the large ones, of three of them a SavedModel too."""
    for name in names():
        if name not in LARGE:
            yield case(name)
            if name in SAVED:
                yield case(name, "savedmodel")
