"""ONNX's operators on text and on tables of features, as converters of scikit-learn write them, and on sequences."""

from __future__ import annotations

from kmr_cli.proof.call import Call
from kmr_cli.proof.owners import Clear, Free, NoRuleError, Operand, Own, Owner, Unknown
from kmr_cli.proof.primitives import gather, join, pointwise
from kmr_cli.proof.sizes import any_of_batch


def like(call: Call) -> Clear:
    """``CastLike``: of the other it takes the dtype."""
    return pointwise.joined([call.needed("self")], call.shape)


def eye(call: Call) -> Free:
    """``EyeLike``: what it takes its shape from plays no part."""
    return Free(count=any_of_batch(call.shape))


def text(call: Call) -> Clear:
    """``StringNormalizer``, word by word unless it leaves words out."""
    if call.given("stopwords"):
        raise NoRuleError("how many words are left depends on what they are")
    return call.needed("input_0").owner


def columns(call: Call) -> Clear:
    """``ArrayFeatureExtractor``: places of the last axis."""
    operand, index = call.needed("input_0"), call.needed("input_1")
    if operand.rank < 2 or index.rank > 2 or (index.rank == 2 and index.shape[0] != 1):
        raise NoRuleError("a form that converters do not write")
    if index.rank == 2:
        if isinstance(index.owner, Own):
            raise NoRuleError("the places that it takes depend on samples")
        index = Operand(Free(count=index.owner.count), index.shape[1:])
    return gather.picked(operand, operand.rank - 1, index)


def side_by_side(call: Call) -> Clear:
    """``FeatureVectorizer``: columns of tables of two axes."""
    operands = call.operands()
    if any(one.rank != 2 for one in operands):
        raise NoRuleError("a form that converters do not write")
    return join.concatenated(operands, 1)


def classes(call: Call) -> Clear:
    """``OneHotEncoder``: a new last axis."""
    owner = call.needed("input_0").owner
    return owner if isinstance(owner, Own) else Free(owner.uniform, count=owner.count)


def sequence(call: Call) -> Owner:
    """Its members are values of their own; as a whole it only goes where they are not followed, as into a loop."""
    operator = call.operator
    reason = "its sequence is not followed into a loop"
    return Unknown(reason, operator.name, operator.kind, operator.layer, operator.call)
