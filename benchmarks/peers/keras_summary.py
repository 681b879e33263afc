"""What one writes to see the layers of a .keras file: load it, print the summary."""

import sys

import keras

keras.models.load_model(sys.argv[1]).summary()
