"""The clean twins of some of :mod:`zoo.faults.tensorflow_faults`."""

from zoo.faults.tensorflow_faults import clean as cases

__all__ = ["cases"]
