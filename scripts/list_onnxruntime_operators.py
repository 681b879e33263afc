"""Prints the operators that come with onnxruntime, as kmr_cli/formats/onnx/scan/microsoft.txt keeps them.

Run it with the newest onnxruntime:
    python scripts/list_onnxruntime_operators.py > kmr_cli/formats/onnx/scan/microsoft.txt
"""

from collections.abc import Iterator

from onnxruntime.capi.onnxruntime_pybind11_state import get_all_operator_schema

CUT = {
    "EPContext": "holds compiled code for a device, or names a file with it",
    "Snpe": "the same, for one kind of device",
    "SampleOp": "is an example for developers",
}
"""Not printed -> why."""


def names() -> Iterator[str]:
    """The names of those that compute, in order."""
    yield from sorted({one.name for one in get_all_operator_schema() if one.domain == "com.microsoft"} - CUT.keys())


if __name__ == "__main__":
    for name in names():
        print(name)
