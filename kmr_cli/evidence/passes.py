"""What perturbed passes of one batch show of every tap, reduced while the passes run.

As long as the samples stay in the rows of a large tensor, digests of the rows are all that is held of it. The first
pass that shows something else makes :attr:`Evidence.needs_full_pass` true: then :meth:`Evidence.fill` runs the
unchanged batch once more and keeps a copy of every distinct tensor, and the passes so far are run again, element by
element. From then on there is a byte per element besides (a bit per replaced sample; two bytes or more for more than
eight samples).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from kmr_cli.arrays.changes import differs
from kmr_cli.arrays.dtypes import ArraySpec, discrete
from kmr_cli.arrays.rows import same_rows_elsewhere
from kmr_cli.arrays.ulp import FAR, largest, scaled_distance
from kmr_cli.evidence.baseline import Baseline, moved_there
from kmr_cli.evidence.owners import RANDOM
from kmr_cli.evidence.reach import SINGLY as SINGLY
from kmr_cli.evidence.reach import Reach
from kmr_cli.evidence.taps import Tap, watch
from kmr_cli.formats.interface import ListingSession, Session, Taps
from kmr_cli.records import Batch, BatchIndex


@dataclass
class Evidence(Baseline):
    """Of one batch of ``size`` samples.

    Attributes:
        base: tap -> its value on the unchanged batch, as far as it is kept: outputs, small tensors, those with NaN or
            Inf, and all after :meth:`fill`. Taps that are the same tensor share one array.
        canonical: tap -> the tap whose tensor it shares (itself, mostly).
        reached: canonical tap -> which elements changed in which pass.
        rerouted: taps whose shape or presence changed with the samples' content.
        regrouped: taps whose shape changed in a pass of :meth:`kept`.
        rearranged: whether a tap's rows came back in another order when others were replaced; not for all taps.
        reordered: whether those of any did.
        nondeterministic: taps that differ between two passes of the same batch.
        needs_full_pass: whether the last pass showed what only :meth:`fill` and :meth:`by_element` can settle.
        not_finite: taps with NaN or Inf on the unchanged batch.
        leak_ulp: output -> how far an element moved for the second strongest sample, in units in the last place of
            the largest value, at most FAR; in groups, how far samples moved that were not replaced.
        leak: output -> how far its numbers moved for samples that were not replaced.
        listed: outputs in a list with one element a sample -> whose element it is.
        listed_moved: those of these outputs that a pass of :meth:`replaced` changed, their shape included.
        same_as: tap -> the earlier one whose very tensor it is, the outputs among them.
        foreign: those that changed although their sample stood unchanged -> how far, in units in the last place of
            the element's largest value, at most FAR, which also stands for another shape.
        order: taps in the order in which they ran.
        names: port of an output -> the model's own name for it.
    """

    reached: dict[Tap, Reach] = field(default_factory=dict)
    rerouted: set[Tap] = field(default_factory=set)
    regrouped: set[Tap] = field(default_factory=set)
    rearranged: dict[Tap, bool] = field(default_factory=dict)
    reordered: bool = False
    nondeterministic: set[Tap] = field(default_factory=set)
    not_finite: set[Tap] = field(default_factory=set)
    needs_full_pass: bool = False
    leak_ulp: dict[Tap, int] = field(default_factory=dict)
    leak: dict[Tap, float] = field(default_factory=dict)
    order: list[Tap] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    listed: dict[Tap, int] = field(default_factory=dict)
    listed_moved: set[Tap] = field(default_factory=set)
    foreign: dict[Tap, int] = field(default_factory=dict)
    same_as: dict[Tap, Tap] = field(default_factory=dict)
    _handed_on: dict[Tap, bool] = field(default_factory=dict)  # home -> whether others came as arrays of their own
    _strongest: dict[Tap, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    _scales: dict[Tap, float] = field(default_factory=dict)

    @property
    def singly(self) -> bool:
        """Whether every sample was replaced in a pass of its own."""
        return self.size <= SINGLY

    @property
    def filled(self) -> bool:
        """Whether every tensor is kept."""
        return len(self.base) == len(self.specs)

    @property
    def bits(self) -> int:
        """⌈log2 size⌉: half the number of group passes."""
        return max(1, int(self.size - 1).bit_length())

    def groups(self, everyone: Sequence[int]) -> list[list[int]]:
        """The samples to replace in each pass: every sample alone, or by bit set (k), then by bit clear (bits + k)."""
        if self.singly:
            return [[sample] for sample in everyone]
        with_set = [[sample for sample in everyone if sample >> bit & 1] for bit in range(self.bits)]
        with_clear = [[sample for sample in everyone if not sample >> bit & 1] for bit in range(self.bits)]
        return with_set + with_clear

    @property
    def nbytes(self) -> int:
        """What one copy of every distinct tensor of the batch takes."""
        return sum(spec.nbytes for tap, spec in self.specs.items() if self.canonical[tap] == tap)

    # -- passes ------------------------------------------------------------------------------------------------

    def record(self, session: Session, batch: Batch, taps: Taps) -> dict[str, np.ndarray]:
        """The unchanged batch. Returns the outputs by name."""
        homes: dict[tuple[object, ...], tuple[Tap, weakref.ref[np.ndarray]]] = {}

        def keep(layer: str, call: int, port: str, array: np.ndarray) -> None:
            tap = (layer, call, port)
            self.order.append(tap)
            self.specs[tap] = ArraySpec(array.shape, array.dtype)
            place = (array.__array_interface__["data"][0], array.shape, array.dtype, array.strides)
            known, handed_over = homes.get(place, (None, None))
            itself = handed_over is not None and handed_over() is array and not array.flags.writeable
            # The same address may have been used twice: equal content settles it, unless the content says nothing.
            if known is not None and (itself or not (_is_flat(array) or self._differs(known, array))):
                # What the model returns is looked at by itself: no shortcut may hide a leak.
                if known in self.not_finite:
                    self.not_finite.add(tap)
                self.canonical[tap] = known if layer else tap
                self.reached[tap] = self.reached[known] if layer else Reach(array, self.size, rows=False)
                self.same_as[tap] = known
                if layer:
                    self._handed_on[known] = self._handed_on.get(known, False) or not itself
            else:
                homes[place] = tap, weakref.ref(array)
                self.canonical[tap], self.reached[tap] = tap, Reach(array, self.size, rows=bool(layer))
                if not _finite(array):
                    self.not_finite.add(tap)
            if known in self.base and self.canonical[tap] == known:
                self.base[tap] = self.base[known]
            elif not layer or tap in self.not_finite or not self.reached[tap].in_rows:
                self.base[tap] = np.array(array, copy=True, order="C")

        outputs = watch(session, batch, taps, keep)
        self.names = {f"out{number}": name for number, name in enumerate(outputs)}
        owners = session.listed if isinstance(session, ListingSession) else {}
        self.listed = {("", 0, port): owners[name] for port, name in self.names.items() if name in owners}
        return outputs

    def fill(self, session: Session, batch: Batch, taps: Taps) -> None:
        """The unchanged batch once more: keep a copy of every distinct tensor. What differs is nondeterministic."""
        self.needs_full_pass = False
        seen: dict[Tap, _Look | None] = {}

        def keep(layer: str, call: int, port: str, array: np.ndarray) -> None:
            tap = (layer, call, port)
            shared = self._shared(tap, array, seen)
            if tap not in self.specs:
                return
            if tap in self.base:
                if array.shape != self.specs[tap].shape or self._differs(tap, array):
                    self.nondeterministic.add(tap)
            elif shared and self.canonical[tap] in self.base:
                self.base[tap] = self.base[self.canonical[tap]]
            elif self.reached[tap].fingerprint.same(array):
                self.base[tap] = np.array(array, copy=True, order="C")

        watch(session, batch, taps, keep)
        lost = self.specs.keys() - self.base.keys()
        self.nondeterministic |= lost
        for tap in lost:  # it changes from run to run: no value is the right one
            self.base[tap] = np.zeros(self.specs[tap].shape, self.specs[tap].dtype)

    def by_element(self, *, rows_again: bool) -> None:
        """See :meth:`Reach.by_element`: for every tensor at once, so that no pass is run a third time."""
        for reach in {id(reach): reach for reach in self.reached.values()}.values():
            reach.by_element(rows_again=rows_again)

    def repeat(self, session: Session, batch: Batch, taps: Taps) -> None:
        """The same batch again: what differs is nondeterministic."""
        self.nondeterministic |= self.differing(session, batch, taps)

    def replaced(self, session: Session, batch: Batch, taps: Taps, number: int, *, again: bool = False) -> None:
        """Pass ``number`` of :meth:`groups`, whose samples are replaced in ``batch``.

        Where it leaves :attr:`needs_full_pass` true, it noted only what is certain, and is to be run ``again``.
        """
        self.needs_full_pass = False
        replaced = self.groups(range(self.size))[number]

        def look(tap: Tap, array: np.ndarray, shared: bool) -> None:
            if not shared and not self.reached[tap].add(number, replaced, self.base.get(tap), array):
                self.needs_full_pass |= tap not in self.nondeterministic
            elif not shared:
                self._look_for_order(tap, number, len(replaced), array)
            if tap in self.listed and self._differs(tap, array):
                self.listed_moved.add(tap)
                if self.listed[tap] not in replaced:
                    self._note_foreign(tap, array)
            if not tap[0] and not again:
                self._measure(tap, array, replaced)
                self._strengthen(tap, scaled_distance(self.base[tap], array, self._scale(tap)), replaced)

        done = self.compare(session, batch, taps, look)
        self.rerouted |= done.rerouted
        for tap in done.rerouted & self.listed.keys():
            self.listed_moved.add(tap)
            if self.listed[tap] not in replaced:
                self.foreign[tap] = FAR

    def kept(
        self,
        session: Session,
        batch: Batch,
        taps: Taps,
        samples: Sequence[int],
        indices: Mapping[Tap, BatchIndex],
        also: Callable[[Tap, np.ndarray], None] = lambda _tap, _array: None,
    ) -> dict[Tap, int]:
        """The same of :meth:`moved`; notes the taps whose shape changed.

        To be run again after :meth:`fill` where it leaves :attr:`needs_full_pass` true.
        """
        self.needs_full_pass = False

        def look(tap: Tap, array: np.ndarray) -> None:
            also(tap, array)
            if self.listed.get(tap) in samples and self._differs(tap, array):
                self._note_foreign(tap, array)

        try:
            return self.moved(session, batch, taps, samples, indices, look)
        finally:
            self.regrouped |= self.last_pass.reshaped
            self.foreign |= {tap: FAR for tap in self.last_pass.rerouted if self.listed.get(tap) in samples}

    def _note_foreign(self, tap: Tap, array: np.ndarray) -> None:
        far = int(scaled_distance(self.base[tap], array, self._scale(tap)).max(initial=0)) or FAR
        self.foreign[tap] = max(self.foreign.get(tap, 0), far)

    def _look_for_order(self, tap: Tap, number: int, replaced: int, array: np.ndarray) -> None:
        """Note whether rows came back in another order, the first time that more of them changed than should have."""
        reach = self.reached[tap]
        if tap in self.rearranged or reach.in_rows or discrete(array) or not array.ndim or not array.size:
            return
        if len(array) % self.size:
            return
        share = len(array) // self.size
        if reach.rows_changed(number) > replaced * share:
            order = same_rows_elsewhere(self.base[tap], array, replaced * share)
            if order is not None:
                self.rearranged[tap] = order
                self.reordered |= order

    def _differs(self, tap: Tap, array: np.ndarray) -> bool:
        """Whether a tap with the shape that it had has other values; other bits, where it is not kept."""
        return not self.reached[tap].fingerprint.same(array) and (
            tap not in self.base or differs(self.base[tap], array)
        )

    def _distance(self, tap: Tap, array: np.ndarray, axis: int, places: Sequence[int]) -> int:
        """In units in the last place; FAR inside of the model where the tensor isn't kept, if digests tell.

        If only :meth:`fill` can tell, asks for it.
        """
        if not tap[0]:
            old, new = np.take(self.base[tap], places, axis), np.take(array, places, axis)
            return int(scaled_distance(old, new, self._scale(tap)).max()) if differs(old, new) else 0
        fingerprint = self.reached[tap].fingerprint
        if axis == 0 and fingerprint.parts == len(array):
            places = fingerprint.doubtful(array, places)
        if places and tap not in self.base:
            self.needs_full_pass |= tap not in self.nondeterministic
            return 0
        if not places or not moved_there(self.base[tap], array, axis, places):
            return 0
        old, new = np.take(self.base[tap], places, axis), np.take(array, places, axis)
        return int(scaled_distance(old, new, largest(self.base[tap])).max()) or FAR

    def _shared(self, tap: Tap, array: np.ndarray, seen: dict[Tap, _Look | None]) -> bool:
        """Whether a tap has the tensor of its home in this pass as well, which was looked at already.

        A branch may hand its input through on one batch and change it on another: from then on it has a home of its
        own. ``seen`` gathers the taps of the pass.
        """
        home, seen[tap] = self.canonical.get(tap), None
        if home is None or home == tap:
            if tap in self._handed_on:
                seen[tap] = _Look(weakref.ref(array), _trace(array) if self._handed_on[tap] else None)
            return False
        look = seen.get(home)
        if look is not None and look.was_of(array):
            return True
        self.canonical[tap], self.reached[tap] = tap, deepcopy(self.reached[home])
        return False

    # -- what they show ----------------------------------------------------------------------------------------

    def is_own(self, tap: Tap) -> bool:
        """Whether an output is in its sample's element of a list, and changed with that sample alone, if at all."""
        return tap in self.listed and tap not in self.foreign

    def index(self, tap: Tap) -> BatchIndex:
        """The batch index of a tap. ``constant`` here means that nothing reached it."""
        if tap in self.rerouted:
            return BatchIndex("routed", evidence="the shape here changes with the samples' content")
        if tap in self.nondeterministic:
            return BatchIndex("inconclusive", evidence=RANDOM)
        return self.reached[self.canonical[tap]].index()

    def movement(self, tap: Tap, axis: int = 0) -> list[set[int]] | None:
        """For every sample's share of an axis, which samples moved it; None after group passes or for odd shapes."""
        return self.reached[self.canonical[tap]].movement(axis)

    def _scale(self, tap: Tap) -> float:
        """The largest value of an output on the unchanged batch."""
        if tap not in self._scales:
            self._scales[tap] = largest(self.base[tap])
        return self._scales[tap]

    def _measure(self, tap: Tap, array: np.ndarray, replaced: Sequence[int]) -> None:
        """How far the rows of samples that stand as they were moved, in the output's own unit."""
        if array.dtype.kind != "f" or not array.ndim or not array.size or len(array) % self.size:
            return
        kept = [place for place in range(self.size) if place not in replaced]
        before, after = (value.reshape(self.size, -1)[kept].astype(np.float64) for value in (self.base[tap], array))
        with np.errstate(invalid="ignore"):
            far = np.abs(after - before)
        self.leak[tap] = max(self.leak.get(tap, 0.0), float(np.nan_to_num(far, posinf=0.0).max(initial=0.0)))

    def _strengthen(self, tap: Tap, distance: np.ndarray, replaced: Sequence[int]) -> None:
        if not self.singly:  # an element's own sample is in several groups: told by its place
            if distance.ndim and len(distance) and len(distance) % self.size == 0:
                distance = np.delete(distance.reshape(self.size, -1), replaced, axis=0)
            self.leak_ulp[tap] = max(self.leak_ulp.get(tap, 0), int(distance.max(initial=0)))
            return
        first, second = self._strongest.get(tap, (np.zeros_like(distance), np.zeros_like(distance)))
        second = np.maximum(second, np.minimum(first, distance))
        first = np.maximum(first, distance)
        self._strongest[tap] = (first, second)
        self.leak_ulp[tap] = int(second.max(initial=0))


