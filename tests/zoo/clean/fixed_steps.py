"""Models that declare how many steps they take, and heed their padding."""

from zoo.faults.fixed_steps import clean as cases

__all__ = ["cases"]
