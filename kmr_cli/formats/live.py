"""Live objects: models that a program holds in memory, as opposed to files."""

from __future__ import annotations

from typing import Any

from kmr_cli.errors import KmrError
from kmr_cli.formats import all_formats, plugins
from kmr_cli.formats.interface import Format, Session, optional
from kmr_cli.formats.words import alternatives
from kmr_cli.records import ModelInfo


def adopt(model: Any) -> tuple[Format, Session]:
    """A session on a live object, and the format that takes it. Imports no framework.

    Raises:
        KmrError: no format takes it; the message says what to do, where its framework is known.
    """
    for format_ in all_formats():
        session = format_.adopt(model)
        if session is not None:
            return format_, session
    for format_ in plugins.installed().formats:
        session = format_.adopt(model)
        if session is not None:
            return format_, session
    raise refusal(model) or KmrError(f"a {type(model).__name__} isn't a model", f"give a path, {_known()}")


def refusal(model: Any) -> KmrError | None:
    """What to do about a live object that no format takes, where a format knows its framework; else None."""
    for format_ in (*all_formats(), *plugins.installed().formats):
        refuse = optional(format_, "refuse_live")
        error: KmrError | None = refuse(model) if refuse is not None else None
        if error is not None:
            return error
    return None


def describe_live(format_: Format, session: Session, *, name: str = "model") -> ModelInfo:
    """What is known of a live model without a file; ``name`` is that of its class."""
    return ModelInfo(
        path=f"(live {name})",
        format=format_.NAME,
        writer=format_.TITLE,
        inputs=session.inputs,
        outputs=(),
        layers=session.layers,
        parameters=None,
        separator=format_.SEPARATOR,
        free_dims=format_.FREE_DIMS,
    )


def _known() -> str:
    kinds = [optional(format_, "LIVE") for format_ in (*all_formats(), *plugins.installed().formats)]
    return alternatives([kind for kind in kinds if kind])
