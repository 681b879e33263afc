"""The clean twins of what was found late in TensorFlow."""

from zoo.faults.tensorflow_found import clean as cases

__all__ = ["cases"]
