"""Lists of tensors, which loops fill and read. A list is as its elements would be, stacked along a new axis 0."""

from __future__ import annotations

from dataclasses import replace

from kmr_cli.proof.call import Call
from kmr_cli.proof.graph import Ref
from kmr_cli.proof.owners import Each, Free, MeetError, NoRuleError, Own, Owner, Unknown, everywhere
from kmr_cli.proof.primitives.control import either
from kmr_cli.proof.primitives.gather import BY_OTHERS
from kmr_cli.proof.sizes import any_of_batch, round_of

ONE_PLACE = "it takes one place of axis 0, which carries the samples, for all of them"


def reserved(call: Call) -> Free:
    """Room for elements, which hold zeros until they are written."""
    shape = call.shapes[0]
    return everywhere(len(shape)) if shape is not None else Free()


def passed_on(call: Call) -> Owner:
    """A list of the slices of a tensor, or a tensor of the elements of a list."""
    return call.owners[_name(call, "self" if call.given("self") else "list")]


def _name(call: Call, argument: str) -> str:
    found = next((one for key, one in call.operator.arguments if key == argument), None)
    if not isinstance(found, Ref):
        raise NoRuleError(f"it has no argument {argument!r}")
    return found.name


def _place(call: Call) -> tuple[str | None, Owner | None, bool]:
    """Where an element stands: at the place of the round of a loop; at a computed place; whether at a fixed one."""
    found = next((one for key, one in call.operator.arguments if key == "index"), None)
    if isinstance(found, Ref):
        return None, call.owners[found.name], False
    number = call.size("index")
    return round_of(number), None, not call.rounds


def _rounds(call: Call, by: Owner | None) -> frozenset[str]:
    """The loops whose round decides the place."""
    return call.rounds | (by.rounds if isinstance(by, Free) else frozenset())


def read(call: Call) -> Owner:
    """One element."""
    owner = call.owners[_name(call, "list")]
    loop, by, fixed = _place(call)
    if isinstance(owner, Own) and owner.axis == 0:
        if loop is not None and not isinstance(by, Each):
            return Each(loop, owner.outer, owner.inner, owner.place, owner.count)
        if fixed and not isinstance(call.batch, int):
            raise MeetError(ONE_PLACE)
        raise NoRuleError("it takes samples by index")
    if isinstance(owner, Own):
        if isinstance(by, Each):
            raise MeetError(BY_OTHERS)
        return replace(owner, axis=owner.axis - 1)
    if isinstance(owner, Free):
        row = Free(frozenset(axis - 1 for axis in owner.uniform if axis), None, owner.count, owner.rounds)
        return either(row, by, None) if isinstance(by, Each) else row
    return either(owner, by, None) if isinstance(by, Each) else owner


def written(call: Call) -> Owner:
    """A list with one element replaced."""
    owner, item = call.owners[_name(call, "list")], call.owners[_name(call, "self")]
    loop, by, _ = _place(call)
    shape = call.shapes[0]
    placed: Owner
    if isinstance(item, Each) and item.loop == loop and not isinstance(by, Each):
        placed = Own(0, item.outer, item.inner, item.place, item.count)
    elif isinstance(item, Each) and (isinstance(owner, Own) or item.loop in _rounds(call, by)):
        raise NoRuleError("it writes samples to places by index")
    elif isinstance(item, Own):
        if isinstance(by, Each):
            raise MeetError(BY_OTHERS)
        placed = replace(item, axis=item.axis + 1)
    elif isinstance(item, Free):
        placed = Free(frozenset(axis + 1 for axis in item.uniform), None, item.count, item.rounds)
    else:
        placed = item
    if isinstance(by, Each):
        placed = either(placed, by, None)
    found = either(owner, placed, shape)
    return replace(found, uniform=found.uniform - {0}, index=None, period=None) if isinstance(found, Free) else found


def pushed(call: Call) -> Owner:
    """A list with one element more."""
    owner, item = call.owners[_name(call, "list")], call.owners[_name(call, "self")]
    if not isinstance(owner, Free) and not (isinstance(owner, Own) and owner.axis):
        raise NoRuleError("it appends to what holds samples one behind the other")
    if isinstance(item, Own):
        return either(owner, replace(item, axis=item.axis + 1), call.shapes[0])
    if isinstance(item, Free):
        placed = Free(frozenset(axis + 1 for axis in item.uniform), None, item.count, item.rounds)
        found = either(owner, placed, call.shapes[0])
        return replace(found, uniform=found.uniform - {0}, period=None) if isinstance(found, Free) else found
    raise NoRuleError("it appends one sample after the other")


def popped(call: Call) -> tuple[Owner, Owner]:
    """The list without its last element, and that."""
    owner = call.owners[_name(call, "list")]
    if isinstance(owner, Own) and owner.axis == 0:
        raise NoRuleError("it takes the last sample")
    if isinstance(owner, Own):
        return owner, replace(owner, axis=owner.axis - 1)
    if isinstance(owner, Free):
        return owner, Free(frozenset(axis - 1 for axis in owner.uniform if axis), None, owner.count, owner.rounds)
    return owner, owner


def length(call: Call) -> Owner:
    """How many elements there are; what they hold plays no part."""
    shape = call.needed_shape("list")
    return Free(count=any_of_batch(shape))


def resized(call: Call) -> Owner:
    """More or fewer elements."""
    owner = call.owners[_name(call, "list")]
    if isinstance(owner, Own) and owner.axis == 0:
        raise NoRuleError("it changes how many samples there are")
    if isinstance(owner, Free):
        return replace(owner, uniform=owner.uniform - {0}, index=None, period=None)
    return owner if isinstance(owner, (Own, Each)) else Unknown("nothing is known of the list")
