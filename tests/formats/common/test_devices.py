"""Which errors of torch are about a device, and which are not."""

import pytest

from kmr_cli.formats.common.devices import missing_device


@pytest.mark.parametrize(
    ("said", "device"),
    [
        ("Could not run 'aten::empty.memory_format' with arguments from the 'CUDA' backend. This could be", "CUDA"),
        ("Could not run 'aten::empty.memory_format' with arguments from the 'XPU' backend.", "XPU"),
        ("Torch not compiled with CUDA enabled", "CUDA"),
        ("Found no NVIDIA driver on your system. Please check", "CUDA"),
        ("No CUDA GPUs are available", "CUDA"),
        ("Cannot initialize CUDA without ATen_cuda library. PyTorch splits its backend into two", "CUDA"),
        ("PyTorch is not linked with support for cuda devices", "CUDA"),
        ("PyTorch is not linked with support for mps devices", "MPS"),
        ("Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!", "CUDA"),
        ("Cannot access accelerator device when none is available.", "an accelerator"),
        ("Could not run 'quantized::linear' with arguments from the 'CPU' backend. This could be", None),
        ("Could not run 'aten::add.out' with arguments from the 'QuantizedCPU' backend.", None),
        ("Could not run 'aten::add' with arguments from the 'SparseCPU' backend.", None),
        ("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)", None),
    ],
)
def test_what_is_said_of_devices(said, device):
    assert missing_device(said) == device
