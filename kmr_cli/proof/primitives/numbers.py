"""Single numbers: sizes, arithmetic on them, and numbers that come out of tensors."""

from __future__ import annotations

from kmr_cli.proof.call import Call
from kmr_cli.proof.owners import Free, NoRuleError, Own
from kmr_cli.proof.sizes import any_of_batch


def computed(call: Call) -> Free:  # noqa: ARG001  (every rule takes it)
    """Arithmetic on numbers. Those with the number of samples in them are found by the engine."""
    return Free()


def size(call: Call) -> Free:
    """How long an axis is, or how many elements there are."""
    operand = call.needed_shape("self")
    if call.kind == "sym_size" and call.given("dim"):
        return Free(count=any_of_batch((operand[call.axis("dim", len(operand))],)))
    return Free(count=any_of_batch(operand))


def item(call: Call) -> Free:
    """The number in a tensor of one element."""
    operand = call.needed("self")
    if isinstance(operand.owner, Own):
        raise NoRuleError("it reads a number from a sample")
    return Free(count=operand.owner.count)
