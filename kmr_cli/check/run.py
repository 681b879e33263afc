"""What a check in progress knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain

import numpy as np

from kmr_cli.arrays.dtypes import discrete
from kmr_cli.arrays.ulp import last_bits
from kmr_cli.batch.rare import RareValues
from kmr_cli.check.observed import LargeRun, SizeRun
from kmr_cli.check.passes import Passes, Progress
from kmr_cli.check.precedence import Claim, resolve
from kmr_cli.check.routing import routing_layers
from kmr_cli.check.structure import Structure
from kmr_cli.evidence.owners import NOBODY
from kmr_cli.evidence.passes import Evidence
from kmr_cli.evidence.sources import Source, find_sources
from kmr_cli.evidence.taps import Tap, output_title
from kmr_cli.formats.common.comparands import Comparands
from kmr_cli.formats.interface import ComparingSession, Session, State, Taps
from kmr_cli.proof.owners import Routed
from kmr_cli.records import Batch, BatchIndex, Finding, ModelInfo, ProbedOperator
from kmr_cli.rules import Rule, Severity

_AGAIN, _AGAIN_IN_GROUPS = 8, 3
"""Passes that are run again at most: with as many the bound of the check still holds, and some are left that name a
pair of samples. After more, what is mixed is read from rows: inside only, outputs are always looked at by element."""


@dataclass
class Run(Passes):
    """A check in progress: what the probes saw, what the rules say of it, and the way in which passes are run.

    Attributes:
        indices: tap -> its batch index, from the passes that replace samples.
        moved_by_extreme: tap -> how far samples that stood as they were moved when the others were extreme or alike,
            in units in the last place of the largest value, at most FAR.
        poisoned: the same when sample 0 held NaN.
        in_last_bits: mixed taps that others move in their last bits alone, where rows are routed and an output mixes.
        crossed: taps that no sample moves, and that NaN in sample 0 changes beyond what can be its own place.
        poison_failure: (output of the layer that failed, what was put in, message) where the model fails on NaN or Inf.
        start: what every pass begins with, where the format can put that back; None where it cannot.
        remembers: whether values depend on earlier calls.
        by_data: whether it matters, for an output, what data those had; otherwise that there were any.
        recalled: taps with other values after other calls, as far as these are no longer nondeterministic.
        poison_tried: whether a pass put NaN into a sample: not every model takes floats.
        sizes: what other sizes showed, each with whether it equals another dimension.
        large: what a batch as large as servers form them showed when half of it was replaced.
        too_large: (samples, bytes) of such a batch that was not run, since its values take too much memory.
        unrun: batch sizes, in words, at which the model does something else and of which none was run.
        unaffordable: of those, the ones whose values would take too much memory: (sizes in words, samples, bytes).
        claims: what the rules say, before precedence: see :attr:`findings`.
        inconclusive: what was not verified, one line each.
        noisy: taps whose values depend on random numbers that are drawn for a whole batch (training mode only): at
            another size they are others.
        moved_by_rounding: output port -> how far the last bits of the input move it; None until that was tried.
        refused: made-up data on which the model fails, so that nothing was learned from them; one line each.
        whole_rows: it fails on values of several samples in one: only copies of whole samples replace others.
        allowed_outputs: outputs that need not carry samples, as the user says.
        planned: how many passes there will be, as far as that is known by now.
        budget: how many there may be, without those for masks.
        skipped: rules that could not be looked at, each with why.
        comparands: numbers that the model may compare with.
        rare: values that a batch hardly ever holds, put where samples give way to others.
        again: how many there were because tensors had not been kept, or only seen by rows.
        structure: what the graph of the model proves; None where nobody asked it.
        about: lines of ``inconclusive`` that a proof of one output would settle -> that output.
        held: how many claims of the proof were held against the passes.
        aimed: passes that were aimed at operators in which samples can meet.
        probed: operators that no rule of the proof covers, and what they did alone.
        wired: tap -> the taps that it was made from, as far as that is known; None until somebody asked.
    """

    session: Session
    info: ModelInfo
    batch: Batch
    taps: Taps
    evidence: Evidence
    rng: np.random.Generator
    progress: Progress
    passes: int = 0
    indices: dict[Tap, BatchIndex] = field(default_factory=dict)
    moved_by_extreme: dict[Tap, int] = field(default_factory=dict)
    poisoned: dict[Tap, int] = field(default_factory=dict)
    in_last_bits: set[Tap] = field(default_factory=set)
    crossed: set[Tap] = field(default_factory=set)
    poison_failure: tuple[Tap | None, str, str] | None = None
    start: State | None = None
    poison_tried: bool = False
    remembers: bool = False
    by_data: bool = False
    recalled: set[Tap] = field(default_factory=set)
    sizes: list[tuple[SizeRun, bool]] = field(default_factory=list)
    large: LargeRun | None = None
    too_large: tuple[int, int] | None = None
    unrun: list[str] = field(default_factory=list)
    unaffordable: list[tuple[str, int, int]] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    inconclusive: list[str] = field(default_factory=list)
    noisy: set[Tap] = field(default_factory=set)
    moved_by_rounding: dict[str, float] | None = None
    refused: list[str] = field(default_factory=list)
    whole_rows: bool = False
    allowed_outputs: frozenset[Tap] = frozenset()
    planned: int = 0
    budget: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    again: int = 0
    structure: Structure | None = None
    about: dict[str, Tap] = field(default_factory=dict)
    held: int = 0
    aimed: int = 0
    probed: list[ProbedOperator] = field(default_factory=list)
    wired: dict[Tap, tuple[Tap, ...]] | None = None
    comparands: Comparands = field(init=False)
    rare: RareValues = field(init=False)

    def __post_init__(self) -> None:
        self.comparands = self.session.comparands() if isinstance(self.session, ComparingSession) else Comparands()
        asked = (*self.comparands.compared, *self.comparands.others)
        self.rare = RareValues(self.session.inputs, asked, self.rng)
        self.rare.note(self.batch)

    @property
    def outputs(self) -> list[Tap]:
        """The model's own outputs."""
        return [tap for tap in self.evidence.order if not tap[0]]

    def title(self, tap: Tap) -> str:
        """One of them as people know it: ``output 'scores' (out0)``."""
        return output_title(tap[2], self.evidence.names)

    def mixed(self, tap: Tap) -> bool:
        """Whether some element here depends on several samples, or on other samples than its own."""
        index = self.indices.get(tap)
        if tap in self.moved_by_extreme:
            return True
        return index is not None and (index.kind == "mixed" or self._takes_another_row(index))

    @property
    def routed(self) -> list[Tap]:
        """Taps whose rows the samples' content decides."""
        seen = self.evidence
        return [
            tap
            for tap in seen.order
            if tap in seen.rerouted or tap in seen.regrouped or seen.rearranged.get(tap, False)
        ]

    @property
    def seen_to_route(self) -> bool:
        """Whether there are such taps; asked for every tap of every pass, so it doesn't list them."""
        seen = self.evidence
        return seen.reordered or any(tap in seen.specs for tap in chain(seen.rerouted, seen.regrouped))

    @property
    def routes(self) -> bool:
        """Whether the samples' content decides about rows anywhere, as passes showed it or code has it."""
        return self.seen_to_route or self._routes_inside

    @cached_property
    def _routes_inside(self) -> bool:
        return bool(self._routing) or any(self.router(tap) is not None for tap in self.outputs)

    @cached_property
    def _routing(self) -> frozenset[str]:
        """Layers that do so in their own code, where no tap may be."""
        return routing_layers(self.session, self.structure)

    def after_router(self, source: Source) -> bool:
        """Whether rows are routed before a mix begins, or where it does, as code has it."""
        if source.layer in self._routing:
            return True
        if source.before is None:
            return self.router((source.layer, source.call, source.port)) is not None
        entered = [tap for tap in self.evidence.order if tap[0] == source.before and tap[2].startswith("in")]
        return any(self.router(tap) is not None for tap in entered)

    def router(self, tap: Tap) -> Routed | None:
        """Since where in the graph what the samples hold decides whose rows are where; None where nothing does."""
        return None if self.structure is None else self.structure.routed(self.evidence.names, tap)

    def whose(self, tap: Tap) -> BatchIndex | None:
        """Whose every slice is, as far as it can be told.

        Downstream of routed rows all samples may differ in their last bits, which makes a tap mixed: then axis 0 is
        taken for the samples, where it may be, to see changes beyond rounding.
        """
        index, shape, size = self.indices[tap], self.evidence.specs[tap].shape, self.evidence.size
        if index.axis is not None:
            return index
        if index.kind != "mixed" or not shape or not shape[0] or shape[0] % size:
            return None
        if not (self.seen_to_route or self.router(tap) is not None or (not tap[0] and self.rounded(tap))):
            return None
        return BatchIndex("mixed", 0, tuple(place * size // shape[0] for place in range(shape[0])))

    def rounded(self, tap: Tap) -> bool:
        """Whether samples move others at an output in its last bits only, as kernels do where rows are routed.

        A mix that begins before anything is routed is no such thing. Inside of a layer only its code tells.
        """
        if not (self.mixed(tap) or tap in self.evidence.foreign):
            return False
        if not last_bits(self.moved_by_others(tap), self.evidence.specs[tap].dtype.itemsize):
            return False
        order, by_content = self.evidence.order, set(self.routed)
        if not by_content and (not self._routes_inside or self._proven_to_meet(tap)):
            return False
        first = min((order.index(other) for other in by_content), default=len(order))
        for source in self.sources(self.entangled):
            place = (source.layer, source.call, source.port)
            if place in by_content or place not in self.evidence.specs or discrete(self.evidence.specs[place]):
                continue
            if order.index(place) <= first and not self.after_router(source):
                return False
        return True

    @cached_property
    def only_routes(self) -> bool:
        """Whether what seems mixed is so in last bits, where rows are routed; to be asked when all passes are done."""
        fine = all(not self.mixed(tap) or self.rounded(tap) for tap in self.outputs)
        return fine and all(map(self.after_router, self.mixers()))

    def _proven_to_meet(self, tap: Tap) -> bool:
        return self.structure is not None and bool(self.structure.meets([tap], self.evidence.names))

    def moved_by_others(self, tap: Tap) -> int:
        """How far other samples move an output, in units in the last place of its largest value, at most FAR."""
        seen = self.evidence.foreign if tap in self.evidence.listed else self.evidence.leak_ulp
        return max(seen.get(tap, 0), self.moved_by_extreme.get(tap, 0))

    def in_own_element(self, tap: Tap) -> bool:
        """Whether an output is in its sample's element of a list, and others move it in its last bits at most."""
        return tap in self.evidence.listed and (self.evidence.is_own(tap) or self.rounded(tap))

    def _takes_another_row(self, index: BatchIndex) -> bool:
        """Whether one of as many rows as samples belongs to a sample that has a row already."""
        if index.kind == "separated":
            return False
        rows = [owner for owner in index.owners if owner != NOBODY]
        return index.axis == 0 and len(index.owners) == self.evidence.size and len(set(rows)) < len(rows)

    def entangled(self, tap: Tap) -> bool:
        """Mixed, or interleaved: rows with pieces of several samples are mixed by whatever comes next."""
        index = self.indices.get(tap)
        return self.mixed(tap) or (index is not None and index.kind == "interleaved")

    def clearly_entangled(self, tap: Tap) -> bool:
        """Entangled, and not in last bits alone: where such a mix begins something else than another grouping mixes."""
        return tap not in self.in_last_bits and self.entangled(tap)

    def sources(self, wrong: Callable[[Tap], bool], order: Sequence[Tap] | None = None) -> list[Source]:
        """The layers at which something begins; ``order`` is that of the taps, where another pass had another one.

        Of a layer inside a loop, which only a run tells the calls of, the first one stands for all.
        """
        found = find_sources(self.evidence.order if order is None else order, wrong, self.info.separator)
        looped = {layer.path for layer in self.info.layers if layer.calls is None}
        first = {source.layer: source for source in reversed(found)}
        return [source for source in found if source.layer not in looped or first[source.layer] is source]

    def mixers(self) -> list[Source]:
        """The layers that mix samples, whether or not that showed in the outputs so far."""
        steady = [tap for tap in self.evidence.order if tap not in self.evidence.nondeterministic]
        return self.sources(self.mixed, steady)

    def where(self, found: SizeRun) -> str:
        """A batch as messages name it."""
        return (
            "when the samples are in a different order"
            if found.size == self.evidence.size
            else f"on a batch of {found.size}"
        )

    # -- what the rules say --------------------------------------------------------------------------------------

    @property
    def findings(self) -> list[Finding]:
        """What the rules say so far, after precedence."""
        return [claim.finding for claim in resolve(self.claims, self.info.separator)]

    def reported(self, rule: Rule) -> bool:
        """Whether there is a finding of this rule so far."""
        return any(finding.rule == rule.code for finding in self.findings)

    def not_verified(self, tap: Tap, why: str) -> None:
        """Note what of an output the passes left open; a proof of that output settles it."""
        self.inconclusive.append(why)
        self.about[why] = tap

    def separate(self, tap: Tap) -> bool:
        """Whether the graph proves that no sample reaches another's part of an output."""
        return self.structure is not None and self.structure.separate(self.evidence.names, tap)

    def skip(self, why: str, *rules: Rule) -> None:
        """Note that these rules are not looked at; the first reason stands."""
        for rule in rules:
            self.skipped.setdefault(rule.code, why)

    def add(
        self,
        rule: Rule,
        source: Source,
        message: str,
        *,
        severity: Severity | None = None,
        samples: tuple[tuple[int, int], ...] = (),
        max_ulp: int | None = None,
        output: Tap | None = None,
        once: bool = False,
        after: frozenset[str] = frozenset(),
        allowed: bool = False,
        remedy: str = "",
    ) -> None:
        """Report a finding at a layer.

        Args:
            rule: that was violated.
            source: where.
            message: one line.
            severity: unless it is the rule's own.
            samples: pairs (moved, changed).
            max_ulp: the largest difference where it is a matter of last bits.
            output: at which it shows; like the next two, what decides over precedence: see :class:`Claim`.
            once: not beside an earlier one of this rule there.
            after: layers that ran after its own.
            allowed: it is accepted, whatever the layer.
            remedy: what to change there, where the rule's own does not say it best.
        """
        finding = Finding(
            rule.code, severity or rule.severity, source.layer, source.call, source.port, message, samples, max_ulp,
            allowed, remedy=remedy,
        )  # fmt: skip
        self.claims.append(Claim(finding, output, once, after))

    # -- passes --------------------------------------------------------------------------------------------------

    def replace_each(self, groups: Sequence[Sequence[int]], spare: Batch | None) -> None:
        """The passes of :meth:`Evidence.replaced`, one for every group of samples.

        The first that shows more than rows of replaced samples is followed by one that keeps all tensors, and run
        again with those before it, element by element; where these are too many, without them.

        Args:
            groups: of :meth:`Evidence.groups`.
            spare: further rows of the inputs, preferred as replacement data.
        """
        most = _AGAIN if self.evidence.singly else _AGAIN_IN_GROUPS
        held: list[Batch] = []  # of the passes that may have to be run again
        for number, group in enumerate(groups):
            doing = f"replacing {'sample' if self.evidence.singly else 'group'} {number}"
            replaced = partial(self.evidence.replaced, self.session, taps=self.taps, number=number)
            data = self.try_other(doing, group, spare, replaced)
            if number < most:
                held.append(data)
            if not self.evidence.needs_full_pass:
                continue
            begin, later = (0, held) if number < most else (number, [data])
            self.again += self.to_fill + len(later)
            self.fill()
            self.evidence.by_element(rows_again=begin == 0)
            for earlier, data in enumerate(later, begin):
                self.step(f"{doing}, {earlier} once more" if earlier < number else doing)
                self.evidence.replaced(self.session, data, self.taps, earlier, again=True)
            held, most = [], 0

    def replace_one(self, doing: str, data: Batch, sample: int) -> None:
        """The pass of one sample, once more, with other data in its place."""
        self.step(doing)
        self.evidence.replaced(self.session, data, self.taps, sample)
        if self.evidence.needs_full_pass:
            self.again += self.to_fill + 1
            self.fill()
            self.evidence.by_element(rows_again=False)
            self.step(doing)
            self.evidence.replaced(self.session, data, self.taps, sample, again=True)

    def kept(
        self,
        doing: str,
        data: Batch,
        samples: Sequence[int],
        also: Callable[[Tap, np.ndarray], None] = lambda _tap, _array: None,
    ) -> dict[Tap, int]:
        """The same of :meth:`Evidence.kept`."""
        indices = self.indices | {
            tap: index for tap in self.outputs if self.rounded(tap) and (index := self.whose(tap)) is not None
        }
        self.step(doing)
        found = self.evidence.kept(self.session, data, self.taps, samples, indices, also)
        self.rare.note(data)
        if self.evidence.needs_full_pass:
            self.again += self.to_fill + 1
            self.fill()
            self.step(doing)
            found = self.evidence.kept(self.session, data, self.taps, samples, indices, also)
        return found
