"""The clean twins: ragged, sparse and listed answers whose rows are their samples' own."""

from zoo.faults.ragged import clean as cases

__all__ = ["cases"]
