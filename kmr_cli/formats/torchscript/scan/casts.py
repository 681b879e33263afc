"""Values that code takes for another type than they may have: torch believes it, and reads beyond what is there.

Where torch narrows a type, behind a question for it, it writes ``unchecked_cast(type, value)``. Attributes of objects
and elements of tuples are read by their number then, whatever the value is; of other types torch looks at the value.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from kmr_cli.formats.torchscript.describe.code import dotted
from kmr_cli.formats.torchscript.scan.classes import OWN, Types, has_places, parts
from kmr_cli.records import Hazard

_CAST = "unchecked_cast"
_TYPED = frozenset({_CAST, "annotate", "uninitialized"})
_NONE = "NoneType"


class _Fact(NamedTuple):
    """What a condition says of a variable where it is true: it is of a type, or not of it."""

    variable: str
    kind: str
    holds: bool


class _Answer(NamedTuple):
    """What a condition says where it is true, and where it is not."""

    true: frozenset[_Fact] = frozenset()
    false: frozenset[_Fact] = frozenset()


def scan(trees: Mapping[str, ast.Module], types: Types) -> Iterator[Hazard]:
    """The hazards of all functions."""
    for member, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                place = f"{member}: {node.name}"
                try:
                    wrong = list(_Function(node, types).wrong())
                except RecursionError:
                    yield Hazard("code", place, "code that is nested too deeply to be followed")
                    continue
                for kind in wrong:
                    what = f"takes a value for {kind[:200]} without asking what it is: torch reads beyond it"
                    yield Hazard("code", place, what)


class _Function:
    """One function, followed from top to bottom.

    Args:
        node: it.
        types: what the archive declares.
    """

    def __init__(self, node: ast.FunctionDef, types: Types) -> None:
        self._node, self._types = node, types
        arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        self._kinds: dict[str, set[str | None]] = {
            one.arg: {None if one.annotation is None else ast.unparse(one.annotation)} for one in arguments
        }
        self._asked: dict[str, _Answer] = {}
        """Variables that hold the answer to a question."""
        self._wrong: dict[str, None] = {}

    def wrong(self) -> Iterable[str]:
        """The types that values are taken for."""
        if any(isinstance(node, ast.Name) and node.id == _CAST for node in ast.walk(self._node)):
            self._follow(self._node.body, frozenset())
        return self._wrong

    def _follow(self, statements: Iterable[ast.stmt], facts: frozenset[_Fact]) -> None:
        for statement in statements:
            if isinstance(statement, ast.If):
                self._look(statement.test, facts)
                answer = self._answer(statement.test)
                self._follow(statement.body, facts | answer.true)
                inside = dict(self._asked)
                self._follow(statement.orelse, facts | answer.false)
                joined = self._joined_answers(statement, answer, inside)
                facts = self._without(facts, statement)
                self._asked |= joined
            elif isinstance(statement, (ast.For, ast.While)):
                facts = self._without(facts, statement)
                self._look(statement.iter if isinstance(statement, ast.For) else statement.test, facts)
                self._follow([*statement.body, *statement.orelse], facts)
            elif isinstance(statement, (ast.With, ast.Try)):
                facts = self._without(facts, statement)
                self._follow([one for one in ast.iter_child_nodes(statement) if isinstance(one, ast.stmt)], facts)
            else:
                self._look(statement, facts)
                facts = self._without(facts, statement)
                if isinstance(statement, ast.AnnAssign):
                    self._note(statement.target, statement.annotation)
                elif isinstance(statement, ast.Assign):
                    for target in statement.targets:
                        self._assign(target, statement.value)

    def _joined_answers(self, statement: ast.If, answer: _Answer, inside: Mapping[str, _Answer]) -> dict[str, _Answer]:
        """Variables that are ``a and b``, or ``a or b``: one of the branches says False, or True."""
        body, other = (_last_values(branch) for branch in (statement.body, statement.orelse))
        changed = _stored(statement)
        found = {}
        for name in body.keys() | other.keys():
            if _is_constant(body.get(name), expected=True):
                also = self._asked.get(name, _Answer()).false if name not in other else frozenset()
                found[name] = _Answer(false=_about_others(answer.false | also, changed) | self._typed(other))
            elif _is_constant(other.get(name), expected=False):
                also = inside.get(name, _Answer()).true if name not in body else frozenset()
                found[name] = _Answer(true=_about_others(answer.true | also, changed) | self._typed(body))
        return found

    def _typed(self, values: Mapping[str, ast.expr]) -> frozenset[_Fact]:
        """What the variables of a branch are at its end."""
        kinds = ((name, self._type(value)) for name, value in values.items())
        return frozenset(_Fact(name, ast.unparse(kind), holds=True) for name, kind in kinds if kind is not None)

    def _without(self, facts: frozenset[_Fact], statement: ast.stmt) -> frozenset[_Fact]:
        """What still holds behind a statement that gives variables other values."""
        new = _stored(statement)
        for name, answer in list(self._asked.items()):
            if name in new:
                del self._asked[name]
            else:
                self._asked[name] = _Answer(*(_about_others(one, new) for one in answer))
        return _about_others(facts, new)

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple):
            given = value.elts if isinstance(value, ast.Tuple) else parts(self._type(value), "Tuple")
            if given is not None and len(given) == len(target.elts):
                for one, part in zip(target.elts, given, strict=True):
                    if isinstance(value, ast.Tuple):
                        self._assign(one, part)
                    else:
                        self._note(one, part)
            else:
                for one in target.elts:
                    self._note(one, None)
            return
        self._note(target, self._type(value))
        answer = self._answer(value)
        if isinstance(target, ast.Name) and any(answer):
            self._asked[target.id] = answer

    def _note(self, target: ast.expr, kind: ast.expr | None) -> None:
        if isinstance(target, ast.Name):
            self._kinds.setdefault(target.id, set()).add(None if kind is None else ast.unparse(kind))

    def _look(self, node: ast.AST, facts: frozenset[_Fact]) -> None:
        for one in ast.walk(node):
            if not (isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id == _CAST):
                continue
            if len(one.args) != 2:
                self._wrong["what cannot be read"] = None
            elif has_places(one.args[0]) and not self._is_asked(one.args[0], one.args[1], facts):
                self._wrong[ast.unparse(one.args[0])] = None

    def _is_asked(self, kind: ast.expr, value: ast.expr, facts: frozenset[_Fact]) -> bool:
        """Whether a value can only be of this type, by what is declared and what was asked before."""
        wanted = ast.unparse(kind)
        known = self._type(value)
        if known is not None and ast.unparse(known) == wanted:
            return True
        mine = {fact for fact in facts if isinstance(value, ast.Name) and fact.variable == value.id}
        if any(fact.holds and fact.kind == wanted for fact in mine):
            return True
        left = _members(known) - {fact.kind for fact in mine if not fact.holds}
        return left == _members(kind)

    def _answer(self, test: ast.expr) -> _Answer:
        if isinstance(test, ast.Name):
            return self._asked.get(test.id, _Answer())
        if not isinstance(test, ast.Call) or len(test.args) != 2 or not isinstance(test.args[0], ast.Name):
            return _Answer()
        name, variable, other = dotted(test.func), test.args[0].id, test.args[1]
        is_none = isinstance(other, ast.Constant) and other.value is None
        if name == "isinstance":
            kind = ast.unparse(other)
        elif name in ("torch.__is__", "torch.__isnot__") and is_none:
            kind = _NONE
        else:
            return _Answer()
        yes, no = (frozenset({_Fact(variable, kind, holds)}) for holds in (True, False))
        return _Answer(no, yes) if name == "torch.__isnot__" else _Answer(yes, no)

    def _type(self, value: ast.expr) -> ast.expr | None:
        """The declared type of a value; None where nothing tells."""
        if isinstance(value, ast.Constant) and value.value is None:
            return ast.Name(_NONE, ast.Load())
        if isinstance(value, ast.Name):
            return _joined(self._kinds.get(value.id, {None}))
        if isinstance(value, ast.Attribute):
            owner = self._type(value.value)
            return self._types.attribute(dotted(owner) if owner is not None else None, value.attr)
        if isinstance(value, ast.Subscript):
            return self._element(value)
        return self._result(value) if isinstance(value, ast.Call) else None

    def _element(self, value: ast.Subscript) -> ast.expr | None:
        holder = self._type(value.value)
        for container, place in (("List", 0), ("Dict", 1)):
            if found := parts(holder, container):
                return found[place] if len(found) > place else None
        inside = parts(holder, "Tuple")
        number = value.slice.value if isinstance(value.slice, ast.Constant) else None
        return inside[number] if inside and isinstance(number, int) and 0 <= number < len(inside) else None

    def _result(self, call: ast.Call) -> ast.expr | None:
        name = dotted(call.func)
        if name in _TYPED and call.args:
            return call.args[0]
        if name is not None and name.startswith(f"{OWN}."):
            function = self._types.functions.get(name)
            if function is not None:
                return function.returns
            return call.args[0] if name.endswith(".__new__") and call.args else None
        if isinstance(call.func, ast.Attribute):
            kind = self._type(call.func.value)
            return self._types.returned(dotted(kind) if kind is not None else None, call.func.attr)
        return None


def _stored(statement: ast.stmt) -> set[str]:
    """The variables that a statement gives values."""
    nodes = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
    return {node.id for node in nodes if isinstance(node.ctx, ast.Store)}


def _about_others(facts: frozenset[_Fact], variables: set[str]) -> frozenset[_Fact]:
    return frozenset(fact for fact in facts if fact.variable not in variables)


def _last_values(branch: Iterable[ast.stmt]) -> dict[str, ast.expr]:
    """What variables are given in a branch, as far as they are given one value there, for sure."""
    values: dict[str, list[ast.expr | None]] = {}
    for statement in branch:
        pairs: list[tuple[ast.expr, ast.expr]] = []
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            pairs = [(statement.target, statement.value)]
        elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, value = statement.targets[0], statement.value
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
                pairs = list(zip(target.elts, value.elts, strict=True))
            else:
                pairs = [(target, value)]
        told = {id(one) for one, _ in pairs}
        for one, given in pairs:
            if isinstance(one, ast.Name):
                values.setdefault(one.id, []).append(given)
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and id(node) not in told:
                values.setdefault(node.id, []).append(None)
    return {name: one for name, (one, *more) in values.items() if one is not None and not more}


def _is_constant(value: ast.expr | None, *, expected: bool) -> bool:
    return isinstance(value, ast.Constant) and value.value is expected


def _members(kind: ast.expr | None) -> set[str]:
    """What a type may be: of ``Optional[A]`` and ``Union[A, B]`` each, else itself."""
    if kind is None:
        return set()
    for name, more in (("Optional", {_NONE}), ("Union", set())):
        found = parts(kind, name)
        if found is not None:
            return set().union(more, *(_members(one) for one in found))
    return {ast.unparse(kind)}


def _joined(kinds: set[str | None]) -> ast.expr | None:
    """The type of a variable that was given values of these."""
    known = {kind for kind in kinds if kind is not None}
    if len(known) < len(kinds) or not known:
        return None
    try:
        found = [ast.parse(kind, mode="eval").body for kind in sorted(known)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if len(found) == 1:
        return found[0]
    return ast.Subscript(ast.Name("Union", ast.Load()), ast.Tuple(found, ast.Load()), ast.Load())
