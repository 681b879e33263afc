"""The twins of :mod:`zoo.faults.turns`."""

from zoo.faults.turns import clean as cases

__all__ = ["cases"]
