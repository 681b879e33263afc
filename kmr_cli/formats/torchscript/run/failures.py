"""What torch says when it fails, as one line of ours with what to type instead."""

from __future__ import annotations

import re

from kmr_cli.errors import KmrError, ModelFileError, ModelLoadError, ModelRunError
from kmr_cli.formats.common.devices import TO_THE_CPU, missing_device

_UNKNOWN_OPERATOR = re.compile(
    r"(?:Unknown builtin op: |no such operator |object has no attribute or method )([\w:.]+)"
)
_UNKNOWN_CLASS = re.compile(
    r"Unknown type name '?(__torch__\.torch\.classes\.[\w.]+)|Class (__torch__\.[\w.]+) not found"
)
_MOBILE = frozenset({"xnnpack", "prepacked", "vulkan_prepack", "metal_prepack"})
"""Namespaces of what ``torch.utils.mobile_optimizer`` puts into a model."""
_NOISE = (
    "The following operation failed in the TorchScript interpreter",
    "Traceback of TorchScript",
    "Traceback (most recent call last)",
    "Exception raised from",
    "~",
    "<---",
    "File ",
    "Serialized ",
)


def while_loading(name: str, exc: BaseException, *, optimized: bool = False) -> KmrError:
    """The error for a file that ``torch.jit.load`` refused.

    Args:
        name: of the file.
        exc: what torch raised.
        optimized: the file's code holds weights in oneDNN's form.
    """
    text = str(exc)
    if optimized:
        return ModelLoadError(
            f"{name}: was optimized for inference (torch.jit.optimize_for_inference): its weights are in oneDNN's"
            f" form (mkldnn), which torch writes but cannot read ({meaningful_line(exc)})",
            "save the model before torch.jit.optimize_for_inference, and optimize it after it is loaded",
        )
    operator = _UNKNOWN_OPERATOR.search(text)
    if operator:
        return _missing(name, f"the operator {operator[1].rstrip('.')}", operator[1].split("::")[0])
    unknown = _UNKNOWN_CLASS.search(text)
    if unknown:
        kind = (unknown[1] or unknown[2]).removeprefix("__torch__.torch.classes.").rstrip(".")
        return _missing(name, f"the class {kind}", kind.split(".")[0])
    if "PytorchStreamReader" in text or "failed finding central directory" in text:
        return ModelFileError(
            f"{name}: the archive is damaged ({meaningful_line(exc)})", "copy or save the model again"
        )
    return ModelLoadError(f"{name}: torch cannot load it ({meaningful_line(exc)})")


def _missing(name: str, what: str, package: str) -> ModelLoadError:
    if package in _MOBILE:
        return ModelLoadError(
            f"{name}: was optimized for mobile devices (optimize_for_mobile): needs {what}, which this torch lacks",
            "use the model from before torch.utils.mobile_optimizer.optimize_for_mobile",
        )
    if package == "torchvision":
        hint = "pip install torchvision, then add --import torchvision"
    else:
        hint = "add --import MODULE with the Python module that registers it"
    return ModelLoadError(f"{name}: needs {what}, which is not registered", hint)


def while_running(name: str, exc: BaseException) -> KmrError:
    """The error for a forward pass that failed."""
    line = meaningful_line(exc)
    device = missing_device(str(exc))
    if device:
        return ModelRunError(f"{name}: its code runs on {device}, which is not available here", TO_THE_CPU)
    operator = _UNKNOWN_OPERATOR.search(str(exc))
    if operator and "::" in operator[1]:
        missing = _missing(name, f"the operator {operator[1]}", operator[1].split("::")[0])
        return ModelRunError(missing.message, missing.hint)
    return ModelRunError(f"{name}: the forward pass failed ({line})", "compare the batch with what the model expects")


def meaningful_line(exc: BaseException) -> str:
    """What went wrong, out of a message that also holds the interpreter's traceback and the source around it."""
    lines = [line.strip() for line in str(exc).splitlines()]
    said = [line for line in lines if line and not line.startswith(_NOISE) and "<--- HERE" not in line]
    # The interpreter prints its traceback first and the cause last, as "RuntimeError: …".
    causes = [line for line in said if re.match(r"(?:[\w.]+)?(?:Error|Exception|Interrupt): ", line)]
    line = causes[-1] if causes else (said[0] if said else type(exc).__name__)
    line = re.sub(r"^(?:builtins\.)?(?:[\w.]+)?(?:Error|Exception): ", "", line)
    return line.rstrip(". ")
