"""What a model without a graph is called with, from the shapes that Keras saves of the call that built it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kmr_cli.errors import ModelLoadError
from kmr_cli.formats.keras.describe.config import as_shape
from kmr_cli.records import Shape, TensorSpec

MAX_NESTING = 20
"""Lists and dictionaries around one tensor. A structure deeper than this is broken or hostile."""

OWN = ("training", "mask")
"""Arguments of ``call`` that Keras fills in."""


@dataclass(frozen=True)
class CallInputs:
    """The arguments of a subclassed model's ``call``.

    Attributes:
        structure: lists and dictionaries with :class:`TensorSpec` as leaves, None where the model was built with None.
        by_argument: whether it is a dictionary from arguments of ``call``, rather than the one positional argument.
    """

    structure: Any
    by_argument: bool

    @property
    def specs(self) -> tuple[TensorSpec, ...]:
        """The tensors in the order in which Keras flattens them: dictionaries by sorted key, arguments in theirs."""
        parts = self.structure.values() if self.by_argument else [self.structure]
        return tuple(spec for part in parts for spec in _flat(part))

    def packed(self, values: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword arguments for ``call``, from the values of :attr:`specs` by name."""
        filled = _filled(self.structure, values)
        return ((), filled) if self.by_argument else ((filled,), {})


def call_inputs(shapes: Any, *, by_argument: bool) -> CallInputs | None:
    """Name every tensor of a build config.

    A single one is ``inputs``; members of a dictionary go by their key and of a list by ``input_0``, ``input_1`` …,
    deeper ones by the way to them, ``side.0``; arguments by their name, without those that Keras fills in.

    The size of axis 0 is that of the data which the model happened to be called on: no declaration, so it is None.

    Args:
        shapes: the value of ``input_shape`` or ``shapes_dict`` in a ``build_config``.
        by_argument: whether these are the shapes of several arguments of ``call``.

    Returns:
        None where they are no such structure, or name one tensor twice.
    """
    try:
        if by_argument:
            if not isinstance(shapes, dict):
                return None
            named = {str(key).removesuffix("_shape"): value for key, value in shapes.items()}
            if len(named) < len(shapes):
                return None
            named = {key: value for key, value in named.items() if key not in OWN}
            found = CallInputs({key: _named(value, key) for key, value in named.items()}, by_argument=True)
        else:
            found = CallInputs(_named(shapes, ""), by_argument=False)
    except ValueError:
        return None
    names = [spec.name for spec in found.specs]
    return found if names and len(set(names)) == len(names) else None


def free_batch(shape: Shape | None) -> Shape | None:
    """A shape that only tells what a model was built on, with its batch axis unknown."""
    return (None, *shape[1:]) if shape else shape


def _named(shapes: Any, name: str, depth: int = 0) -> Any:
    if depth > MAX_NESTING:
        raise ValueError("nested too deep")
    if shapes is None:
        return None
    shape = as_shape(shapes)
    if shape is not None:
        return TensorSpec(name or "inputs", free_batch(shape))
    if isinstance(shapes, dict) and shapes.get("class_name") == "__tuple__":
        shapes = shapes.get("items")
    prefix = f"{name}." if name else ""
    if isinstance(shapes, dict):
        return {str(key): _named(item, f"{prefix}{key}", depth + 1) for key, item in shapes.items()}
    if isinstance(shapes, (list, tuple)):
        prefix = prefix or "input_"
        return [_named(item, f"{prefix}{i}", depth + 1) for i, item in enumerate(shapes)]
    raise ValueError(f"a build config with {shapes!r:.60}")


def _flat(structure: Any) -> Iterator[TensorSpec]:
    if isinstance(structure, TensorSpec):
        yield structure
    elif isinstance(structure, dict):
        for key in sorted(structure):
            yield from _flat(structure[key])
    else:
        for item in structure or ():
            yield from _flat(item)


def _filled(structure: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(structure, TensorSpec):
        return values[structure.name]
    if isinstance(structure, dict):
        return {key: _filled(item, values) for key, item in structure.items()}
    return None if structure is None else [_filled(item, values) for item in structure]


# -- what the file does not declare ---------------------------------------------------------------------------------


def refuse_unbuilt(model: Any, parameters: int | None) -> None:
    """Refuse a model that Keras could not build in full, so that it has left saved weights unread.

    Keras only warns then, and the model would run on random numbers.

    Args:
        model: as Keras has loaded it.
        parameters: scalars that the file holds for it.

    Raises:
        ModelLoadError: it is such a model.
    """
    if not parameters or sum(math.prod(variable.shape) for variable in model.variables) >= parameters:
        return
    refuse_missing(model, None)
    raise ModelLoadError(
        f"Keras cannot build {type(model).__name__} from what the file declares, so its weights were not read",
        f"define build() in {type(model).__name__} and save the model again as .keras",
    )


def refuse_missing(model: Any, inputs: CallInputs | None) -> None:
    """Refuse a model whose ``call`` needs more arguments than the file tells of.

    Args:
        model: the live model.
        inputs: what it would be called with; None: one positional argument.

    Raises:
        ModelLoadError: arguments are missing; the hint says how to save them.
    """
    try:
        parameters = list(inspect.signature(type(model).call).parameters.values())[1:]
    except (TypeError, ValueError):
        return
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    needed = [one.name for one in parameters if one.default is one.empty and one.kind in kinds and one.name not in OWN]
    known = list(inputs.structure) if inputs is not None and inputs.by_argument else needed[:1]
    missing = [name for name in needed if name not in known]
    if not missing:
        return
    name, listed = type(model).__name__, ", ".join(needed)
    shapes = ", ".join(f"{argument}_shape" for argument in needed)
    raise ModelLoadError(
        f"{name}.call takes {listed}, but the file does not declare the shape of {', '.join(map(repr, missing))}",
        f"define build(self, {shapes}) in {name} and save it again as .keras, or save the functional model"
        f" keras.Model([{listed}], model({listed})) with a keras.Input for each",
    )
