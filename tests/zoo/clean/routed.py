"""The twins of :mod:`zoo.faults.routed`."""

from zoo.faults.routed import clean as cases

__all__ = ["cases"]
