"""A Lambda layer is stored as compiled Python, which loading the file would run. A layer of the framework
does the same without."""

# %% found: kmr-inspect scan found.keras
import keras

image = keras.Input((8, 8, 1))
keras.Model(image, keras.layers.Lambda(lambda x: x / 255)(image)).save("found.keras")

# %% fixed: kmr-inspect scan fixed.keras
keras.Model(image, keras.layers.Rescaling(1 / 255)(image)).save("fixed.keras")
