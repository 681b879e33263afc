"""Masks as attention takes them, heeded."""

from zoo.faults.attention_masks import clean as cases

__all__ = ["cases"]
