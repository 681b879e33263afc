"""What of Python an exported program may name: torch's own loader looks it up, or runs it. Closed by default."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from typing import Any

from kmr_cli.formats.common import nesting
from kmr_cli.formats.common.words import words

FUNCTIONS: Mapping[str, tuple[frozenset[str], str]] = {
    "_operator": (
        words("""add sub mul floordiv truediv mod pow neg pos abs eq ne lt le gt ge and_ or_ not_ xor getitem lshift
              rshift index is_ is_not"""),
        "arithmetic on sizes, and an element of a tuple",
    ),
    "math": (
        words("""ceil floor sqrt trunc pow fabs exp log log2 log10 sin cos tan asin acos atan atan2 sinh cosh tanh isnan
              isinf isfinite copysign inf pi"""),
        "arithmetic on numbers",
    ),
    "torch": (
        words("""sym_float sym_int sym_max sym_min sym_not sym_ite sym_sum sym_sqrt sym_fresh_size _sym_acos _sym_asin
              _sym_atan _sym_cos _sym_cosh _sym_log2 _sym_sin _sym_sinh _sym_sqrt _sym_tan _sym_tanh"""),
        "arithmetic on sizes",
    ),
}  # fmt: skip
"""Modules -> what of them operators may be, and what that does."""
HIGHER_ORDER: Mapping[str, frozenset[str]] = {
    "runs graphs of the file": words("""
        cond while_loop while_loop_stack_output map map_impl scan associative_scan wrap wrap_with_set_grad_enabled
        wrap_with_autocast wrap_activation_checkpoint tag_activation_checkpoint invoke_subgraph hints_wrapper
        strict_mode run_const_graph flex_attention flex_attention_backward foreach_map local_map_hop
        checkpoint control_deps
    """),
    "runs an operator of the file, which is looked at where it stands": words("""
        auto_functionalized auto_functionalized_v2 out_dtype with_effects run_and_save_rng_state run_with_rng_state
    """),
}
"""What a group of operators of ``torch.ops.higher_order`` does -> its names."""
SIZES: Mapping[str, frozenset[str]] = {
    "of sympy: numbers, symbols, arithmetic and comparisons": words("""
        Integer Rational Float Symbol Dummy Add Mul Pow Mod Max Min Abs floor ceiling sqrt log exp sin cos tan asin acos
        atan sinh cosh tanh Eq Ne Lt Le Gt Ge Equality Unequality StrictLessThan LessThan StrictGreaterThan GreaterThan
        And Or Not Xor ITE Piecewise ExprCondPair sign
    """),
    "of torch: the same on whole numbers, as Python rounds them": words("""
        FloorDiv ModularIndexing Where PythonMod CleanDiv CeilToInt FloorToInt CeilDiv LShift RShift PowByNatural
        FloatPow FloatTrueDiv IntTrueDiv TrueDiv IsNonOverlappingAndDenseIndicator TruncToFloat TruncToInt RoundToInt
        RoundDecimal ToFloat Identity BitwiseFn_bitwise_and BitwiseFn_bitwise_or BitwiseFn_bitwise_xor
        OpaqueUnaryFn_sqrt
        OpaqueUnaryFn_cos OpaqueUnaryFn_cosh OpaqueUnaryFn_sin OpaqueUnaryFn_sinh OpaqueUnaryFn_tan OpaqueUnaryFn_tanh
        OpaqueUnaryFn_asin OpaqueUnaryFn_acos OpaqueUnaryFn_atan OpaqueUnaryFn_exp OpaqueUnaryFn_log OpaqueUnaryFn_log2
    """),
}
"""What a group of functions in sizes is -> their names."""
_OF_SIZES = frozenset().union(*SIZES.values())
_OF_GRAPHS = frozenset().union(*HIGHER_ORDER.values())
_PLAIN = words("max min abs round int float bool IsNonOverlappingAndDenseIndicator cast_symbool_to_symint_guardless")
_QUESTIONS = words("size stride storage_offset dim numel item")
"""What the conditions of a program ask its inputs, ``L['x'].size()[0] >= 2``."""
_FACTORIES = words("list dict set tuple int float str bool bytes frozenset")
_ARITHMETIC = (
    ast.Expression, ast.Load, ast.Name, ast.Constant, ast.UnaryOp, ast.unaryop, ast.BinOp, ast.operator,
)  # fmt: skip
_CONDITIONS = (
    ast.Expression, ast.Compare, ast.cmpop, ast.BoolOp, ast.boolop, ast.UnaryOp, ast.unaryop, ast.BinOp, ast.operator,
    ast.Load, ast.Subscript, ast.IfExp,
)  # fmt: skip
_LONGEST = 10_000


def is_function(target: str) -> bool:
    """Whether an operator is arithmetic of Python, ``_operator.add``."""
    module, _, name = target.partition(".")
    return module in FUNCTIONS and name in FUNCTIONS[module][0]


def runs_graphs(name: str) -> bool:
    """Whether an operator of ``torch.ops.higher_order`` does no more than to run what stands in the file."""
    return name in _OF_GRAPHS


def is_size(text: str) -> bool:
    """Whether a size is arithmetic in all its parts: sympy looks functions up, in Python's own too, and runs them."""
    tree = _parsed(text)
    return tree is not None and all(_computes(node) for node in ast.walk(tree))


