"""The clean twins of some faults, as PyTorch's exporter of old writes them."""

from zoo.faults.onnx_faults import clean_twins as cases

__all__ = ["cases"]
