"""A pickle followed without anything being built: what its machine would have on the stack, as far as it matters.

What matters are names, numbers, texts, and what holds them. Everything else is nothing here, and so is what a damaged
pickle takes from an empty stack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

TEXTS = frozenset(
    {"STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"}
)
INTEGERS = frozenset({"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"})
UNKNOWN = ("?", "?")
_MARK = object()
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_STORES, _FETCHES = frozenset({"PUT", "BINPUT", "LONG_BINPUT"}), frozenset({"GET", "BINGET", "LONG_BINGET"})
_NOTHING = frozenset({"PROTO", "FRAME", "STOP", "READONLY_BUFFER"})


class Name(NamedTuple):
    """A name that is looked up."""

    module: str
    name: str


@dataclass(eq=False)
class Made:
    """What a call gives.

    Attributes:
        callee: what is called.
        given: its arguments.
        put: what is put into it later.
    """

    callee: Any
    given: Any
    put: list[Any] = field(default_factory=list)


class Kept(NamedTuple):
    """What stands outside the pickle, by what the pickle says of it: the memory of a tensor."""

    said: Any


class Stack:
    """The machine's stack and memo.

    Args:
        look_up: told of each name.
        call: told of each call, with what is called and what it is given.
        keep: told of what stands outside.
    """

    def __init__(
        self, look_up: Callable[[Name], None], call: Callable[[Made], None], keep: Callable[[Kept], None]
    ) -> None:
        self._look_up, self._call, self._keep = look_up, call, keep
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def step(self, opcode: str, argument: Any) -> None:
        """One operation of the pickle, by the name that pickletools gives it."""
        stack = self._stack
        if opcode in TEXTS or opcode in INTEGERS:
            stack.append(argument)
        elif opcode in _STORES:
            self._memo[int(argument)] = stack[-1] if stack else None
        elif opcode in _FETCHES:
            stack.append(self._memo.get(int(argument)))
        elif opcode == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1] if stack else None
        elif opcode == "MARK":
            stack.append(_MARK)
        elif opcode in _TUPLES:
            stack.append(tuple(self._pop() for _ in range(_TUPLES[opcode]))[::-1])
        elif opcode in ("EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET"):
            stack.append([])
        elif opcode in ("TUPLE", "LIST", "DICT", "FROZENSET"):
            items = self._to_mark()
            stack.append(tuple(items) if opcode == "TUPLE" else items)
        elif opcode in ("APPENDS", "SETITEMS", "ADDITEMS"):
            self._put_in(self._to_mark())
        elif opcode in ("APPEND", "SETITEM"):
            self._put_in([self._pop() for _ in range(1 if opcode == "APPEND" else 2)][::-1])
        elif opcode not in _NOTHING:
            self._others(opcode, argument)

    def _others(self, opcode: str, argument: Any) -> None:
        """What looks up, calls, or moves."""
        stack = self._stack
        if opcode == "GLOBAL":
            self._named(*str(argument).split(" ", 1))
        elif opcode == "STACK_GLOBAL":
            name, module = self._pop(), self._pop()
            self._named(*((module, name) if isinstance(module, str) and isinstance(name, str) else UNKNOWN))
        elif opcode in ("EXT1", "EXT2", "EXT4"):
            self._named(*UNKNOWN)
        elif opcode == "INST":
            items = self._to_mark()
            self._named(*str(argument).split(" ", 1))
            self._made(self._pop(), tuple(items))
        elif opcode == "OBJ":
            items = self._to_mark()
            self._made(items[0] if items else None, tuple(items[1:]))
        elif opcode in ("REDUCE", "NEWOBJ"):
            given = self._pop()
            self._made(self._pop(), given)
        elif opcode == "NEWOBJ_EX":
            by_name, given = self._pop(), self._pop()
            self._made(self._pop(), (given, by_name))
        elif opcode == "BUILD":
            state = self._pop()
            if stack and isinstance(stack[-1], Made):
                stack[-1].put.append(state)
                self._call(Made(stack[-1].callee, state))
        elif opcode in ("PERSID", "BINPERSID"):
            kept = Kept(argument if opcode == "PERSID" else self._pop())
            self._keep(kept)
            stack.append(kept)
        elif opcode == "POP":
            self._pop()
        elif opcode == "POP_MARK":
            self._to_mark()
        elif opcode == "DUP":
            stack.append(stack[-1] if stack else None)
        else:  # None, True, a float, bytes
            stack.append(None)

    def _pop(self) -> Any:
        return self._stack.pop() if self._stack else None

    def _to_mark(self) -> list[Any]:
        items: list[Any] = []
        while self._stack:
            item = self._stack.pop()
            if item is _MARK:
                break
            items.append(item)
        return items[::-1]

    def _put_in(self, items: list[Any]) -> None:
        holder = self._stack[-1] if self._stack else None
        if isinstance(holder, Made):
            holder.put.extend(items)
        elif isinstance(holder, list):
            holder.extend(items)

    def _named(self, module: str, name: str = "") -> None:
        found = Name(module, name)
        self._look_up(found)
        self._stack.append(found)

    def _made(self, callee: Any, given: Any) -> None:
        found = Made(callee, given)
        self._stack.append(found)
        self._call(found)


def inside(value: Any, take: Callable[[], None]) -> Iterator[Any]:
    """A value and everything in it, each once.

    Args:
        value: to look through.
        take: called for each, to count them.
    """
    waiting, seen = [value], set()
    while waiting:
        one = waiting.pop()
        take()
        if isinstance(one, (tuple, list, Made)):
            if id(one) in seen:
                continue
            seen.add(id(one))
            waiting.extend((one.callee, one.given, one.put) if isinstance(one, Made) else one)
        yield one