def _computes(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in _OF_SIZES
    if isinstance(node, ast.keyword):  # Symbol('s0', integer=True)
        return isinstance(node.value, ast.Constant)
    return isinstance(node, _ARITHMETIC)


def _parsed(text: str) -> ast.Expression | None:
    if len(text) > _LONGEST or nesting.is_deep(text):
        return None
    try:
        return ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def is_condition(text: str) -> bool:
    """Whether a condition on inputs, which torch makes Python code of, asks no more than their sizes."""
    tree = _parsed(text)
    if tree is None:
        return False
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return all(_asks(node, is_called=id(node) in called) for node in ast.walk(tree))


def _asks(node: ast.AST, *, is_called: bool) -> bool:
    """Whether one part of a condition is harmless, those inside it aside."""
    if isinstance(node, ast.Constant):  # of texts, torch makes texts in its code, with the quotes that are in them
        return not isinstance(node.value, str) or not set(node.value) & set("\"'\\\n\r{}")
    if isinstance(node, ast.Name):
        return node.id in (_PLAIN if is_called else ("L", *FUNCTIONS))
    if isinstance(node, ast.Attribute):
        if isinstance(node.value, ast.Name) and node.value.id in FUNCTIONS:
            return node.attr in FUNCTIONS[node.value.id][0]
        return node.attr in _QUESTIONS if is_called else not node.attr.startswith("_")
    if isinstance(node, ast.Call):
        return not node.keywords and isinstance(node.func, (ast.Name, ast.Attribute))
    return isinstance(node, _CONDITIONS)


def named_in_structure(text: str) -> Iterator[str]:
    """What the text that tells how arguments nest has torch import, if that isn't torch's own or a plain container.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        waiting = [json.loads(text)]
    except RecursionError as exc:
        raise ValueError(str(exc)) from exc
    while waiting:
        value = waiting.pop()
        if isinstance(value, str) and value[:1] in ("{", "["):  # a context is text of its own
            try:
                waiting.append(json.loads(value))
            except (ValueError, RecursionError):
                continue
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            yield from _imported(value)
            waiting.extend(value.values())


def _imported(entry: Mapping[str, Any]) -> Iterator[str]:
    if "__enum__" in entry:
        module, _, name = str(entry.get("fqn")).partition(":")
        if module.partition(".")[0] != "torch":
            yield f"{module}.{name}"
    if "default_factory_module" in entry or "default_factory_name" in entry:
        module, name = str(entry.get("default_factory_module")), str(entry.get("default_factory_name"))
        if not (module == "builtins" and name in _FACTORIES):
            yield f"{module}.{name}"
