"""What a rule is, and the table of rules: a code and the module that holds the rule, loaded when it is asked for.

A rule's module defines the rule beside the functions that judge it, and lists in ``RULES`` what it defines: one rule,
or a family of rules that exclude each other. Codes never change meaning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Literal, NamedTuple, Protocol, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "note"]
Command: TypeAlias = Literal["check-batch-axis", "compare", "scan"]
"""Who finds a rule: the rules of one command are a family."""
Scope: TypeAlias = Literal["layer", "model"]
BatchStatistics: TypeAlias = Literal["unaffected", "replaced", "allowed", "note", "meaningless"]


class Precedence(NamedTuple):
    """Whose findings a rule's own supersede, and where.

    Attributes:
        where: ``output``: at the same output of the model; ``inside``: at the same layer and those inside it;
            ``onwards``: there, and at all that runs later, the outputs included.
        codes: the rules that see the same fault otherwise.
    """

    where: Literal["output", "inside", "onwards"]
    codes: tuple[str, ...]


@dataclass(frozen=True)
class Rule:
    """One kind of finding, with all that is true of this kind alone.

    Attributes:
        code: ``KMR101``; stable.
        name: short, for machines and people: ``cross-sample-leak``.
        severity: unless the finding says otherwise.
        found_when: the condition, one line.
        why: what goes wrong in practice, one line.
        remedy: what to change, one line.
        others: (other severity that a finding may have, when); empty where it is always the same.
        command: that finds it.
        scope: ``layer`` where a finding belongs to the layer that it names; ``model`` where it always concerns the
            model as a whole (a layer that is gone has no place of its own).
        headline: what an error says of the model as a whole; None where nothing better is known than that there is one.
        if_passed: what a finding says of a model that passes all the same; None where that is nothing special.
        if_allowed: what a finding means for the rest of the report where it is allowed; None for nothing.
        gravity: how bad it is beside others: what is said of the model as a whole begins with the highest.
        needs_owners: it says nothing of a layer where no sample's change showed.
        needs_masks: it says nothing of a model without masks.
        needs_graph: it says nothing of a format that does not provide the model's graph.
        mixes: samples change each other, or cannot be separated: behind such a layer another fault of this kind may
            not show.
        batch_statistics: what becomes of a finding where layers that normalise over the batch in training mode, which
            is by design, explain it: ``unaffected``; ``replaced`` by one at every such layer; ``allowed``; an allowed
            ``note``, as there are batches without usable statistics; or ``meaningless`` where such a layer was found,
            also while these layers are held to their moving statistics.
        supersedes: errors of other rules that are left out where this one explains them.
    """

    code: str
    name: str
    severity: Severity
    found_when: str
    why: str
    remedy: str
    others: tuple[tuple[Severity, str], ...] = ()
    command: Command = "check-batch-axis"
    scope: Scope = "layer"
    headline: str | None = None
    if_passed: str | None = None
    if_allowed: str | None = None
    gravity: int = 0
    needs_owners: bool = False
    needs_masks: bool = False
    needs_graph: bool = False
    mixes: bool = False
    batch_statistics: BatchStatistics = "unaffected"
    supersedes: tuple[Precedence, ...] = ()


PREFIX = "KMR"
"""How every code begins."""
TABLE = {
    "KMR101": "kmr_cli.check.rules.mixing",
    "KMR102": "kmr_cli.check.rules.sizes",
    "KMR103": "kmr_cli.check.rules.sizes",
    "KMR104": "kmr_cli.check.rules.mixing",
    "KMR105": "kmr_cli.check.rules.mixing",
    "KMR106": "kmr_cli.check.rules.mixing",
    "KMR107": "kmr_cli.check.rules.moved",
    "KMR108": "kmr_cli.check.rules.poisoned",
    "KMR109": "kmr_cli.check.rules.place",
    "KMR110": "kmr_cli.check.rules.layout",
    "KMR111": "kmr_cli.check.rules.possible",
    "KMR201": "kmr_cli.check.rules.masks",
    "KMR202": "kmr_cli.check.rules.masks",
    "KMR203": "kmr_cli.check.rules.masks",
    "KMR301": "kmr_cli.check.rules.repeat",
    "KMR302": "kmr_cli.check.rules.repeat",
    "KMR303": "kmr_cli.check.rules.rounding",
    "KMR304": "kmr_cli.check.rules.non_finite",
    "KMR401": "kmr_cli.compare.rules.layers",
    "KMR402": "kmr_cli.compare.rules.layers",
    "KMR403": "kmr_cli.compare.rules.values",
    "KMR404": "kmr_cli.compare.rules.dtypes",
    "KMR405": "kmr_cli.compare.rules.axes",
    "KMR406": "kmr_cli.compare.rules.values",
    "KMR407": "kmr_cli.compare.rules.values",
    "KMR408": "kmr_cli.compare.rules.values",
    "KMR409": "kmr_cli.compare.rules.interface",
    "KMR501": "kmr_cli.scan.rules.code",
    "KMR502": "kmr_cli.scan.rules.files",
    "KMR503": "kmr_cli.scan.rules.network",
    "KMR504": "kmr_cli.scan.rules.exhaustion",
    "KMR505": "kmr_cli.scan.rules.container",
    "KMR506": "kmr_cli.scan.rules.foreign",
}
"""Code -> the module that defines the rule, in the order in which rules are listed."""


class _Rules(Mapping[str, Rule]):
    """The table, read as a mapping of codes to rules. Codes and membership load no module."""

    def __getitem__(self, code: str) -> Rule:
        return _load(code, TABLE[code])

    def __iter__(self) -> Iterator[str]:
        return iter(TABLE)

    def __len__(self) -> int:
        return len(TABLE)

    def __contains__(self, code: object) -> bool:
        return code in TABLE


RULES: Mapping[str, Rule] = _Rules()
"""Every rule by its code, in order."""


@cache
def _load(code: str, module: str) -> Rule:
    for rule in import_module(module).RULES:
        if rule.code == code:
            assert isinstance(rule, Rule)
            return rule
    raise LookupError(f"{module}.RULES holds no rule {code}")


class _Found(Protocol):
    @property
    def rule(self) -> str: ...


def remedy_of(finding: _Found) -> str:
    """What to change: at its layer, where the finding tells it, else as its rule says."""
    return str(getattr(finding, "remedy", "") or RULES[finding.rule].remedy)
