"""From two snapshots to a case: which taps correspond, and how each pair differs. Nothing is judged here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kmr_cli.compare.agreement import agreement
from kmr_cli.compare.alignment import Alignment, align
from kmr_cli.compare.case import Case, Pair
from kmr_cli.compare.differ import differ
from kmr_cli.compare.difference import TapDifference, Values
from kmr_cli.compare.outputs import counterpart
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
) -> Case:
    """Match two snapshots and compare tap by tap; arguments as for :func:`kmr_cli.compare.compare.compare`."""
    alignment = align(model, baseline)
    any_layout = conversion and not alignment.same_kind
    pairs = tuple(_pairs(model, baseline, alignment, tolerances, values, any_layout=any_layout))
    if not same_data:
        pairs = tuple(pair if pair.content.kind == "shape" else replace(pair, content=_OTHER) for pair in pairs)
    outputs = tuple(agreement(pair, model.outputs) for pair in pairs if not pair.model.layer)
    return Case(model, baseline, alignment, pairs, outputs, policy, conversion=conversion, same_data=same_data)


def _pairs(
    model: Snapshot, baseline: Snapshot, alignment: Alignment, tolerances: Tolerances,
    values: tuple[Values, Values] | None, *, any_layout: bool,
) -> Iterator[Pair]:  # fmt: skip
    """Every tap of the model that has a counterpart, in the order in which they ran."""
    there = {tap.tap: tap for tap in baseline.taps}
    partner = dict(alignment.pairs)
    for tap in model.taps:
        call = partner.get((tap.layer, tap.call))
        port = tap.port if tap.layer else counterpart(tap.port, model, baseline)
        other = there.get((*call, port)) if call is not None else None
        if other is not None:
            tolerance = tolerances.at(tap.layer or _returned_as(tap, model), tap.dtype, other.dtype)
            content = differ(
                tap, other, model.size, tolerance, values=values, any_layout=any_layout, schema=baseline.schema
            )
            yield Pair(tap, other, content)


def _returned_as(tap: TapSketch, model: Snapshot) -> str:
    """The name by which tolerances know an output: its own, which in Keras is that of the layer it comes from."""
    return output_name(tap.port.partition(".")[0], model.outputs)
