"""Writes ``tests/zoo/keras_exports``: one Keras network as ``.keras``, ``.pt2``, ONNX and SavedModel.

Run ``KERAS_BACKEND=torch python tests/zoo/keras_exports.py``, then the same with ``tensorflow``: ``.pt2`` is written by
the one backend, SavedModel by the other. Keras 3.15, and tf2onnx 1.17 for none of them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "keras_exports"


def network():
    """(B, 6, 6, 2) -> (B, 3)."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    image = keras.Input((6, 6, 2), name="image")
    x = layers.Conv2D(4, 3, name="conv")(image)
    x = layers.BatchNormalization(name="bn", beta_initializer="random_normal")(x)
    x = layers.ReLU(name="act")(x)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(16, activation="tanh", name="dense")(x)
    x = layers.Dense(16, name="again", bias_initializer="uniform")(x)
    return keras.Model(image, layers.Dense(3, name="head")(x), name="network")


def write() -> None:
    """What the backend of this process writes."""
    import keras

    FOLDER.mkdir(exist_ok=True)
    archive = FOLDER / "network.keras"
    if keras.backend.backend() == "tensorflow":
        keras.models.load_model(archive).export(FOLDER / "savedmodel", verbose=False)
        return
    import torch

    model = network()
    model.save(archive)
    model(np.zeros((2, 6, 6, 2), np.float32))
    free = {0: torch.export.Dim("batch")}
    model.export(FOLDER / "network.pt2", format="torch", verbose=False, dynamic_shapes=free)
    model.export(FOLDER / "network.onnx", format="onnx", verbose=False)


if __name__ == "__main__":
    sys.path[:] = [path for path in sys.path if path != str(HERE)]  # or zoo/keras.py would be keras
    write()
