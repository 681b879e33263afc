"""The faults that PyTorch's exporter of today writes, as a module of cases like the others."""

from zoo.faults.onnx_faults import by_the_new_exporter as cases

__all__ = ["cases"]
