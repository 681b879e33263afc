"""A torch module class: scripted, or traced where torch does not script it."""

from __future__ import annotations

import contextlib
import inspect
import io
import warnings
from collections.abc import Iterator
from typing import Any

from kmr_cli.errors import KmrError, LayerError, ModelLoadError
from kmr_cli.formats.common.frameworks import first_line
from kmr_cli.formats.common.unbuilt import unbuilt
from kmr_cli.formats.interface import ClassRequest
from kmr_cli.formats.torchscript.run import untyped
from kmr_cli.records import TensorSpec


def build(request: ClassRequest) -> Any:
    """The module as TorchScript.

    Raises:
        LayerError: its ``forward`` takes other arguments, or torch has no tensors of a dtype.
        ModelLoadError: building it failed, or it is to be trained and cannot be scripted.
    """
    try:
        return _torch_module(request)
    except KmrError:
        raise
    except Exception as exc:  # whatever the user's own code raises
        raise unbuilt(request, exc, first_line(exc)) from exc


def _torch_module(request: ClassRequest) -> Any:
    """Scripted, or traced where that fails: a traced module stays in the mode it was traced in."""
    target, tracing = request.target, not request.training
    dtypes = [_torch_dtype(target, spec) for spec in request.inputs]
    module = request.kind(**request.arguments).eval()
    names = _names_of(target, module, request.inputs)
    refused: Exception
    left_out = untyped.left_out(module, {name.partition(".")[0] for name in names or ()})
    if left_out:
        name = min(left_out)
        by_keyword = inspect.signature(module.forward).parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
        refused = ModelLoadError(
            f"{target}: scripting would leave out forward's optional argument {name!r}",
            f"declare it {'as a positional argument ' if by_keyword else ''}without a default: {name}: torch.Tensor",
        )
    else:
        try:
            return _scripted(module)
        except Exception as exc:
            refused = _refusal(target, request.kind, exc, tracing=tracing)
    if tracing:
        with contextlib.suppress(Exception):  # that it cannot be scripted says more
            return _traced(module, request.inputs, dtypes, names)
    raise refused


def _torch_dtype(target: str, spec: TensorSpec) -> Any:
    import torch

    dtype = getattr(torch, spec.dtype or "float32", None)
    if not isinstance(dtype, torch.dtype):
        raise LayerError(
            f"{target}: torch has no tensors of dtype {spec.dtype}",
            "give one that it has: --shape N,N:int64",
        )
    return dtype


def _scripted(module: Any) -> Any:
    """Raises whatever torch does."""
    import torch

    with _undeprecated():
        scripted = torch.jit.script(module)
        torch.jit.save(scripted, io.BytesIO())
    return scripted


def _refusal(target: str, kind: type, exc: Exception, *, tracing: bool) -> Exception:
    """Why torch does not script it, to be said where tracing does not help."""
    if untyped.is_untyped(exc):
        return ModelLoadError(f"{target}: {untyped.UNTYPED}", untyped.TYPE_IT)
    if tracing:
        return exc
    return ModelLoadError(
        f"{kind.__name__}: has no training mode: torch.jit.script refuses it ({first_line(exc)})",
        "fix what it refuses, or leave out --training",
    )


def _traced(module: Any, inputs: tuple[TensorSpec, ...], dtypes: list[Any], names: list[str] | None) -> Any:
    """On zeros, of a batch of two. Raises whatever torch or the module does."""
    import torch

    shapes = [[2, *(spec.shape or ())[1:]] for spec in inputs]
    example = [torch.zeros(shape, dtype=dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]
    with _undeprecated():
        if names is None:
            return torch.jit.trace(module, tuple(example))
        return torch.jit.trace(module, example_kwarg_inputs=dict(zip(names, example, strict=True)))


@contextlib.contextmanager
def _undeprecated() -> Iterator[None]:
    """For torch, which deprecates its own file format."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _names_of(target: str, module: Any, inputs: tuple[TensorSpec, ...]) -> list[str] | None:
    """Which argument of ``forward`` each input is for; unnamed ones are taken in order. None where it takes any.

    Raises:
        LayerError: it has no such argument, or needs more.
    """
    parameters = inspect.signature(module.forward).parameters.values()
    if any(one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD) for one in parameters):
        return None
    known = [one.name for one in parameters]
    given = {spec.name.partition(".")[0] for spec in inputs}
    free = iter([name for name in known if name not in given])
    names = [spec.name or next(free, "") for spec in inputs]
    listed = ", ".join(known)
    if "" in names:
        takes = f"{len(known)} argument{'s' if len(known) != 1 else ''}"
        raise LayerError(
            f"{target}: forward takes {takes}, not {len(inputs)}",
            f"give one --shape for each of {listed}" if known else "check a module around it that takes an input",
        )
    for name in names:
        if name.partition(".")[0] not in known:
            raise LayerError(f"{target}: forward has no argument {name!r}", f"it takes {listed}: --shape NAME=N,N")
    needed = [one.name for one in parameters if one.default is one.empty]
    missing = [name for name in needed if name not in {name.partition(".")[0] for name in names}]
    if missing:
        hint = " ".join(f"--shape {name}=N,N" for name in missing)
        raise LayerError(f"{target}: forward needs {', '.join(map(repr, missing))} too", f"add {hint}")
    return names
