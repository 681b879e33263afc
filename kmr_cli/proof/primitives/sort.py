"""Elements put into order, counted, or kept by what they hold."""

from __future__ import annotations

from kmr_cli.proof.call import Call, Rule
from kmr_cli.proof.owners import Clear, NoRuleError, Own, RoutedError, counted
from kmr_cli.proof.primitives.pointwise import joined
from kmr_cli.proof.primitives.reduce import along
from kmr_cli.proof.sizes import any_of_batch


def ordered(*, values: bool, default: int = -1) -> Rule:
    """A rule for what sorts along an axis. ``values``: whether the first result holds values, not their places alone.

    Samples whose places are sorted, and perhaps put back later, are not followed: that is Unknown rather than a Meet.
    """

    def rule(call: Call) -> tuple[Clear, ...]:
        operand = call.needed("self")
        if not operand.rank:
            return (operand.owner,) * len(call.operator.outputs)
        axis = call.axis("dim", operand.rank, default)
        owner = operand.owner
        if isinstance(owner, Own) and owner.axis == axis and not (values and owner.outer == owner.inner == 1):
            raise RoutedError("it sorts samples")
        return (along(operand, (axis,), what=call.kind),) * len(call.operator.outputs)

    return rule


def by_content(call: Call) -> Clear:  # noqa: ARG001  (every rule takes it)
    """How many elements come out depends on what goes in."""
    raise RoutedError("the shape of its result depends on what its operand holds")


def searched(call: Call) -> Clear:
    """``bucketize``, ``searchsorted``: every value finds its place in a table of its own or everybody's."""
    table = call.needed("boundaries", "sorted_sequence")
    values = call.needed("self")
    if table.rank == 1 and not isinstance(table.owner, Own):
        found = joined([values], call.shape)  # as numbers they are others: 0, 1, 2, … isn't kept
        return counted(found, any_of_batch(table.shape))
    raise NoRuleError("the table depends on samples")
