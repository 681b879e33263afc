"""Something was put behind the end of the archive. The framework doesn't see it; another program may see nothing else."""

# %% found: kmr-inspect scan found.keras
from pathlib import Path

import keras

image = keras.Input((8, 8, 1))
model = keras.Model(image, keras.layers.Flatten()(image))
model.save("found.keras")
with Path("found.keras").open("ab") as file:
    file.write(b"#!/bin/sh\n")

# %% fixed: kmr-inspect scan fixed.keras
model.save("fixed.keras")
