"""The clean twins of :mod:`zoo.faults.torch_kinds`."""

from zoo.faults.torch_kinds import clean as cases

__all__ = ["cases"]
