"""Rules for those of PyTorch's operators that take their arguments in a way of their own."""

from __future__ import annotations

from dataclasses import replace

from kmr_cli.proof.call import Call, generic_free
from kmr_cli.proof.graph import references
from kmr_cli.proof.owners import Clear, Free, MeetError, NoRuleError, Operand, Own, Owner, any_count, everywhere
from kmr_cli.proof.primitives import contract, factories, join, normalise, reshape
from kmr_cli.proof.primitives.pointwise import joined
from kmr_cli.proof.primitives.reduce import along, last
from kmr_cli.proof.sizes import Size, at_least

TRANSFORMS = (
    *(f"{kind}{form}" for kind in ("fft", "ifft", "rfft", "irfft") for form in ("", "2", "n")),
    *("hfft", "ihfft", "fftshift", "ifftshift"),
)


def converted(call: Call) -> Clear:
    """Another dtype or memory; what only lends its dtype plays no part."""
    operand = call.needed("self")
    if operand.shape != call.shape:
        return joined([operand], call.shape)
    made = next((value for name in call.operator.outputs if name and (value := call.values.get(name))), None)
    holds = made is None or made.dtype in (None, "int64", "int32")  # places along an axis, whole
    return operand.owner if holds or isinstance(operand.owner, Own) else replace(operand.owner, index=None)


def filled(call: Call) -> Clear:
    """``full``, ``fill_``, ``zero_``, ``scalar_tensor``: one number throughout, given or computed."""
    operand = call.operand("fill_value") or call.operand("value") or call.operand("s")
    shape = call.needed_shape("self") if call.kind in ("fill_", "zero_", "fill", "zero") else call.shape
    return everywhere(len(shape)) if operand is None else joined([operand], shape)


def dropout(call: Call) -> Owner | tuple[Owner, ...]:
    """Nothing happens unless it is in training."""
    found = factories.dropped(call)
    if len(call.operator.outputs) < 2:
        return found
    mask = everywhere(len(call.shape)) if isinstance(found, (Own, Free)) else found
    return (found, mask)


def group_norm(call: Call) -> tuple[Clear, ...]:
    """Group normalization; what it gives beside the result has one row a sample as well."""
    return normalise.group_norm(call)


def flip(call: Call) -> Clear:
    """Axes backwards."""
    operand = call.needed("self")
    axes = call.axes("dims", operand.rank)
    return join.moved_along(operand, axes, "it reverses the order of the samples")


def fused_attention(call: Call) -> Own:
    """Fused layers of transformers: what enters is (samples, steps, features), and each sample attends to itself."""
    names = {name for name, _ in call.operator.arguments} & {"src", "query", "key", "value"}
    owners = [operand.owner for name in sorted(names) for operand in call.operands(name)]
    mine = [owner for owner in owners if isinstance(owner, Own)]
    if not mine or len(mine) < len(owners):
        raise NoRuleError("samples attend to something that is the same for all of them")
    if any(owner.axis != 0 or owner.pattern != (0, 1, 1) for owner in mine):
        raise MeetError("attention multiplies samples with other samples")
    rest = [call.owners[name] for key, argument in call.operator.arguments if key not in names
            for name in references(argument)]  # fmt: skip
    if any(isinstance(owner, Own) and (owner.axis != 0 or owner.pattern != (0, 1, 1)) for owner in rest):
        raise NoRuleError("its mask does not hold one row per sample")
    return Own(0)


def squeezed(call: Call) -> Clear:
    """``squeeze``: the file tells the new shape, which is another one where an axis of open size is 1 long."""
    before = call.needed_shape("self")
    for axis in call.axes("dim", len(before), tuple(range(len(before)))):
        if not isinstance(before[axis], int) and not at_least(before[axis], 2, call.ranges):
            raise NoRuleError("it drops one more axis where there is 1 sample, or another open size is 1")
    return reshape.reshaped(call.needed("self"), call.shape, call.batch)


def repeat(call: Call) -> Clear:
    """``repeat``, ``tile``."""
    operand = call.needed("self")
    shape = call.shape
    named = "repeats" if call.given("repeats") else "dims"
    repeats = call.sizes(named)
    added: tuple[Size, ...] = (1,) * (len(shape) - len(repeats))
    return reshape.tiled(operand, added + repeats, shape)


