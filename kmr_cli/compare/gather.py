"""From two snapshots to a case: which taps correspond, and how each pair differs. Nothing is judged here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from kmr_cli.compare.agreement import agreement
from kmr_cli.compare.alignment import Alignment, align
from kmr_cli.compare.case import Case, Pair
from kmr_cli.compare.differ import differ
from kmr_cli.compare.difference import TapDifference, Values
from kmr_cli.compare.entering import Entering
from kmr_cli.compare.flow import Flow
from kmr_cli.compare.kinds import Kinds
from kmr_cli.compare.outputs import counterpart
from kmr_cli.compare.swapped import put_in_order
from kmr_cli.compare.words import output_name
from kmr_cli.config.policy import Policy
from kmr_cli.config.tolerance import Tolerances
from kmr_cli.records import Snapshot, TapSketch

OTHER_DATA = "the model's inputs differ from the baseline's, so values were not compared"
_OTHER = TapDifference("unknown", reason=OTHER_DATA)


def gather(
    model: Snapshot,
    baseline: Snapshot,
    tolerances: Tolerances,
    policy: Policy,
    *,
    values: tuple[Values, Values] | None,
    conversion: bool,
    same_data: bool,
    kinds: tuple[Kinds, Kinds] | None = None,
) -> Case:
    """Match two snapshots and compare tap by tap; arguments as for :func:`kmr_cli.compare.compare.compare`."""
    alignment = align(model, baseline, kinds)
    any_layout = conversion and not alignment.same_kind

    def difference(tap: TapSketch, other: TapSketch) -> TapDifference:
        tolerance = tolerances.at(tap.layer or _returned_as(tap, model), tap.dtype, other.dtype)
        return differ(tap, other, model.size, tolerance, values=values, any_layout=any_layout, schema=baseline.schema)

    pairs: tuple[Pair, ...]
    pairs, swapped = put_in_order(tuple(_pairs(model, baseline, alignment, difference)), difference)
    entering = None
    if any(pair.model.layer and pair.model.port.startswith("in") for pair in pairs):
        taps = {tap.tap: tap for tap in model.taps}
        entering = Entering(Flow(model), Flow(baseline), dict(alignment.pairs), taps)
        pairs = tuple(entering.settled(pairs))
    if not same_data:
        pairs = tuple(pair if pair.content.kind == "shape" else replace(pair, content=_OTHER) for pair in pairs)
    outputs = tuple(agreement(pair, model.outputs, swapped) for pair in pairs if not pair.model.layer)
    return Case(
        model, baseline, alignment, pairs, outputs, policy, entering, swapped,
        conversion=conversion, same_data=same_data,
    )  # fmt: skip


def _pairs(
    model: Snapshot,
    baseline: Snapshot,
    alignment: Alignment,
    difference: Callable[[TapSketch, TapSketch], TapDifference],
) -> Iterator[Pair]:
    """Every tap of the model that has a counterpart, in the order in which they ran."""
    there = {tap.tap: tap for tap in baseline.taps}
    partner = dict(alignment.pairs)
    for tap in model.taps:
        call = partner.get((tap.layer, tap.call))
        port = tap.port if tap.layer else counterpart(tap.port, model, baseline)
        other = there.get((*call, port)) if call is not None else None
        if other is not None:
            yield Pair(tap, other, difference(tap, other))


def _returned_as(tap: TapSketch, model: Snapshot) -> str:
    """The name by which tolerances know an output: its own, which in Keras is that of the layer it comes from."""
    return output_name(tap.port.partition(".")[0], model.outputs)
