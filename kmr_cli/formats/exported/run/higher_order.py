"""Operators that run graphs or other operators: branches, loops, writes in place, each as eager torch does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from kmr_cli.errors import ModelLoadError
from kmr_cli.formats.exported.run import operators

Body = Callable[..., tuple[Any, ...]]
"""A graph as a function of its inputs."""
_MANY = 2**11
"""Rounds of a loop from which on it is asked whether it ends: chance, which may end one, has had time to."""


def find(name: str, target: str) -> Callable[..., Any]:
    """The function of such an operator.

    Raises:
        ModelLoadError: it is not known here.
    """
    operation = target.split(".")[3]
    if operation in ("auto_functionalized", "auto_functionalized_v2"):
        return partial(_without_writing, name, operation)
    if operation not in _FUNCTIONS:
        known = ", ".join(sorted(_FUNCTIONS))
        raise ModelLoadError(
            f"{name}: needs the operator {operation}, which is not supported here",
            f"export the model without it; of the operators that run graphs, these are supported: {known}",
        )
    return _FUNCTIONS[operation]


def _cond(condition: Any, if_true: Body, if_false: Body, operands: Sequence[Any] = ()) -> Any:
    return (if_true if condition else if_false)(*operands)


def _while_loop(condition: Body, body: Body, carried: Sequence[Any], additional: Sequence[Any] = ()) -> Any:
    """A loop that comes back to values that it had goes on for ever, as halving does from infinity.

    Raises:
        RuntimeError: that.
    """
    state, kept, rounds = tuple(carried), None, 0
    while condition(*state, *additional)[0]:
        state, rounds = tuple(body(*state, *additional)), rounds + 1
        if kept is not None and all(map(_same, state, kept)):
            raise RuntimeError("a loop that never ends on this batch: its values come back to what they were")
        if rounds >= _MANY and rounds.bit_count() == 1:  # Brent's way: a cycle is no longer than the next power of two
            kept = state
    return state


def _same(value: Any, other: Any) -> bool:
    """Whether two values are the same, NaN for NaN."""
    same = value == other
    return same if isinstance(same, bool) else bool((same | ((value != value) & (other != other))).all())


def _map(body: Body, mapped: Sequence[Any], additional: Sequence[Any] = ()) -> Any:
    rows = [body(*row, *additional) for row in zip(*(one.unbind(0) for one in mapped), strict=True)]
    return _stacked(rows)


def _scan(body: Body, carried: Sequence[Any], scanned: Sequence[Any], additional: Sequence[Any] = ()) -> Any:
    state, rows = tuple(carried), []
    for row in zip(*(one.unbind(0) for one in scanned), strict=True):
        made = body(*state, *row, *additional)
        state = tuple(made[: len(state)])
        rows.append(made[len(state) :])
    return (*state, *_stacked(rows))


def _associative_scan(body: Body, scanned: Sequence[Any], additional: Sequence[Any] = ()) -> Any:
    """The order in which torch joins elements decides the last bits, so it is torch's own."""
    from torch._higher_order_ops.associative_scan import generic_associative_scan

    return tuple(generic_associative_scan(body, list(scanned), additional_inputs=tuple(additional)))


def _without_writing(name: str, operation: str, target: str, **arguments: Any) -> Any:
    """An operator that writes to its arguments, on copies of them, which are returned behind its results."""
    import torch

    return getattr(torch.ops.higher_order, operation)(operators.find(name, target), **arguments)


def _stacked(rows: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    import torch

    return tuple(None if column[0] is None else torch.stack(column) for column in zip(*rows, strict=True))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "associative_scan": _associative_scan,
    "cond": _cond,
    "while_loop": _while_loop,
    "map_impl": _map,
    "map": _map,
    "scan": _scan,
}
