"""What torch says where code wants a device that this machine or this torch lacks."""

from __future__ import annotations

import re

_ELSEWHERE = r"(?!(?:Quantized|SparseCsr|Sparse|Nested|Mkldnn)?(?:CPU|Meta)\b)"
"""No name of what the CPU does itself: an operator that it lacks for those isn't a matter of devices."""
_WANTED = re.compile(
    rf"with arguments from the '{_ELSEWHERE}(\w+)' backend|Torch not compiled with (\w+) enabled|"
    r"Found no (\w+) driver|No (\w+) GPUs are available|Cannot initialize (\w+) without|"
    r"not linked with support for (\w+) devices|Cannot access (accelerator) device|"
    r"found at least two devices, (\w+):\d|The (\w+) driver on your system|(CUDA) error: no kernel image",
    re.IGNORECASE,
)
_BRANDS = {"nvidia": "CUDA", "cuda": "CUDA", "accelerator": "an accelerator"}
TO_THE_CPU = "move the model to the CPU before it is saved, and write no .cuda() or device='cuda' in its code"


def missing_device(text: str) -> str | None:
    """The device that is missing, ``CUDA``, out of the message of an error of torch; None where it is about none."""
    found = _WANTED.search(text)
    if found is None:
        return None
    name = next(group for group in found.groups() if group)
    return _BRANDS.get(name.lower(), name.upper())
