"""The clean twins: networks that heed what they are told."""

from zoo.faults.onnx_masks import clean as cases

__all__ = ["cases"]
