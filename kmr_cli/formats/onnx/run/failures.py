"""What onnxruntime says when it fails, as one line of ours with what to do about it."""

from __future__ import annotations

import re

from kmr_cli.errors import KmrError, ModelFileError, ModelLoadError, ModelRunError
from kmr_cli.formats.onnx.describe.graph import Graph
from kmr_cli.formats.onnx.run.unknown import AGAIN, unknown

_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ")
_PLACES = re.compile(
    r"\S*/\S+\.(?:cc|cpp|h):\d+ "  # a line of onnxruntime's source, then the signature of a function
    r"(?:[^()]*\([^()]*(?:\([^()]*\)[^()]*)*\)(?:::<lambda\(.*?\)>)?(?: const)?(?: \[.*?\])? )?"
)
_STATUS = re.compile(r"\s*Status Message:\s*")
_OPSET = re.compile(r"[Oo]pset (\d+) is under development|opset version (\d+)", re.DOTALL)
_IR = re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)")
_NO_KERNEL = re.compile(r"Could not find an implementation for ([\w.:]+)\((\d+)\) node with name '([^']*)'")
_OUTSIDE = re.compile(r"([\w.]+):(\w+)\(-?\d+\) is not a registered function/op")
_INVALID = re.compile(r"In Node, \(\"([^\"]*)\", ([\w.]*), \"([\w.]*)\", -?\d+\) : .* , Error (.+)$")
_UNKNOWN = re.compile(r"No Op registered for |Op registered for \w+ is deprecated in ")
_WRONG_DTYPE = re.compile(
    r"Type 'tensor\((\w+)\)' of input parameter \(([^)]*)\) of operator \((\w+)\) in node \(([^)]*)\) is invalid"
)
_LOCALE = re.compile(r"Failed to construct locale with name: ?([\w.@-]+)")
_NODE = re.compile(r"Non-zero status code returned while running (\S+) node\. Name:'([^']*)'")
_LONGEST = 300
_OLDEST = 7
"""The first opset that onnxruntime promises to run; some operators of earlier ones have a kernel all the same."""


def while_loading(name: str, error: BaseException, graph: Graph) -> KmrError:
    """The error for a model that onnxruntime refuses."""
    text = str(error)
    opset = graph.imports.get("")
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
        where = f" (node {kernel[3]!r})" if kernel[3] else ""
        return ModelLoadError(
            f"{name}: onnxruntime has no CPU implementation of {kernel[1]} (version {kernel[2]}) for "
            f"{_dtypes(graph, kernel[1], kernel[3])}{where}",
            "export the model in float32, or for a CPU",
        )
    dtype = _WRONG_DTYPE.search(text)
    if dtype:
        return ModelFileError(
            f"{name}: the operator {dtype[3]} takes no {dtype[1]} (input {dtype[2]!r} of node {dtype[4]!r})",
            "export the model again, with a cast before it or in float32",
        )
    outside, invalid = _OUTSIDE.search(text), _INVALID.search(" ".join(text.split()))
    if outside:
        return unknown(name, outside[2], outside[1], graph.imports)
    if invalid and _UNKNOWN.search(invalid[4]):
        return unknown(name, invalid[2], invalid[3], graph.imports)
    if invalid:
        where = " ".join([invalid[2] or "a node without a type", *([f"{invalid[1]!r}"] if invalid[1] else [])])
        return ModelFileError(f"{name}: its graph isn't valid ({where}: {invalid[4].rstrip('. ')})", AGAIN)
    if "Missing opset in the model" in text:
        return ModelFileError(f"{name}: it doesn't say which version of ONNX's operators it uses (opset_import)", AGAIN)
    locale = _LOCALE.search(text)
    if locale:
        return ModelLoadError(
            f"{name}: works on text in the language settings {locale[1]}, which this machine lacks",
            f"install them (Debian, Ubuntu: apt-get install locales, then localedef -i {locale[1].partition('.')[0]} "
            f"-f UTF-8 {locale[1]}), or export the model with the locale 'C'",
        )
    if type(error).__name__ in ("InvalidProtobuf", "InvalidGraph"):
        return ModelFileError(f"{name}: its graph isn't valid ({meaningful_line(error)})", AGAIN)
    return ModelLoadError(
        f"{name}: onnxruntime cannot load it ({meaningful_line(error)})",
        f"onnx.checker.check_model({name!r}, full_check=True) may say more",
    )


def _dtypes(graph: Graph, operator: str, label: str) -> str:
    """The dtypes that operators of this type and name take, as far as the file tells them."""
    nodes = [node for node in graph.nodes if (node.op, node.name) == (operator, label)]
    found = sorted({dtype for node in nodes for name in node.reads if (dtype := graph.type(name).dtype)})
    return ", ".join(found) or "these dtypes"


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
