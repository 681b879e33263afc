"""Which rules count, and which mixes are by design."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from kmr_cli.config.batch_sizes import checked_sizes
from kmr_cli.config.layers import fits, match
from kmr_cli.config.pyproject import Settings
from kmr_cli.errors import KmrError, LayerError
from kmr_cli.records import Finding
from kmr_cli.rules import PREFIX, RULES
from kmr_cli.rules import Command as Command

_SEVERITIES = ("error", "warning", "note")


LEFT_OUT = "left out by select or ignore"
"""Why a rule that the policy does not count was not looked at."""


def command_of(rule: str) -> Command:
    """The command that finds a rule."""
    return RULES[rule].command


def rules_of(command: Command) -> tuple[str, ...]:
    """The rules that a command finds."""
    return tuple(rule for rule in RULES if command_of(rule) == command)


@dataclass(frozen=True)
class Policy:
    """What to report.

    Attributes:
        select: only rules whose code starts with one of these; empty for all. The rules of a command of which none
            is named all stay: selecting rules of ``check-batch-axis`` does not affect ``compare``.
        ignore: leave out rules whose code starts with one of these.
        allow: layers at which a mix is by design: path, the unique end of one, or glob.
        masks: inputs that tell which steps count: ``mask``, or ``tokens=0`` where 0 is padding.
        allow_outputs: outputs that need not carry samples, such as a constant or a loss: name, port, or glob.
        batch_sizes: the other sizes of batches that are tried; empty for those that the check chooses.
        allow_inconclusive: what could not be verified is accepted: no test and no build fails for it. The verdict stays
            ``inconclusive``.

    A single text stands for a tuple of one. Raises KmrError for a code that no rule starts with, and for a batch
    size that isn't allowed.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    allow_outputs: tuple[str, ...] = ()
    batch_sizes: tuple[int, ...] = ()
    allow_inconclusive: bool = False

    def __post_init__(self) -> None:
        for name in ("select", "ignore", "allow", "masks", "allow_outputs"):
            value = getattr(self, name)
            if isinstance(value, str):  # else each of its characters would be a pattern, and "*" among them allow all
                object.__setattr__(self, name, (value,))
            elif not isinstance(value, tuple):
                object.__setattr__(self, name, tuple(value))
        object.__setattr__(self, "batch_sizes", checked_sizes(self.batch_sizes))
        for code in (*self.select, *self.ignore):
            if not any(rule.startswith(code) for rule in RULES):
                near = next((rule for rule in RULES if rule == f"{PREFIX}{code}" or rule == code.upper()), None)
                hint = f"did you mean {near}? " if near else ""
                raise KmrError(f"no rule starts with {code!r}", f"{hint}kmr-inspect rules lists them")

    def resolved(self, layers: Collection[str], separator: str) -> Policy:
        """The same, with the whole path for every unique end of one.

        Raises:
            LayerError: a pattern is the end of several layers.
        """
        whole = []
        for pattern in self.allow:
            try:
                found = match(pattern, layers, separator)
            except LayerError as exc:
                raise LayerError(f"allow: {exc.message}", exc.hint) from exc
            whole.append(found[0] if len(found) == 1 and found[0].endswith(separator + pattern) else pattern)
        return replace(self, allow=tuple(whole))

    def unmatched(self, layers: Collection[str]) -> tuple[str, ...]:
        """What ``allow`` names and is none of these layers."""
        return tuple(pattern for pattern in self.allow if not any(fits(layer, pattern) for layer in layers))

    def counts(self, rule: str) -> bool:
        """Whether this policy reports a rule at all."""
        if self.ignore and rule.startswith(self.ignore):
            return False
        family = rules_of(command_of(rule))
        named = tuple(code for code in self.select if any(other.startswith(code) for other in family))
        return not named or rule.startswith(named)

    def counting(self, command: Command) -> tuple[str, ...]:
        """The rules of a command that this policy reports."""
        return tuple(rule for rule in rules_of(command) if self.counts(rule))

    def some(self, command: Command) -> bool:
        """Whether it leaves out any rule of a command."""
        return self.counting(command) != rules_of(command)

    def allows(self, layer: str) -> bool:
        """Whether findings at this layer are by design."""
        return any(fits(layer, pattern) for pattern in self.allow)

    def allows_output(self, *names: str) -> bool:
        """Whether the output with one of these names (its own, its port) need not carry samples."""
        return any(fnmatchcase(name, pattern) for name in names for pattern in self.allow_outputs)

    def unmatched_outputs(self, names: Collection[str]) -> tuple[str, ...]:
        """What ``allow_outputs`` names and is none of these names of outputs."""
        return tuple(pattern for pattern in self.allow_outputs if not any(fnmatchcase(name, pattern) for name in names))

    def used(self, findings: Iterable[Finding], outputs: Collection[str] = ()) -> Iterator[str]:
        """What it chooses, and what of that which it allows was there to be allowed: ``allow scores``.

        Args:
            findings: as :meth:`apply` left them.
            outputs: names and ports of the model's outputs.
        """
        yield from (f"select {code}" for code in self.select)
        yield from (f"ignore {code}" for code in self.ignore)
        allowed = {finding.layer for finding in findings if finding.allowed and not finding.by_design}
        yield from (f"allow {pattern}" for pattern in self.allow if any(fits(layer, pattern) for layer in allowed))
        nowhere = self.unmatched_outputs(outputs)
        yield from (f"allow-output {pattern}" for pattern in self.allow_outputs if pattern not in nowhere)
        if self.allow_inconclusive:
            yield "allow-inconclusive"

    def apply(self, findings: Iterable[Finding]) -> list[Finding]:
        """The findings that this policy leaves, the allowed ones marked, errors first."""
        kept = []
        for finding in findings:
            if not self.counts(finding.rule):
                continue
            allowed = finding.allowed or finding.by_design or self.allows(finding.layer)
            kept.append(replace(finding, allowed=allowed))
        return self.in_order(kept)

    @staticmethod
    def in_order(findings: Iterable[Finding]) -> list[Finding]:
        """Errors first, then by rule."""
        return sorted(findings, key=lambda finding: (_SEVERITIES.index(finding.severity), finding.rule))


