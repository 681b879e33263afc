"""KMR304: values that are not finite, from input that is."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from kmr_cli.blame import find_sources
from kmr_cli.check_run import Run
from kmr_cli.rules import Severity


def judge_finite(run: Run) -> None:
    """NaN or Inf from finite input: how bad it is shows at the outputs, where it comes from at the layers.

    NaN and +Inf at an output are an error. -Inf alone is a usual way to forbid an action or a token: a warning. Inside
    of attention masks of -Inf are a normal thing to have: as long as the outputs are finite, a note.
    """
    if not all(np.isfinite(value).all() for value in run.batch.values() if value.dtype.kind in "fc"):
        return
    bad = run.evidence.not_finite
    severity = _severity(run.evidence.base[tap] for tap in run.outputs if tap in bad)
    for source in find_sources(run.evidence.order, bad.__contains__, run.info.separator):
        value = run.evidence.base.get((source.layer, source.call, source.port))
        rows: list[int] = []
        if value is not None and value.ndim and value.shape[0] == run.evidence.size:
            rows = np.flatnonzero(~np.isfinite(value).reshape(len(value), -1).all(axis=1)).tolist()
        what = "-Inf" if value is not None and _only_minus_inf(value) else "NaN or Inf"
        who = f", sample{'s' if len(rows) > 1 else ''} {', '.join(map(str, rows))}" if rows else ""
        run.add("KMR304", source, f"{what} comes out of finite input{who}", severity=severity)


def _severity(outputs: Iterable[np.ndarray]) -> Severity:
    """Of what the outputs hold that are not finite."""
    mild = [_only_minus_inf(value) for value in outputs]
    return "note" if not mild else "warning" if all(mild) else "error"


def _only_minus_inf(value: np.ndarray) -> bool:
    """Whether all that is not finite is -Inf."""
    with np.errstate(invalid="ignore"):
        return value.dtype.kind == "f" and not (np.isnan(value) | (value == np.inf)).any()
