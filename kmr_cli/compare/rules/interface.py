"""KMR409: what a model takes and returns."""

from __future__ import annotations

from collections.abc import Callable

from kmr_cli.compare.case import Case
from kmr_cli.compare.declared import narrowed
from kmr_cli.compare.ports import ports_of
from kmr_cli.compare.words import counted, input_kind, input_text
from kmr_cli.records import InputSketch
from kmr_cli.rules import Rule

INTERFACE_CHANGED = Rule(
    "KMR409",
    "interface-changed",
    "error",
    "the model takes other inputs, or returns other outputs",
    "callers break",
    "restore names, shapes and dtypes, or take the snapshot again and tell the callers",
    command="compare",
    scope="model",
)
RULES = (INTERFACE_CHANGED,)


def judge_interface(case: Case) -> None:
    """KMR409: inputs and outputs."""
    named = case.alignment.same_kind
    now, before = case.model.inputs, case.baseline.inputs
    problems = []
    if len(now) != len(before):
        problems.append(f"{counted(len(now), 'input')} instead of {len(before)}")
    elif named or not case.same_data:
        told_of: Callable[[InputSketch], object] = input_text if named else input_kind
        problems += [f"input {input_text(old)} is now {input_text(new)}" for new, old in zip(now, before, strict=True)
                     if told_of(new) != told_of(old)]  # fmt: skip
    outputs = (case.model.outputs, case.baseline.outputs)
    if len(outputs[0]) != len(outputs[1]):
        problems.append(f"{counted(len(outputs[0]), 'output')} instead of {len(outputs[1])}")
    elif named and case.model.format == case.baseline.format and outputs[0] != outputs[1]:
        problems.append(f"outputs {', '.join(map(repr, outputs[1]))} are now {', '.join(map(repr, outputs[0]))}")
    else:
        gone = ports_of(case, ("", 0), ("", 0))
        problems += [f"output ports {gone[1]} are now {gone[0]}"] if gone else []
    for problem in problems:
        case.add("KMR409", ("", 0, "in0" if "input" in problem else "out0"), problem)
    for problem, worse in narrowed(now, before):
        case.add("KMR409", ("", 0, "in0"), problem, severity=None if worse else "note", firm=True)
