"""What one writes to see sample I at layer L: load, build a model that also returns the layer's ends, call, index."""

import sys

import keras
import numpy as np

path, layer, index, batch = sys.argv[1], sys.argv[2], int(sys.argv[3]), np.load(sys.argv[4])
model = keras.models.load_model(path)
tapped = model.get_layer(layer)
before, after = keras.Model(model.inputs, [tapped.input, tapped.output])(batch, training=False)
print(np.asarray(before)[index], np.asarray(after)[index])
