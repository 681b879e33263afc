"""The error for a layer class that cannot be built."""

from __future__ import annotations

from kmr_cli.errors import ModelLoadError
from kmr_cli.formats.interface import ClassRequest


def unbuilt(request: ClassRequest, exc: Exception, said: str) -> ModelLoadError:
    """What its own code or the framework raised; ``said``: the line of it that says something."""
    shapes = ", ".join(str(spec.shape).replace("None", "batch") for spec in request.inputs)
    hint = f"it was given {shapes}: --shape is that of ONE sample, --kwargs the arguments of its constructor"
    return ModelLoadError(f"{request.target}: cannot be built ({type(exc).__name__}: {said})", hint)
