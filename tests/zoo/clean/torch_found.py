"""The clean twins of what was found late."""

from zoo.faults.torch_found import clean as cases

__all__ = ["cases"]
