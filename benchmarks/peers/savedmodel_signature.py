"""What one writes to run a SavedModel: load it, call its signature."""

import sys

import numpy as np
import tensorflow as tf

signature = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
(name,) = signature.structured_input_signature[1]
print({key: value.numpy() for key, value in signature(**{name: tf.constant(np.load(sys.argv[2]))}).items()})
