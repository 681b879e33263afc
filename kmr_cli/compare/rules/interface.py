"""KMR409: what a model takes and returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kmr_cli.compare.case import Case
from kmr_cli.compare.declared import narrowed
from kmr_cli.compare.ports import ports_of
from kmr_cli.compare.words import LISTED, counted, input_kind, input_text, output_name
from kmr_cli.formats.facts import sorts_outputs
from kmr_cli.records import InputSketch
from kmr_cli.rules import Rule, Severity

INTERFACE_CHANGED = Rule(
    "KMR409",
    "interface-changed",
    "error",
    "the model takes different inputs, or returns different outputs",
    "callers break",
    "restore names, shapes and dtypes, or take the snapshot again and tell the callers",
    command="compare",
    scope="model",
)
RULES = (INTERFACE_CHANGED,)


def judge(case: Case) -> None:
    """Inputs and outputs: their number, names, shapes and dtypes, and which sizes the file declares as free."""
    for problem in _inputs(case):
        _add(case, "in0", problem)
    for problem in _outputs(case):
        _add(case, "out0", problem)
    for problem, severity in _order(case):
        case.add(INTERFACE_CHANGED, ("", 0, "out0"), problem, lenient=severity)
    for problem, worse in narrowed(case.model.inputs, case.baseline.inputs):
        # Whatever the outputs of this batch say: callers can no longer feed another one.
        case.add(INTERFACE_CHANGED, ("", 0, "in0"), problem, severity=None if worse else "note", lenient="error")


def _add(case: Case, port: str, problem: str) -> None:
    """Callers may notice it although the values agree."""
    case.add(INTERFACE_CHANGED, ("", 0, port), problem, lenient="warning")


def _inputs(case: Case) -> Iterator[str]:
    """How the inputs differ. Between two frameworks names mean little."""
    now, before, named = case.model.inputs, case.baseline.inputs, case.alignment.same_kind
    if len(now) != len(before):
        yield f"{counted(len(now), 'input')} instead of {len(before)}"
    elif named or not case.same_data:
        described: Callable[[InputSketch], object] = input_text if named else input_kind
        for new, old in zip(now, before, strict=True):
            if described(new) != described(old):
                yield f"input {input_text(old)} is now {input_text(new)}"


def _outputs(case: Case) -> Iterator[str]:
    """How the outputs differ."""
    now, before = case.model.outputs, case.baseline.outputs
    if len(now) != len(before):
        yield f"{counted(len(now), 'output')} instead of {len(before)}"
    elif case.alignment.same_kind and case.model.format == case.baseline.format and now != before:
        if sorted(now) != sorted(before):
            yield f"outputs {', '.join(map(repr, before))} are now {', '.join(map(repr, now))}"
    else:
        gone = ports_of(case, ("", 0), ("", 0))
        if gone:
            yield f"output ports {gone[1]} are now {gone[0]}"


def _order(case: Case) -> Iterator[tuple[str, Severity]]:
    """Outputs in another order, and how bad that is where values agree: who goes by the place gets others."""
    now, before = case.model, case.baseline
    if now.outputs != before.outputs and sorted(now.outputs) == sorted(before.outputs):
        names = f"outputs {', '.join(map(repr, before.outputs))} are now {', '.join(map(repr, now.outputs))}"
        if now.format == before.format:
            yield f"{names}: the same names in a different order", "error"
        elif not (sorts_outputs(now.format) or sorts_outputs(before.format)):
            yield f"{names}: the same names in a different order", "warning"
    moved = [(port, there) for (layer, _, port), there in case.swapped.items() if not layer]
    if moved:
        words = [
            f"{output_name(port, now.outputs)!r} is the baseline's {output_name(there, before.outputs)!r}"
            for port, there in moved
        ]
        more = f" and {len(words) - LISTED} more" if len(words) > LISTED else ""
        yield f"the same outputs in a different order: {', '.join(words[:LISTED])}{more}", "error"
