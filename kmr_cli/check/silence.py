"""Why an output, or some samples of it, did not react to any replacement, and what to do about it."""

from __future__ import annotations

import shlex
from collections.abc import Collection

import numpy as np

from kmr_cli.arrays.dtypes import discrete
from kmr_cli.batch.words import dtype_name
from kmr_cli.check.axes import completed
from kmr_cli.check.run import Run
from kmr_cli.evidence.taps import Tap
from kmr_cli.proof.owners import Free

_MORE_DATA = "give data with --input in which it differs from sample to sample"
_EXTREMES = (-1.0, 0.0, 1.0)
"""Where saturated sigmoid, tanh and softmax units stand."""


def why_silent(run: Run, tap: Tap, silent: Collection[int] = ()) -> str:
    """Why, and what to do: to be put behind what did not change, with a colon.

    Args:
        run: the check.
        tap: an output.
        silent: the samples whose part of it did not change; empty for all.
    """
    value = _part(run, tap, silent)
    if not value.size:
        return f"it is empty; {_MORE_DATA.replace('it differs', 'it is not')}"
    if value.dtype.kind in "fcV" and not _finite(value).any():
        return "NaN and Inf stay what they are, whatever goes in; see KMR304 for the layer where they begin"
    if not silent and (kept := kept_number(run)):
        return f"each kept its number of {kept}, which alone may decide it; {accept(run, tap)}"
    if run.structure is not None and isinstance(run.structure.owner(run.evidence.names, tap), Free):
        return f"by the graph it is made of nothing that samples hold; {accept(run, tap)}"
    if discrete(value):
        what = f"it is {dtype_name(value.dtype)}, and other data may lead to the same decision"
        return f"{what}; return the scores behind it as another output, or {_MORE_DATA}"
    if not _anything_reacted(run):
        return f"no layer reacted either, as if no input were used; {_MORE_DATA}"
    if bool((value == value.flat[0]).all()):
        return f"it is {value.flat[0]:g} everywhere, as behind units that are all off; {_MORE_DATA}"
    if np.isin(value.astype(np.float64), _EXTREMES).all():
        return f"it holds nothing but 0 and 1 or -1, as saturated units do; {_MORE_DATA}, or return what is before them"
    if not silent:
        return f"no input seems to reach it; {accept(run, tap)}"
    return f"the data that replaced them lead to the same values, as where units saturate; {_MORE_DATA}"


def kept_number(run: Run) -> str | None:
    """What of a replaced sample stays as many as it was: the steps of a ragged input, the values of a sparse one."""
    if any(spec.lengths for spec in run.info.inputs):
        return "steps"
    return "values" if any(spec.sparse for spec in run.info.inputs) else None


def accept(run: Run, tap: Tap) -> str:
    """How to say that an output need not carry samples."""
    name = shlex.quote(run.evidence.names.get(tap[2], tap[2]))
    return f"--allow-output {name} accepts it, if that is by design"


def _part(run: Run, tap: Tap, silent: Collection[int]) -> np.ndarray:
    """What belongs to these samples, as far as it is known which part that is; else all of it."""
    value = run.evidence.base[tap]
    index = completed(run, tap)
    if not silent or index.axis is None:
        return value
    places = [place for place, owner in enumerate(index.owners) if owner in silent]
    return np.take(value, places, index.axis) if places else value


def _finite(value: np.ndarray) -> np.ndarray:
    finite: np.ndarray = np.isfinite(value.astype(np.float64) if value.dtype.kind == "V" else value)
    return finite


def _anything_reacted(run: Run) -> bool:
    """Whether any layer's output changed when samples were replaced; yes, where no layer was seen."""
    inside = [run.indices[tap].kind for tap in run.evidence.order if tap[0] and tap[2].startswith("out")]
    return not inside or any(kind != "constant" for kind in inside)
