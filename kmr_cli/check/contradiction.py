"""Every claim of the structural proof, held against what the passes of a check showed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kmr_cli.arrays.ulp import last_bits
from kmr_cli.check.run import Run
from kmr_cli.check.structure import Structure
from kmr_cli.errors import ProofError
from kmr_cli.evidence.taps import Tap
from kmr_cli.proof.graph import Operator, references
from kmr_cli.proof.owners import Free, Own
from kmr_cli.proof.places import owners_along
from kmr_cli.proof.vocabularies import lookup

_SHOWN = 4
"""Operators that a contradiction names."""


def hold(run: Run, structure: Structure) -> int:
    """Hold every claim against what the passes showed.

    Nothing is said of values that chance or earlier calls change, of last bits downstream of routed rows, of NaN and of
    failures: the claims do not speak of them.

    Returns:
        How many claims there were.

    Raises:
        ProofError: a pass contradicts one.
    """
    if run.remembers:
        return 0
    held, routed = 0, False
    by_content = set(run.routed)
    for tap in run.evidence.order:
        owner = structure.owner(run.evidence.names, tap)
        if owner is not None and tap not in run.evidence.nondeterministic and tap in run.indices:
            held += 1
            why = _reached(run, tap, owner, routed=routed) or _elsewhere(run, tap, structure)
            if why:
                raise _contradicted(run, structure, tap, owner, why)
        routed = routed or tap in by_content
    return held


def _reached(run: Run, tap: Tap, owner: Own | Free, *, routed: bool) -> str:
    """How a pass of the same size contradicts an owner; empty where none does."""
    evidence = run.evidence
    if tap in evidence.rerouted:
        return "its shape changed with the content of the samples"
    if routed and (tap[0] or last_bits(run.moved_by_others(tap)) or not run.moved_by_others(tap)):
        return ""  # in last bits only, as kernels do; inside of the model nobody measured how far
    reach = evidence.reached[evidence.canonical[tap]]
    if reach.in_rows and isinstance(owner, Own) and owner.pattern == (0, 1, 1):
        return _moved(run, tap, owner)  # that only rows of their own samples changed is what "in rows" says
    elements = reach.elements
    if isinstance(owner, Free):
        return "it changed when samples were replaced" if elements.any() else _moved(run, tap, owner)
    along = owners_along(owner, evidence.specs[tap].shape, evidence.size)
    if along is None:
        return ""
    groups = evidence.groups(range(evidence.size))
    passes_of = [[number for number, group in enumerate(groups) if one in group] for one in range(evidence.size)]
    of_sample = [sum(1 << number for number in numbers) for numbers in passes_of]
    allowed = np.asarray(of_sample, elements.dtype)[along]
    foreign = elements & ~allowed.reshape([-1] + [1] * (elements.ndim - owner.axis - 1))
    return "another sample's replacement changed it" if foreign.any() else _moved(run, tap, owner)


def _moved(run: Run, tap: Tap, owner: Own | Free) -> str:
    """The same for passes in which other samples were extreme or alike."""
    far = run.moved_by_extreme.get(tap, 0)
    by_place = isinstance(owner, Own) and owner.place
    return "" if not far or by_place or (not tap[0] and last_bits(far)) else "it changed when others were made extreme"


def _elsewhere(run: Run, tap: Tap, structure: Structure) -> str:
    """How a pass of another size, or with the samples at other places, contradicts what is claimed of an output."""
    if not structure.separate(run.evidence.names, tap):
        return ""
    if run.large is not None and tap in run.large.leaks:
        return f"it changed with the data of other samples on a batch of {run.large.size}"
    for found, _ in run.sizes:
        wrong = found.differs or found.wrong_count
        if wrong is not None and wrong[0] == tap[2] and structure.covers(found.size):
            return f"{run.where(found)}: {wrong[1]}"
    return ""


def _contradicted(run: Run, structure: Structure, tap: Tap, owner: Own | Free, why: str) -> ProofError:
    where = run.title(tap) if not tap[0] else f"{tap[2]} of layer {tap[0]!r}"
    what = "that it depends on no sample" if isinstance(owner, Free) else "that each part of it is one sample's"
    named = ", ".join(f"{one.name!r} ({one.kind}: {_rule(structure, one)})" for one in _suspects(structure, tap, run))
    return ProofError(
        f"internal error: the proof claims for {where} {what}, and a pass contradicts it ({why}); operator {named}",
        "please report it, with the model if you can; --no-proof checks it by passes alone",
    )


def _suspects(structure: Structure, tap: Tap, run: Run) -> Iterator[Operator]:
    """The operator that makes the value, and others in its layer."""
    graph = structure.proof.owners.graph
    label = run.evidence.names.get(tap[2], tap[2])
    values = [name for one, argument in graph.outputs if one == label for name in references(argument)]
    names = {graph.taps.get(tap, "")} if tap[0] else set(values)
    makers = [one for one in graph.operators if names & set(one.outputs)]
    beside = [one for one in graph.operators if one.layer and makers and one.layer == makers[0].layer]
    yield from list(dict.fromkeys((*makers, *reversed(beside))))[:_SHOWN]


def _rule(structure: Structure, operator: Operator) -> str:
    """The name of the rule by which an operator was judged."""
    entry = lookup(structure.proof.owners.graph.vocabulary)(operator.kind)
    rule = None if entry is None else getattr(entry.rule, "func", entry.rule)
    module, name = getattr(rule, "__module__", ""), getattr(rule, "__qualname__", "").partition(".")[0]
    return f"rule {module.rpartition('.')[2]}.{name}" if name else "no rule"
