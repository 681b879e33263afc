"""Follows the code of a TorchScript file without running it: which submodule is called, how often, with what.

Every call of a submodule is followed into that instance's own method, so that the count is per path. Both branches
of a condition are followed, and a loop's body once: what is called there has a count that only a run can tell.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from kmr_cli.formats.torchscript.describe.archive import Archive, Shell
from kmr_cli.formats.torchscript.describe.code import Code, dotted, type_name
from kmr_cli.formats.torchscript.describe.facts import learn_from_module
from kmr_cli.formats.torchscript.describe.frame import Frame
from kmr_cli.formats.torchscript.describe.operators import OperatorNames
from kmr_cli.formats.torchscript.describe.values import VAGUE, VAGUE_TENSOR, ModuleAt, Value, literal, stored, stubs

_BUDGET = 1_000_000
_FEW, _A_BYTE = 100_000, 4
"""Expressions to look at before giving up, at most, and in a file with little code: calls can be nested so that their
number doubles at every level. Real models take a small part of one for each byte of their code."""
_MAX_DEPTH = 150


class TooMuch(Exception):  # noqa: N818  (handled here, never shown)
    """The code is too large or too deep to follow."""


@dataclass
class OperatorCall:
    """One operator in ``forward`` of a model without submodules."""

    path: str
    operator: str
    parameters: int
    certain: bool
    dtype: str | None


@dataclass
class Flow:
    """What following ``forward`` has found.

    Attributes:
        methods: by path, how often each method of a submodule is called; None where only a run can tell.
        operators: in order, if asked for.
        result: what ``forward`` returns.
        complete: the code was followed to its end.
        devices: device names that the code demands.
    """

    methods: dict[str, dict[str, int | None]] = field(default_factory=dict)
    operators: list[OperatorCall] = field(default_factory=list)
    result: Value = field(default_factory=Value)
    complete: bool = True
    devices: set[str] = field(default_factory=set)

    def calls(self, path: str) -> int | None:
        """How often a layer runs: the calls of ``forward``, or of whatever is called where ``forward`` never is."""
        total = 0
        for method, count in self.methods.get(path, {}).items():
            if (path, method) not in self.helpers():
                if count is None:
                    return None
                total += count
        return total

    def helpers(self) -> frozenset[tuple[str, str]]:
        """Methods whose calls aren't calls of the layer, as (path, method): it is called by ``forward`` elsewhere.

        Recurrent layers and traced modules have several forms of it: ``forward__0``, ``forward1``.
        """
        return frozenset(
            (path, method)
            for path, methods in self.methods.items()
            if any(name.startswith("forward") for name in methods)
            for method in methods
            if not method.startswith("forward")
        )


class Follower:
    """Follows methods.

    Args:
        archive: the file.
        code: its parsed code.
        name_operators: list the operators of ``forward`` itself under these names.
    """

    def __init__(self, archive: Archive, code: Code, name_operators: OperatorNames | None = None) -> None:
        self.archive = archive
        self.code = code
        self.flow = Flow()
        self._names = name_operators
        self._budget = min(_BUDGET, _FEW + _A_BYTE * sum(map(len, archive.code.values())))
        self._depth = 0

    def follow(self, method: ast.FunctionDef, arguments: Sequence[Value]) -> Flow:
        """Follow ``forward`` of the root with the values given for its arguments (without ``self``)."""
        module = ModuleAt("", self.archive.root, self.archive.root.kind)
        root = Value(modules=(module,))
        self._learn(module, method, arguments, certain=True)
        try:
            self.flow.result = self.run_method(method, [root, *arguments], {}, certain=True, own="")
        except (TooMuch, RecursionError):
            self.flow.complete = False
        return self.flow

    def run_method(
        self,
        method: ast.FunctionDef,
        arguments: Sequence[Value],
        keywords: dict[str, Value],
        *,
        certain: bool,
        own: str | None,
        outer: dict[str, Value] | None = None,
        nested: bool = True,
    ) -> Value:
        """Follow a method or function.

        Args:
            method: its definition.
            arguments: by position, ``self`` included.
            keywords: by name.
            certain: it runs in every pass.
            own: path of the module whose method it is, None for a function.
            outer: variables that it sees besides its own.
            nested: False for a task that belongs to the method that forks it.

        Raises:
            TooMuch: it is called too deep inside others.
        """
        if self._depth >= _MAX_DEPTH:
            raise TooMuch
        parameters = method.args.args
        scope = dict(outer or {})
        defaults = method.args.defaults
        for place, parameter in enumerate(parameters):
            if place < len(arguments):
                value = arguments[place]
            elif parameter.arg in keywords:
                value = keywords[parameter.arg]
            else:
                index = place - (len(parameters) - len(defaults))
                value = literal(defaults[index]) if 0 <= index < len(defaults) else VAGUE
            scope[parameter.arg] = value
        self._depth += nested
        try:
            frame = Frame(self, scope, certain, own)
            frame.block(method.body)
        finally:
            self._depth -= nested
        result = frame.result
        if result is None or (not result.tensor and not result.modules and result.items is None):
            result = result or VAGUE
            if method.returns is not None and self.code.holds_tensor(method.returns):
                result = replace(result, tensor=True)
        return result

    def spend(self) -> None:
        """Count one expression.

        Raises:
            TooMuch: there were more than any real model has.
        """
        self._budget -= 1
        if self._budget < 0:
            raise TooMuch

    def call_module(
        self, module: ModuleAt, method: str, arguments: list[Value], keywords: dict[str, Value], *, certain: bool
    ) -> Value:
        """Follow a method of a submodule."""
        known = self.code.classes.get(module.kind)
        definition = known.methods.get(method) if known is not None else None
        if definition is None:
            return VAGUE_TENSOR
        self._learn(module, definition, arguments, certain=certain)
        return self.run_method(
            definition, [Value(modules=(module,)), *arguments], keywords, certain=certain, own=module.path
        )

    def _learn(self, module: ModuleAt, method: ast.FunctionDef, arguments: Sequence[Value], *, certain: bool) -> None:
        tracked = arguments[0].tracked if arguments else None
        if tracked is not None and module.shell is not None:
            names = [parameter.arg for parameter in method.args.args[1:]]
            learn_from_module(
                type_name(module.kind), method.name, names, module.shell.attributes, tracked, firm=certain
            )

    def count(self, module: ModuleAt, method: str, *, certain: bool) -> None:
        """Note a call, if tensors go in or come out."""
        known = self.code.classes.get(module.kind)
        definition = known.methods.get(method) if known is not None else None
        if definition is not None:
            kinds = [parameter.annotation for parameter in definition.args.args[1:]]
            if not any(self.code.holds_tensor(kind) for kind in [*kinds, definition.returns]):
                return
        methods = self.flow.methods.setdefault(module.path, {})
        seen = methods.get(method, 0)
        methods[method] = seen + 1 if certain and seen is not None else None

    def function(self, name: str) -> ast.FunctionDef | None:
        """A function at the top level of the code, by its qualified name."""
        return self.code.functions.get(name)

    @property
    def lists_operators(self) -> bool:
        """Whether operators are listed. Then both branches of every condition are followed: both have names."""
        return self._names is not None

    @property
    def at_top(self) -> bool:
        """Whether what is followed now is ``forward`` of the root itself."""
        return self._depth == 1

    def list_operator(self, operator: str, arguments: Sequence[Value], *, certain: bool) -> None:
        """Give an operator of ``forward`` a name, if operators are listed."""
        if self._names is None or not self.at_top:
            return
        floating = [stub for value in arguments for stub in stubs(value) if stub.shape and stub.is_floating]
        self.flow.operators.append(
            OperatorCall(
                self._names.next(operator),
                operator,
                sum(stub.size for stub in floating),
                certain,
                floating[0].dtype if floating else None,
            )
        )

    def note_device(self, device: str) -> None:
        """Note a device that the code demands."""
        self.flow.devices.add(device)

    def child(self, module: ModuleAt, name: str) -> Value | None:
        """A submodule's or the root's attribute."""
        attributes = module.shell.attributes if module.shell is not None else {}
        known = self.code.classes.get(module.kind)
        annotation = known.attributes.get(name) if known is not None else None
        path = f"{module.path}.{name}" if module.path else name
        if name in attributes:
            value = attributes[name]
            if isinstance(value, Shell):
                if self.code.is_module(value.kind) or not self.code.classes.get(value.kind):
                    return Value(modules=(ModuleAt(path, value, value.kind),))
                return replace(VAGUE, annotation=annotation)
            if name == "training":
                return Value(constant=False)  # the model is put into eval mode
            known_value = stored(value)
            steps = type_name(module.kind) == "MultiheadAttention" and name in ("in_proj_weight", "q_proj_weight")
            holds = known_value.tensor or self._declares_tensor(annotation)
            return replace(known_value, tensor=holds, steps=steps)
        if annotation is not None:
            kind = dotted(annotation)
            if kind is not None and self.code.is_module(kind):
                return Value(modules=(ModuleAt(path, None, kind),))
            return Value(tensor=self.code.holds_tensor(annotation), annotation=annotation)
        return None

    def _declares_tensor(self, annotation: ast.expr | None) -> bool:
        return annotation is not None and self.code.holds_tensor(annotation)
