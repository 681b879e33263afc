"""Products that sum over axes: of matrices, of everything that ``einsum`` can say."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

from kmr_cli.proof.call import Call
from kmr_cli.proof.owners import Clear, Free, MeetError, NoRuleError, Operand, Own, any_count, varies
from kmr_cli.proof.primitives.pointwise import joined
from kmr_cli.proof.sizes import any_of_batch

Labels = Sequence[Hashable]


def contracted(operands: Sequence[tuple[Operand, Labels]], result: Labels, *, what: str) -> Clear:
    """The owner of a sum of products.

    Args:
        operands: each with a label for every axis; axes with the same label run together.
        result: labels of the axes that stay; the others are summed over.
        what: the operator, for messages.
    """
    taken = [operand for operand, _ in operands]
    count = any_count(taken) or any_of_batch(
        size for operand, labels in operands for size, label in zip(operand.shape, labels, strict=True)
        if label not in result
    )  # fmt: skip
    found: Own | None = None
    label: Hashable = None
    for operand, labels in operands:
        if not isinstance(operand.owner, Own):
            continue
        mine = labels[operand.owner.axis]
        if mine not in result:
            raise MeetError(f"{what} sums over axis {operand.owner.axis} of an operand, which carries the samples")
        if found is not None and (mine != label or found.pattern[1:] != operand.owner.pattern[1:]):
            raise MeetError(f"{what} multiplies samples with other samples")
        label = mine
        found = replace(operand.owner, place=operand.owner.place or (found is not None and found.place))
    varying = {
        mine for operand, labels in operands for axis, mine in enumerate(labels) if varies(operand, axis)
    }  # fmt: skip
    if found is None:
        return Free(frozenset(axis for axis, mine in enumerate(result) if mine not in varying), count=count)
    place = found.place or label in varying
    return replace(found, axis=list(result).index(label), place=place, count=count)


def product_labels(left: Operand, right: Operand) -> tuple[list[Hashable], list[Hashable], list[Hashable]]:
    """Labels of a product of matrices, whose leading axes are broadcast."""
    one: list[Hashable] = ["row", "sum"] if left.rank > 1 else ["sum"]
    other: list[Hashable] = ["sum", "column"] if right.rank > 1 else ["sum"]
    longest = max(left.rank, right.rank) - 2
    lead_one = _lead(left, right)
    lead_other = _lead(right, left)
    lead: list[Hashable] = []
    for place in range(-max(longest, 0), 0):
        names = [labels[place] for labels in (lead_one, lead_other) if -place <= len(labels)]
        lead.append(next((name for name in names if isinstance(name, int)), names[0]))
    result = [*lead, *one[:-1], *other[1:]]
    return [*lead_one, *one], [*lead_other, *other], result


def _lead(operand: Operand, other: Operand) -> list[Hashable]:
    """Labels of the leading axes; one of size 1 that is spread over the other's does not run with it."""
    labels: list[Hashable] = []
    for axis in range(operand.rank - 2):
        place = axis - (operand.rank - 2)
        theirs = other.shape[other.rank - 2 + place] if other.rank - 2 + place >= 0 else None
        spread = operand.shape[axis] == 1 and theirs is not None and theirs != 1
        labels.append(f"spread {place} of {id(operand)}" if spread else place)
    return labels


def of_matrices(left: Operand, right: Operand, *, turned: tuple[bool, bool], what: str) -> Clear:
    """A product of two matrices, either of which may be transposed before.

    Raises:
        NoRuleError: they have more or fewer axes.
    """
    if left.rank != 2 or right.rank != 2:
        raise NoRuleError("its operands aren't matrices")
    one = ["sum", "row"] if turned[0] else ["row", "sum"]
    other = ["column", "sum"] if turned[1] else ["sum", "column"]
    return contracted([(left, one), (right, other)], ["row", "column"], what=what)


def multiplied(left: Operand, right: Operand, *, what: str) -> Clear:
    """The owner of a product of matrices or vectors."""
    if not left.rank or not right.rank:
        raise NoRuleError("a product with a single number")
    one, other, result = product_labels(left, right)
    return contracted([(left, one), (right, other)], result, what=what)


def matmul(call: Call) -> Clear:
    """``matmul``, ``mm``, ``bmm``, ``mv``, ``dot``."""
    return multiplied(call.needed("self"), call.needed("mat2", "other", "vec", "tensor"), what=call.kind)


