"""The clean twins: what is stored is that it is not training."""

from zoo.faults.keras_training import clean as cases

__all__ = ["cases"]