def repeat_interleave(call: Call) -> Clear:
    """Every element a fixed number of times."""
    operand = call.needed("self")
    if not call.given("dim"):
        raise NoRuleError("it flattens what it repeats")
    axis = call.axis("dim", operand.rank)
    if call.operand("repeats") is not None:
        if isinstance(operand.owner, Own) and operand.owner.axis != axis:
            return operand.owner
        raise NoRuleError("how often it repeats is held in a tensor")
    return reshape.repeated(operand, axis, call.size("repeats"))


def one_hot(call: Call) -> Clear:
    """A new last axis, as long as there are classes."""
    operand = call.needed("self")
    if call.integer("num_classes", -1) < 0:
        raise NoRuleError("the number of classes depends on what its operand holds")
    if isinstance(operand.owner, Own):
        return operand.owner
    return Free(operand.owner.uniform, count=operand.owner.count)


def trailing(call: Call) -> Clear:
    """A last axis more or less, of real and imaginary parts."""
    operand = call.needed("self")
    if isinstance(operand.owner, Free):
        return generic_free(call)
    if operand.owner.axis >= min(operand.rank, len(call.shape)):
        raise NoRuleError("the samples are on the axis of real and imaginary parts")
    return operand.owner


def transformed(call: Call) -> Clear:
    """Fourier transforms: the last axis, the last two, or those that are named."""
    operand = call.needed("self")
    if call.given("dim"):
        axes = call.axes("dim", operand.rank)
    elif call.kind.endswith("n") or "shift" in call.kind:
        axes = tuple(range(operand.rank))
    else:
        axes = tuple(range(operand.rank))[-2 if call.kind.endswith("2") else -1 :]
    return along(operand, axes, what=call.kind)


def prelu(call: Call) -> Clear:
    """A slope for every channel, which stands on axis 1."""
    operand, slopes = call.needed("self"), call.needed("weight")
    if isinstance(slopes.owner, Own) or (isinstance(operand.owner, Own) and operand.owner.axis == 1):
        raise NoRuleError("its slopes depend on samples")
    if isinstance(operand.owner, Own):
        return operand.owner
    return Free(operand.owner.uniform - {1}, count=any_count((operand, slopes)))


def cosine_similarity(call: Call) -> Clear:
    """Products of two operands summed over one axis."""
    left, right = call.needed("x1"), call.needed("x2")
    shape = tuple(a if a != 1 else b for a, b in zip(left.shape, right.shape, strict=False))
    if left.rank != right.rank:
        raise NoRuleError("operands with different numbers of axes")
    axis = call.axis("dim", left.rank, 1)
    found = Operand(joined([left, right], shape), shape)
    labels = list(range(left.rank))
    return contract.contracted([(found, labels)], [one for one in labels if one != axis], what=call.kind)


_STACKS = {"hstack": (0, False), "vstack": (0, True), "row_stack": (0, True), "column_stack": (1, True)}
"""What becomes of vectors: the axis along which they stand one behind the other, and whether that is a new one."""


def stacked(call: Call) -> Clear:
    """``hstack``, ``vstack``, ``dstack``, ``column_stack``: joined along an axis that the name tells."""
    operands = call.operands("tensors")
    name = call.kind
    ranks = {one.rank for one in operands}
    if len(ranks) != 1 or 0 in ranks:
        raise NoRuleError("its operands have different numbers of axes, or none")
    (rank,) = ranks
    if name == "dstack":
        if rank == 1:
            raise NoRuleError("vectors in depth")
        return join.stacked(operands, 2) if rank == 2 else join.concatenated(operands, 2)
    if rank == 1:
        axis, new = _STACKS[name]
        return join.stacked(operands, axis) if new else join.concatenated(operands, axis)
    return join.concatenated(operands, 0 if name in ("vstack", "row_stack") else 1)


def cross(call: Call) -> Clear:
    """Products of vectors along one axis of two operands."""
    found = Operand(joined(call.operands("self", "other"), call.shape), call.shape)
    return along(found, (call.axis("dim", found.rank, -1),), what=call.kind)


def matrices(call: Call) -> Owner | tuple[Owner, ...]:
    """Of every matrix in the last two axes on its own."""
    if len(call.operands()) > 1:
        raise NoRuleError("it also takes a tolerance for each matrix")
    return last(2, "A")(call)
