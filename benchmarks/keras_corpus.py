"""Save third-party Keras architectures as .keras archives and SavedModels, for benchmarks/proof.py --corpus.

Usage: python benchmarks/keras_corpus.py FOLDER [--only WORD]

The architectures are those of keras.applications, with random weights, on the smallest images that they take. Files
that are there already are kept; what does not build is named and left out.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

LARGE_IMAGES = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}
TOO_LARGE = ("ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge", "EfficientNetB6", "EfficientNetB7", "NASNetLarge",
             "EfficientNetV2M", "EfficientNetV2L")  # fmt: skip
"""More than 40 million weights: a minute and gigabytes each, and no other operation than their smaller kin."""


def build(name: str) -> keras.Model:
    """One architecture of keras.applications."""
    size = LARGE_IMAGES.get(name, 32)
    make = getattr(keras.applications, name)
    model: keras.Model = make(include_top=False, weights=None, input_shape=(size, size, 3), pooling="avg")
    return model


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="architectures with this in their name")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(dir(keras.applications)):
        if not name[0].isupper() or name in TOO_LARGE or options.only not in name:
            continue
        archive, directory = options.folder / f"{name}.keras", options.folder / name
        if archive.exists() and directory.exists():
            continue
        try:
            model = build(name)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.save(archive)
                model.export(str(directory), verbose=False)
        except Exception as exc:
            print(f"{name}: not saved ({exc})", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
