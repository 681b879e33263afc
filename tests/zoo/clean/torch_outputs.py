"""The clean twins of what outputs can be."""

from zoo.faults.torch_outputs import clean as cases

__all__ = ["cases"]