def combine(
    settings: Settings,
    command: Command | None = None,
    *,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    allow: Sequence[str] = (),
    masks: Sequence[str] = (),
    allow_outputs: Sequence[str] = (),
    sizes: Sequence[int] = (),
    allow_inconclusive: bool = False,
    dashes: str = "",
) -> Policy:
    """What a caller says, over what the project says: the caller's ``select`` and sizes replace, the rest is added.

    Args:
        settings: ``[tool.kmr-inspect]``.
        command: the command that will run, of which a rule must be left; None where more than one may.
        select: codes of rules, or how they start.
        ignore: the same.
        allow: layers, as in :class:`Policy`.
        masks: inputs, as in :class:`Policy`.
        allow_outputs: outputs, as in :class:`Policy`.
        sizes: of batches, as in :class:`Policy`; they replace the project's.
        allow_inconclusive: as in :class:`Policy`.
        dashes: what stands before the names of options where the user types them: ``--``.

    Raises:
        KmrError: a code that no rule starts with, or no rule of the command is left, so that nothing could ever be
            found.
    """
    selected = _codes(select or settings.select)
    outputs = (*settings.allow_output, *allow_outputs)
    tried = tuple(sizes) or settings.batch_sizes
    policy = Policy(
        selected, _codes((*settings.ignore, *ignore)), (*settings.allow, *allow), tuple(masks), outputs, tried,
        allow_inconclusive or settings.allow_inconclusive,
    )  # fmt: skip
    if command is None:
        return policy
    family = rules_of(command)
    if select and not any(rule.startswith(selected) for rule in family):
        raise KmrError(
            f"{dashes}select {' '.join(selected)} leaves no rule of {command}, which has {family[0]} to {family[-1]}",
            "kmr-inspect rules lists them",
        )
    if not policy.counting(command):
        typed = f"{dashes}select and {dashes}ignore leave"
        whose = typed if select or ignore else "[tool.kmr-inspect] in pyproject.toml leaves"
        raise KmrError(f"{whose} no rule of {command}, so nothing would be checked", "ignore fewer rules")
    return policy


def _codes(given: Iterable[str]) -> tuple[str, ...]:
    return tuple(code.upper() for code in given)
