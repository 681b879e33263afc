"""Outputs that come in a list with one element a sample, as detectors return them, in batches of other sizes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from kmr_cli.arrays.ulp import distance, relative
from kmr_cli.batch.words import count_samples
from kmr_cli.check.observed import SizeRun
from kmr_cli.check.probes.resized import beyond_rounding
from kmr_cli.check.run import Run
from kmr_cli.evidence.taps import Tap
from kmr_cli.formats.interface import ListingSession

Elements = Mapping[int, list[str]]
"""Place in the batch -> names of the outputs in its element, in order."""


def own_lists(run: Run) -> list[Tap]:
    """Outputs in a list, each of which its own sample alone changed, by more than last bits."""
    return [tap for tap in run.evidence.listed if run.in_own_element(tap) and tap not in run.evidence.nondeterministic]


def elements_of(run: Run, found: Mapping[str, np.ndarray]) -> Elements:
    """Whose element every output of the pass just made is in; of a batch of one, all are that sample's."""
    session = run.session
    listed = dict(session.listed) if isinstance(session, ListingSession) else {}
    if not listed and len(run.evidence.listed) == len(run.outputs):
        listed = dict.fromkeys(found, 0)
    elements: defaultdict[int, list[str]] = defaultdict(list)
    for name in found:
        if name in listed:
            elements[listed[name]].append(name)
    return elements


def by_port(run: Run, found: Mapping[str, np.ndarray], elements: Elements) -> dict[str, np.ndarray]:
    """The outputs in no list, by the port that each has in the batch that is known: lists of other lengths shift them.

    Args:
        run: the check.
        found: what the model returned, by name.
        elements: of :func:`elements_of`.
    """
    if not run.evidence.listed:
        return {f"out{number}": value for number, value in enumerate(found.values())}
    in_lists = {name for names in elements.values() for name in names}
    rest = [name for name in found if name not in in_lists]
    ports = [tap[2] for tap in run.outputs if tap not in run.evidence.listed]
    if len(rest) == len(ports):
        return {port: found[name] for port, name in zip(ports, rest, strict=True)}
    known = {port: run.evidence.names[port] for port in ports}  # of one sample no list is seen to be one
    return {port: found[name] for port, name in known.items() if name in found and name != port}


def taps_of(run: Run, sample: int) -> list[Tap]:
    """The outputs of one sample's element in the batch that is known."""
    return [tap for tap, owner in run.evidence.listed.items() if owner == sample]


def hold_lists(run: Run, found: Mapping[str, np.ndarray], elements: Elements, result: SizeRun) -> SizeRun:
    """Hold the elements of lists against those of the same samples in the batch that is known.

    Args:
        run: the check.
        found: what the model returned, by name.
        elements: of :func:`elements_of`.
        result: what the other outputs showed.

    Returns:
        The same, with what the lists show, where nothing else is wrong.
    """
    own = set(own_lists(run))
    if not own or result.wrong:
        return result
    size = len(result.rows)
    if len(elements) != size:
        if size == 1:
            return result  # a list of one element looks like any other
        text = f"{count_samples(size)} went in and the list that the model returns doesn't have an element for each"
        return replace(result, wrong_count=(next(iter(own))[2], text))
    for place, sample in enumerate(result.rows):
        known = taps_of(run, sample)
        if len(known) != len(elements[place]):
            text = f"sample {sample}'s element of the list that the model returns has a different number of values"
            return replace(result, wrong_count=(known[0][2], text))
        for tap, name in zip(known, elements[place], strict=True):
            before, after = run.evidence.base[tap], found[name]
            same = before.shape == after.shape and distance(before, after, before) is not None
            if tap in own and tap not in run.noisy and not same:
                off = relative(before, after, before) if before.shape == after.shape else math.inf
                differs = tap[2], beyond_rounding(tap[2], run.evidence.names)
                return replace(result, differs=differs, off={tap[2]: off}, ulp=0, names=run.evidence.names)
    return result
