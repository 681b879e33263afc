"""A layer under development, given as ``PKG.MOD:CLASS``: built into the smallest model that holds it."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kmr_cli.errors import KmrError, LayerError, ModelLoadError
from kmr_cli.formats import load_format
from kmr_cli.formats.common.frameworks import first_line, import_user_modules
from kmr_cli.formats.interface import Session
from kmr_cli.records import ModelInfo, TensorSpec

NAME = "layer"
"""The word used in reports."""
_NAMED = 6
"""Arguments of a constructor that a hint lists."""


def open_class(
    target: str,
    arguments: Mapping[str, Any],
    inputs: tuple[TensorSpec, ...],
    imports: tuple[str, ...] = (),
    *,
    training: bool = False,
) -> tuple[ModelInfo, Callable[[], Session]]:
    """Construct the layer and say how it is opened.

    Args:
        target: ``PKG.MOD:CLASS``, a ``keras.Layer`` or a ``torch.nn.Module``.
        arguments: of its constructor.
        inputs: shape (with the batch as None) and dtype of every argument of its ``call`` or ``forward``; the first
            may have the name ``""``.
        imports: modules to import first.
        training: the session runs it in training mode.

    Returns:
        Its description, and what opens it: every time afresh, with the same weights. What Keras names by itself has
        the names of the description in the first session only.

    Raises:
        LayerError: no such module or class, or it is no layer.
        ModelLoadError: its constructor, or building it, failed, or it has no training mode.
    """
    import_user_modules(imports)
    kind = _find(target)
    framework = next((base.__module__.split(".")[0] for base in kind.__mro__ if _is_base(base)), None)
    if framework is None:
        raise LayerError(f"{target}: neither a keras.Layer nor a torch.nn.Module")
    _check_arguments(target, kind, arguments)

    def built() -> Any:
        try:
            if framework == "keras":
                return _keras_model(kind, arguments, inputs)
            return _torch_module(target, kind, arguments, inputs, tracing=not training)
        except KmrError:
            raise
        except Exception as exc:  # whatever the user's own code raises
            raise _unbuilt(target, framework, inputs, exc) from exc

    model = built()
    adopting = load_format("keras" if framework == "keras" else "torchscript")

    def adopted(model: Any) -> Session:
        session = adopting.adopt(model, training=training)
        assert session is not None
        return session

    session = adopted(model)
    unused = [session]
    values = model.get_weights() if framework == "keras" else []

    def open_session() -> Session:
        if unused:
            return unused.pop()
        if framework != "keras":
            return adopted(model)  # a copy
        again = built()  # the session runs the model itself, which may remember
        try:
            again.set_weights(values)
        except ValueError as exc:
            raise ModelLoadError(f"{target}: built again it has other weights ({first_line(exc)})") from exc
        return adopted(again)

    by_name = {spec.name: spec for spec in inputs}
    unnamed = iter([spec for spec in inputs if spec.name not in {told.name for told in session.inputs}])
    asked = {told.name: by_name[told.name] if told.name in by_name else next(unnamed) for told in session.inputs}
    named = tuple(TensorSpec(name, spec.shape, spec.dtype) for name, spec in asked.items())
    separator = "/" if framework == "keras" else "."
    info = ModelInfo(target, NAME, "", named, (), session.layers, None, separator=separator)
    return info, open_session


def _unbuilt(target: str, framework: str, inputs: tuple[TensorSpec, ...], exc: Exception) -> ModelLoadError:
    if framework == "keras":
        from kmr_cli.formats.keras.run.load import keras_message
    said = keras_message(exc) if framework == "keras" else first_line(exc)
    shapes = ", ".join(str(spec.shape).replace("None", "batch") for spec in inputs)
    hint = f"it was given {shapes}: --shape states a single sample, --kwargs the arguments of its constructor"
    return ModelLoadError(f"{target}: cannot be built ({type(exc).__name__}: {said})", hint)


def _find(target: str) -> type:
    module_name, colon, class_name = target.partition(":")
    if not colon:
        raise LayerError(f"{target!r} is no PKG.MOD:CLASS", "for example my_layers:Attention")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as `python -m` does: the layer is mostly in the folder one works in
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as exc:
        raise LayerError(f"no module named {exc.name!r}", "is it installed, or in this folder?") from exc
    except Exception as exc:
        raise ModelLoadError(f"{module_name}: importing it failed ({type(exc).__name__}: {first_line(exc)})") from exc
    kind = getattr(module, class_name, None)
    if not isinstance(kind, type):
        raise LayerError(f"{module_name} has no class {class_name!r}")
    return kind


def _check_arguments(target: str, kind: type, arguments: Mapping[str, Any]) -> None:
    """Raise LayerError if the constructor does not take these, or wants more."""
    signature = inspect.signature(kind.__init__)  # type: ignore[misc]
    try:
        signature.bind(None, **arguments)
    except TypeError as exc:
        _, *others = signature.parameters.values()
        named = [one for one in others if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
        needed = [one.name for one in named if one.default is one.empty]
        listed = ", ".join(one.name for one in named[:_NAMED]) + (", …" if len(named) > _NAMED else "")
        example = ", ".join(f'"{name}": …' for name in needed or [one.name for one in named[:1]])
        hint = f"it takes {listed}: --kwargs '{{{example}}}'" if named else "it takes no arguments: leave out --kwargs"
        raise LayerError(f"{target}: {exc}", hint) from exc


def _is_base(base: type) -> bool:
    return (base.__module__, base.__qualname__) in (
        ("keras.src.layers.layer", "Layer"),
        ("torch.nn.modules.module", "Module"),
    )


def _keras_model(kind: type, arguments: Mapping[str, Any], inputs: tuple[TensorSpec, ...]) -> Any:
    import keras

    layer = kind(**arguments)
    tensors = [
        keras.Input(spec.shape[1:], dtype=spec.dtype, name=spec.name or "inputs") for spec in inputs if spec.shape
    ]
    first, *rest = tensors
    named = dict(zip((spec.name for spec in inputs[1:]), rest, strict=True))
    return keras.Model(tensors if rest else first, layer(first, **named), name="model")


def _torch_module(
    target: str, kind: type, arguments: Mapping[str, Any], inputs: tuple[TensorSpec, ...], *, tracing: bool
) -> Any:
    """Scripted, or traced where that fails: a traced module stays in the mode it was traced in."""
    from kmr_cli.formats.torchscript.run import optional

    dtypes = [_torch_dtype(target, spec) for spec in inputs]
    module = kind(**arguments).eval()
    names = _names_of(target, module, inputs)
    fed = {name.partition(".")[0] for name in names or ()}
    classes = optional.declare(module, fed)
    refused: Exception
    left_out = optional.left_out(module, fed)
    if left_out:
        refused = ModelLoadError(
            f"{target}: scripting would leave out forward's optional argument {min(left_out)!r}",
            f"declare it without a default: {min(left_out)}: torch.Tensor",
        )
    else:
        try:
            return _scripted(module)
        except Exception as exc:
            refused = _refusal(target, kind, exc, tracing=tracing)
    optional.restore(classes)
    if tracing:
        with contextlib.suppress(Exception):  # that it cannot be scripted says more
            return _traced(module, inputs, dtypes, names)
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
    import io

    import torch

    with _undeprecated():
        scripted = torch.jit.script(module)
        torch.jit.save(scripted, io.BytesIO())
    return scripted


def _refusal(target: str, kind: type, exc: Exception, *, tracing: bool) -> Exception:
    """Why torch does not script it, to be said where tracing does not help."""
    from kmr_cli.formats.torchscript.run import optional

    if optional.is_untyped(exc):
        return ModelLoadError(f"{target}: {optional.UNTYPED}", optional.TYPE_IT)
    if tracing:
        return exc
    return ModelLoadError(
        f"{kind.__name__}: has no training mode: torch.jit.script refuses it ({first_line(exc)})",
        "mend what it refuses, or leave out --training",
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
