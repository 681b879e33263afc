"""Tensors out of nothing: counted, spaced, drawn at random."""

from __future__ import annotations

from kmr_cli.proof.call import Call
from kmr_cli.proof.owners import Free, Owner, Unknown
from kmr_cli.proof.sizes import any_of_batch


def arange(call: Call) -> Free:
    """0, 1, 2 … up to an end; an element does not depend on where the end is."""
    start, step = call.size("start", 0), call.size("step", 1)
    if start == 0 and step == 1:
        return Free(index=0)
    return Free(count=any_of_batch((start, step)))


def spaced(call: Call) -> Free:
    """Evenly spaced: every element depends on how many there are."""
    return Free(count=any_of_batch(call.shape))


def by_place(call: Call) -> Free:  # noqa: ARG001  (every rule takes it)
    """What depends on row and column alone (an identity, a triangle)."""
    return Free()


def drawn(call: Call) -> Owner:
    """Random numbers: no run is like the last, so nothing can be promised."""
    return _nobody_knows(call, "it draws random numbers")


def uninitialised(call: Call) -> Owner:
    """Memory that nobody wrote to yet: it may hold anything, an earlier request included."""
    return _nobody_knows(call, "it returns uninitialized memory")


def dropped(call: Call) -> Owner:
    """Dropout: random where it is switched on."""
    if call.flag("train", default=True) and call.number("p", 0.5) > 0:
        return drawn(call)
    return call.needed("input", "self").owner


def _nobody_knows(call: Call, reason: str) -> Unknown:
    operator = call.operator
    return Unknown(reason, operator.name, operator.kind, operator.layer, operator.call)
