"""Attention: queries look at keys, and take up values."""

from __future__ import annotations

from dataclasses import replace

from kmr_cli.proof.call import Call
from kmr_cli.proof.owners import Clear, Free, NoRuleError, Operand, Own, Owner
from kmr_cli.proof.primitives.contract import contracted
from kmr_cli.proof.primitives.factories import drawn
from kmr_cli.proof.primitives.pointwise import joined


def attended(query: Operand, key: Operand, value: Operand, mask: Operand | None) -> Clear:
    """The owner of what queries take up; shapes are (…, places, features).

    Scores are a product over features, a softmax joins all keys, and values are summed over the keys: samples stay
    apart where they stand on the same leading axis of all three.
    """
    lead = list(range(query.rank - 2))
    if key.rank != query.rank or value.rank != query.rank:
        raise NoRuleError("its operands have different numbers of axes")
    scores = (*query.shape[:-1], key.shape[-2])
    found = contracted([(query, [*lead, "query", "in"]), (key, [*lead, "key", "in"])], [*lead, "query", "key"],
                       what="attention")  # fmt: skip
    operand = Operand(found, scores)
    if mask is not None:
        found = joined([operand, mask], scores)
        operand = Operand(found, scores)
    return contracted(
        [(operand, [*lead, "query", "key"]), (value, [*lead, "key", "out"])], [*lead, "query", "out"], what="attention"
    )


def attention(call: Call) -> tuple[Owner, ...]:
    """``scaled_dot_product_attention`` in all its forms."""
    if call.number("dropout_p", 0.0) > 0:
        return (drawn(call),) * len(call.operator.outputs)
    query, key, value = (call.needed(name) for name in ("query", "key", "value"))
    if call.flag("enable_gqa"):
        for one in (query, key, value):
            if isinstance(one.owner, Own) and one.owner.axis == one.rank - 3:
                raise NoRuleError("the samples are merged with heads that share their keys")
        key, value = (Operand(one.owner, (*one.shape[:-3], query.shape[-3], *one.shape[-2:])) for one in (key, value))
    found = attended(query, key, value, call.operand("attn_mask") or call.operand("attn_bias"))
    rest: tuple[Owner, ...] = tuple(
        _statistics(found, shape is not None and len(shape) == query.rank - 1) for shape in call.shapes[1:]
    )
    return (found, *rest)


def _statistics(found: Clear, one_number_each: bool) -> Owner:
    """What comes beside the result: a number for every query, or what only the backward pass wants."""
    return found if one_number_each or isinstance(found, Free) else replace(found, place=True)
