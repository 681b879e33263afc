"""What onnxruntime says when it fails, as one line of ours with what to do about it."""

from __future__ import annotations

import re

from kmr_cli.errors import KmrError, ModelFileError, ModelLoadError, ModelRunError

_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ")
_PLACES = re.compile(
    r"\S*/\S+\.(?:cc|cpp|h):\d+ "  # a line of onnxruntime's source, then the signature of a function
    r"(?:[^()]*\([^()]*(?:\([^()]*\)[^()]*)*\)(?:::<lambda\(.*?\)>)?(?: const)?(?: \[.*?\])? )?"
)
_STATUS = re.compile(r"\s*Status Message:\s*")
_OPSET = re.compile(r"[Oo]pset (\d+) is under development|opset version (\d+)", re.DOTALL)
_IR = re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)")
_NO_KERNEL = re.compile(r"Could not find an implementation for ([\w.:]+)\((\d+)\) node")
_UNKNOWN = re.compile(r"([\w.:]+)\(-?\d+\) is not a registered function/op|No Op registered for (\S+)")
_LOCALE = re.compile(r"Failed to construct locale with name: ?([\w.@-]+)")
_NODE = re.compile(r"Non-zero status code returned while running (\S+) node\. Name:'([^']*)'")
_LONGEST = 300
_OLDEST = 7
"""The first opset that onnxruntime promises to run; some operators of earlier ones have a kernel all the same."""


def while_loading(name: str, error: BaseException, opset: int | None = None) -> KmrError:
    """The error for a model that onnxruntime refuses; ``opset`` is its version of ONNX's own operators."""
    text = str(error)
    version = _IR.search(text)
    if version:
        return ModelLoadError(
            f"{name}: written for a newer ONNX (version {version[1]} of the format; onnxruntime knows {version[2]})",
            "pip install --upgrade onnxruntime, or export the model for an older version",
        )
    newer = _OPSET.search(text)
    if newer:
        return ModelLoadError(
            f"{name}: its operators are newer than this onnxruntime (opset {newer[1] or newer[2]})",
            "pip install --upgrade onnxruntime, or export the model with a smaller opset_version",
        )
    kernel = _NO_KERNEL.search(text)
    if kernel and opset is not None and opset < _OLDEST:
        return ModelLoadError(
            f"{name}: its operators are older than onnxruntime runs (opset {opset}; {_OLDEST} is the first)",
            f"convert it: onnx.save(onnx.version_converter.convert_version(onnx.load({name!r}), 18), 'new.onnx')",
        )
    if kernel:
        return ModelLoadError(
            f"{name}: onnxruntime has no CPU implementation of {kernel[1]} (version {kernel[2]}) for these dtypes",
            "export the model in float32, or for a CPU",
        )
    unknown = _UNKNOWN.search(text)
    if unknown:
        return ModelLoadError(
            f"{name}: needs the operator {unknown[1] or unknown[2]}, which onnxruntime does not know",
            "add --import LIBRARY.so, the library that registers it, or --import MODULE that names one "
            "(onnxruntime_extensions)",
        )
    locale = _LOCALE.search(text)
    if locale:
        return ModelLoadError(
            f"{name}: works on text in the language settings {locale[1]}, which this machine lacks",
            f"install them (Debian, Ubuntu: apt-get install locales, then localedef -i {locale[1].partition('.')[0]} "
            f"-f UTF-8 {locale[1]}), or export the model with the locale 'C'",
        )
    if type(error).__name__ in ("InvalidProtobuf", "InvalidGraph"):
        return ModelFileError(
            f"{name}: its graph isn't valid ({meaningful_line(error)})", "copy or export the model again"
        )
    return ModelLoadError(
        f"{name}: onnxruntime cannot load it ({meaningful_line(error)})",
        f"onnx.checker.check_model({name!r}, full_check=True) may say more",
    )


def while_running(name: str, error: BaseException, layer: str | None) -> ModelRunError:
    """The error for a forward pass that failed, in a layer that may be known."""
    where = "" if layer is None else f" at {layer!r}"
    found = ModelRunError(
        f"{name}: the forward pass failed{where} ({meaningful_line(error)})",
        "compare the batch with what the model expects",
    )
    found.layer = layer
    return found


def failed_nodes(error: BaseException) -> list[str]:
    """The names of the nodes at which a forward pass failed, as far as the message tells them, the innermost first."""
    return [match[2] for match in _NODE.finditer(str(error)) if match[2]][::-1]


def meaningful_line(error: BaseException) -> str:
    """What went wrong, without places in onnxruntime's source and status codes."""
    text = _PREFIX.sub("", " ".join(str(error).split()))
    parts = _STATUS.split(text)
    text = parts[-1] if len(parts) > 1 else text
    text = _PLACES.sub("", text)
    text = text.rstrip(". ") or type(error).__name__
    return text if len(text) <= _LONGEST else text[:_LONGEST].rstrip() + "…"