def linear(call: Call) -> Clear:
    """A dense layer: the last axis goes through a matrix."""
    return dense(call, call.needed("input"), call.needed("weight"), call.operand("bias"))


def dense(call: Call, operand: Operand, weight: Operand, bias: Operand | None) -> Clear:
    """``operand @ weight.T + bias``."""
    lead = list(range(operand.rank - 1))
    columns: list[Hashable] = ["column"] if weight.rank > 1 else []
    found = contracted(
        [(operand, [*lead, "sum"]), (weight, [*columns, "sum"])], [*lead, *columns], what=call.kind
    )  # fmt: skip
    return _plus(found, bias, call)


def _plus(found: Clear, bias: Operand | None, call: Call) -> Clear:
    return found if bias is None else joined([Operand(found, call.shape), bias], call.shape)


def addmm(call: Call) -> Clear:
    """``self + mat1 @ mat2``."""
    product = multiplied(
        call.needed("mat1", "batch1", "mat"), call.needed("mat2", "batch2", "vec"), what=call.kind
    )  # fmt: skip
    return _plus(product, call.needed("self"), call)


def addbmm(call: Call) -> Clear:
    """``self`` and the sum of the products of all pairs of matrices."""
    pairs = [(call.needed("batch1"), ["pair", "row", "sum"]), (call.needed("batch2"), ["pair", "sum", "column"])]
    return _plus(contracted(pairs, ["row", "column"], what=call.kind), call.needed("self"), call)


def outer(call: Call) -> Clear:
    """Every element of one vector times every one of another."""
    return contracted(
        [(call.needed("self"), ["row"]), (call.needed("vec2"), ["column"])], ["row", "column"], what="outer"
    )


def einsum(call: Call) -> Clear:
    """Whatever its equation says."""
    return by_equation(call.text("equation"), call.operands("tensors"), len(call.shape))


def by_equation(equation: str, operands: Sequence[Operand], rank: int) -> Clear:
    """The owner of an einsum.

    Args:
        equation: ``bij,bjk->bik``, with or without its right side, with or without ``...``.
        operands: in order.
        rank: of the result.
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise NoRuleError("its equation does not fit its operands")
    spread = max((operand.rank - len(term.replace("...", "")) for term, operand in zip(terms, operands, strict=True)),
                 default=0)  # fmt: skip
    if not arrow:
        letters = sorted({letter for letter in left if letter.isalpha()})
        right = ("..." if "..." in left else "") + "".join(one for one in letters if left.count(one) == 1)
    labelled = [(operand, _labels(term, operand.rank)) for term, operand in zip(terms, operands, strict=True)]
    result = _labels(right, rank if "..." not in right else len(right) - 3 + spread)
    if len(result) != rank or any(len(set(labels)) != len(labels) for _, labels in labelled):
        raise NoRuleError("an equation that names an axis twice in one operand")
    for operand, labels in labelled:
        for size, label in zip(operand.shape, labels, strict=True):
            if size == 1 and any(
                other.shape[others.index(label)] != 1 for other, others in labelled if label in others
            ):  # fmt: skip
                raise NoRuleError("an equation that spreads an axis of size 1")
    return contracted(labelled, result, what="einsum")


def _labels(term: str, rank: int) -> list[Hashable]:
    before, dots, after = term.partition("...")
    spread = rank - len(before) - len(after)
    if spread < 0 or (spread and not dots):
        raise NoRuleError("its equation does not fit the shapes")
    return [*before, *range(-spread, 0), *after]


def cdist(call: Call) -> Clear:
    """Distances between the rows of one operand and those of another."""
    left, right = call.needed("x1"), call.needed("x2")
    one, other, result = product_labels(left, right)
    return contracted([(left, one), (right, [*other[:-2], "column", "sum"])], result, what=call.kind)


def bilinear(call: Call) -> Clear:
    """``input1 @ weight @ input2`` for every output."""
    left, right = call.needed("input1"), call.needed("input2")
    lead = list(range(left.rank - 1))
    found = contracted(
        [(left, [*lead, "a"]), (call.needed("weight"), ["column", "a", "b"]), (right, [*lead, "b"])],
        [*lead, "column"],
        what=call.kind,
    )
    return _plus(found, call.operand("bias"), call)
