"""TensorFlow's operations on images, tables and variables, and those that round numbers to a grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kmr_cli.proof.call import Call, generic_free
from kmr_cli.proof.owners import Clear, Free, MeetError, NoRuleError, Operand, Own, any_count, counted, everywhere
from kmr_cli.proof.primitives import pointwise, reduce, window
from kmr_cli.proof.sizes import any_of_batch


def images(*parameters: str) -> Callable[[Call], tuple[Clear, ...]]:
    """A rule: each image on its own, with what the parameters hold for all of them."""

    def rule(call: Call) -> tuple[Clear, ...]:
        operand = call.needed("input", "self")
        others = [one for name in parameters if (one := call.operand(name)) is not None]
        if any(isinstance(one.owner, Own) for one in others):
            raise NoRuleError("its parameters depend on samples")
        if not isinstance(operand.owner, Own):
            return (counted(window.row_by_row([operand]), any_count(others)),) * len(call.operator.outputs)
        if operand.owner.axis != 0:
            raise MeetError(f"{call.kind} over axis {operand.owner.axis}, which carries the samples")
        return (counted(operand.owner, any_count(others)),) * len(call.operator.outputs)

    return rule


def with_places(call: Call) -> tuple[Clear, Clear]:
    """``MaxPoolWithArgmax``: the places may be counted over the whole batch."""
    found = call.needed("self").owner
    if isinstance(found, Own) and found.axis != 0:
        raise MeetError(f"{call.kind} over axis {found.axis}, which carries the samples")
    if isinstance(found, Free):
        return (generic_free(call),) * 2
    where = replace(found, place=True) if call.flag("include_batch_in_index") else found
    return (found, where)


def projected(call: Call) -> tuple[Clear, ...]:
    """``ImageProjectiveTransformV3``: with one projection for all images, or one for each."""
    operand, other = call.needed("input"), call.needed("other")
    fill = call.operand("fill")
    if other.shape and other.shape[0] == 1 and isinstance(other.owner, Free):
        return (images("fill")(call)[0],)
    taken = [operand, Operand(other.owner, (other.shape[0], *((1,) * (operand.rank - 1))))]
    if fill is not None and isinstance(fill.owner, Own):
        raise NoRuleError("its parameters depend on samples")
    if any(isinstance(one.owner, Own) and one.owner.axis != 0 for one in taken):
        raise MeetError(f"{call.kind} over an axis that carries the samples")
    return (pointwise.joined(taken, operand.shape),)


def cropped(call: Call) -> Clear:
    """``CropAndResize``: boxes, each out of the image whose number it bears."""
    operand, boxes, index = call.needed("input"), call.needed("boxes"), call.needed("index")
    in_order = isinstance(index.owner, Free) and index.owner.index == 0 and index.shape[0] == operand.shape[0]
    if not in_order or not isinstance(operand.owner, Own) or operand.owner.pattern != (0, 1, 1):
        raise NoRuleError("it takes images by index")
    rows = Operand(boxes.owner, (boxes.shape[0], *((1,) * (operand.rank - 1))))
    if isinstance(boxes.owner, Own) and boxes.owner.axis != 0:
        raise MeetError("its boxes are made of several samples")
    return pointwise.joined([operand, rows], operand.shape)


def quantized(call: Call) -> Clear:
    """A grid for the whole tensor, or for each place of one axis; or one taken from everything in it."""
    operand = call.needed("self")
    scales = [one for name in ("scale", "zero") if (one := call.operand(name)) is not None]
    if any(isinstance(one.owner, Own) for one in scales):
        raise NoRuleError("its scale depends on samples")
    axis = call.integer("axis", -1)
    given = call.flag("range_given", default=call.kind == "QuantizeAndDequantizeV3")
    if not given and isinstance(operand.owner, Own):
        if axis < 0:
            raise MeetError("one scale is taken from all samples together (dynamic quantization)")
        if axis != operand.owner.axis or operand.owner.outer != 1 or operand.owner.inner != 1:
            raise MeetError("one scale is taken from several samples together (dynamic quantization)")
        return operand.owner
    if not given:
        return generic_free(call)
    single = [Operand(one.owner, () if not one.rank else (*one.shape, *((1,) * (operand.rank - 1 - axis)))
                      if axis >= 0 else ()) for one in scales]  # fmt: skip
    return pointwise.joined([operand, *single], operand.shape)


def by_channel(call: Call) -> Clear:
    """``FakeQuantWithMinMaxVars``, and with a range for every place of the last axis."""
    operand = call.needed("self")
    scales = call.operands()[1:]
    if any(isinstance(one.owner, Own) for one in scales):
        raise NoRuleError("its scale depends on samples")
    return pointwise.joined([operand, *scales], operand.shape)


def looked_up(call: Call) -> Clear:
    """A table gives every key its value."""
    return pointwise.joined([call.needed("self")], call.shape)


def table_size(call: Call) -> Free:  # noqa: ARG001  (every rule takes it)
    """How many keys a table holds."""
    return everywhere(0)


def searched(call: Call) -> Clear:
    """``LowerBound``, ``UpperBound``: places of values among sorted ones, row by row."""
    table, values = call.needed("table"), call.needed("self")
    if (isinstance(table.owner, Own) and table.owner.axis != 0) or (
        isinstance(values.owner, Own) and values.owner.axis != 0
    ):
        raise MeetError("it searches among the values of other samples")
    rows = Operand(table.owner, (table.shape[0], 1))
    found = pointwise.joined([values, rows], values.shape)
    return replace(found, count=found.count or any_of_batch(table.shape[1:]))


def read(call: Call) -> Free:  # noqa: ARG001  (every rule takes it)
    """The value of a variable."""
    return Free()


def mixed_colours(call: Call) -> Clear:
    """``AdjustContrastv2``: by the mean of each image."""
    operand = call.needed("self")
    if operand.rank < 3:
        raise NoRuleError("it has too few axes")
    taken = pointwise.joined(call.operands(), operand.shape)
    wanted = range(operand.rank - 3, operand.rank)
    return reduce.along(Operand(taken, operand.shape), wanted, what=call.kind)
