"""``--layer-class`` with ``--kwargs`` and ``--shape``: a layer under development, in place of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kmr_cli.cli import options

if TYPE_CHECKING:
    from kmr_cli.records import TensorSpec


def arguments(text: str) -> dict[str, Any]:
    """The constructor's arguments, as ``--kwargs`` gives them.

    Raises:
        click.BadParameter: no JSON object.
    """
    import json

    try:
        given = json.loads(text)
    except ValueError as exc:
        raise click.BadParameter(f"not JSON ({exc}); write it as in '{{\"units\": 8}}'", param_hint="--kwargs") from exc
    if not isinstance(given, dict):
        raise click.BadParameter("must be a JSON object, as in '{\"units\": 8}'", param_hint="--kwargs")
    return given


def specs(shapes: tuple[str, ...]) -> list[TensorSpec]:
    """What ``--shape`` says of the layer's inputs.

    Raises:
        click.UsageError: nothing.
        click.BadParameter: not the shape of a sample.
    """
    from kmr_cli.config.shapes import sizes_and_dtype
    from kmr_cli.records import TensorSpec

    if not shapes:
        raise click.UsageError("--layer-class needs the shape of one sample for each of its inputs: --shape 8,8,1")
    found = []
    for text in shapes:
        ((name, shape),) = options.parse_shapes([text]).items()
        sizes, dtype = sizes_and_dtype(shape)
        found.append(TensorSpec(name or "", (None, *sizes), dtype or "float32"))
    return found