_Trace: TypeAlias = "tuple[object, ...] | None"


@dataclass(frozen=True)
class _Look:
    """What is remembered of a tensor in a pass: the array, as long as it lives, and its trace where that is needed."""

    array: weakref.ref[np.ndarray]
    trace: _Trace

    def was_of(self, array: np.ndarray) -> bool:
        """Whether it is the same: nobody writes to a read-only array."""
        return (self.array() is array and not array.flags.writeable) or self.trace == _trace(array) is not None


_LOOKED_AT = 64


def _trace(array: np.ndarray) -> _Trace:
    """Where a tensor lies and some of what is in it; equal for two looks at the same one. None for text.

    The place alone does not tell: frameworks compute in place where nobody needs the input any more.
    """
    if array.dtype.hasobject:
        return None
    step = max(1, array.size // _LOOKED_AT)
    flat = array.reshape(-1) if array.flags.c_contiguous else array.flat
    return array.__array_interface__["data"][0], array.shape, array.strides, flat[::step].tobytes()


def _is_flat(array: np.ndarray) -> bool:
    if array.size == 0:
        return True
    first = array[(0,) * array.ndim]
    ends = array.reshape(-1)[-16:] if array.flags.c_contiguous else array
    return bool((ends == first).all() and (array == first).all())


def _finite(value: np.ndarray) -> bool:
    if value.dtype.kind not in "fc":
        return True
    if value.dtype.char in "fd" and value.flags.c_contiguous:
        flat = value.reshape(-1)
        with np.errstate(all="ignore"):
            if np.isfinite(flat.dot(flat)):  # the fastest look at all: NaN and Inf would be in it
                return True
    return bool(np.isfinite(value).all())
