"""Ways into a model: which of them a report is not about."""

from __future__ import annotations

from dataclasses import replace

from kmr_cli.records import ModelInfo, Report


def others(info: ModelInfo) -> tuple[str, ...]:
    """The ways into a model that were not taken, one line each: ``method 'encode'``."""
    return tuple(f"{kind} {name!r}" for kind, name in info.ways)


def without_others(report: Report, info: ModelInfo) -> Report:
    """The report of a model whose other ways have reports of their own."""
    left = tuple(line for line in report.not_examined if line not in others(info))
    return replace(report, not_examined=left)


def notice(info: ModelInfo) -> str | None:
    """What to say of the ways that were not taken, and what to type for them; None where there is no other."""
    if not info.ways:
        return None
    kind, name = info.ways[0]
    return f"not examined: {', '.join(others(info))}; --{kind} {name} examines it, --all-methods all of them"
