"""The clean twins: lists whose members are their samples' own."""

from zoo.faults.lists import clean as cases

__all__ = ["cases"]
