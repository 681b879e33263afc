"""Hand-made ONNX models, for what no exporter writes on its own. Built with the ``onnx`` package, in no time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnx import save as _save

EXPORTED = Path(__file__).resolve().parent / "onnx"
"""The committed files that exporters wrote; see :mod:`zoo.onnx_exports`."""
IR, OPSET = 10, 21
FLOAT = TensorProto.FLOAT


def weights(name: str, *shape: int, seed: int = 0) -> Any:
    """An initializer with normal values."""
    values = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return numpy_helper.from_array(values, name)


def constant(name: str, values: Any, dtype: Any = np.int64) -> Any:
    """An initializer with these values."""
    return numpy_helper.from_array(np.asarray(values, dtype), name)


def tensor(name: str, shape: Sequence[int | str | None] | None, dtype: int = FLOAT) -> Any:
    """The declaration of an input or output."""
    return helper.make_tensor_value_info(name, dtype, shape)


def model(
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    initializers: Sequence[Any] = (),
    *,
    imports: Sequence[tuple[str, int]] = (("", OPSET),),
    functions: Sequence[Any] = (),
    ir: int = IR,
    values: Sequence[Any] = (),
) -> Any:
    """A ModelProto."""
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), list(initializers), value_info=values)
    opsets = [helper.make_opsetid(domain, version) for domain, version in imports]
    return helper.make_model(
        graph, opset_imports=opsets, functions=list(functions), producer_name="by hand", ir_version=ir
    )


def save(made: Any, path: Path, **options: Any) -> Path:
    """Write it."""
    _save(made, str(path), **options)
    return path


def plain(ir: int = IR) -> Any:
    """(B, 4) -> (B, 2), nodes without names. Before version 4 of the format weights are inputs as well."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "v"], ["c"]),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    inputs = [tensor("x", ["batch", 4])]
    if ir < 4:
        inputs += [tensor("w", [4, 3]), tensor("v", [3, 2])]
    opset = 8 if ir < 4 else OPSET
    made = [weights("w", 4, 3), weights("v", 3, 2)]
    return model(nodes, inputs, [tensor("y", ["batch", 2])], made, ir=ir, imports=[("", opset)])


def ancient() -> Any:
    """Written before weights ceased to be inputs."""
    return plain(3)


def dtypes() -> Any:
    """bfloat16, float8, int4, float16, int8 and booleans on the way, each of which leaves the model."""
    nodes = [
        helper.make_node("Cast", ["x"], ["brain"], name="to_bfloat16", to=TensorProto.BFLOAT16),
        helper.make_node("Cast", ["x"], ["eight"], name="to_float8", to=TensorProto.FLOAT8E4M3FN),
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["four"], name="to_int4"),
        helper.make_node("Cast", ["x"], ["half"], name="to_float16", to=TensorProto.FLOAT16),
        helper.make_node("Cast", ["brain"], ["back"], name="from_bfloat16", to=FLOAT),
        helper.make_node("Greater", ["back", "x"], ["larger"], name="compare"),
    ]
    zero = helper.make_tensor("zero", TensorProto.INT4, [], [0])
    kinds = {
        "brain": TensorProto.BFLOAT16, "eight": TensorProto.FLOAT8E4M3FN, "four": TensorProto.INT4,
        "half": TensorProto.FLOAT16, "larger": TensorProto.BOOL,
    }  # fmt: skip
    outputs = [tensor(name, ["batch", 3], kind) for name, kind in kinds.items()]
    return model(nodes, [tensor("x", ["batch", 3])], outputs, [constant("scale", 0.5, np.float32), zero])


def brain_input() -> Any:
    """bfloat16 comes in, and goes out twice as large."""
    nodes = [
        helper.make_node("Cast", ["x"], ["wide"], name="widen", to=FLOAT),
        helper.make_node("Add", ["wide", "wide"], ["double"], name="double"),
        helper.make_node("Cast", ["double"], ["y"], name="narrow", to=TensorProto.BFLOAT16),
    ]
    kind = TensorProto.BFLOAT16
    return model(nodes, [tensor("x", ["batch", 3], kind)], [tensor("y", ["batch", 3], kind)])


def sequences() -> Any:
    """A tensor is split into a sequence, of which one member is taken; the sequence leaves as well."""
    nodes = [
        helper.make_node("SplitToSequence", ["x", "two"], ["parts"], name="split", axis=1),
        helper.make_node("SequenceAt", ["parts", "one"], ["second"], name="at"),
        helper.make_node("Relu", ["second"], ["y"], name="relu"),
    ]
    parts = helper.make_tensor_sequence_value_info("parts", FLOAT, None)
    outputs = [tensor("y", ["batch", 2]), parts]
    return model(nodes, [tensor("x", ["batch", 4])], outputs, [constant("two", 2), constant("one", 1)])


def text() -> Any:
    """Words come in; whether they are "spam", and the words themselves, go out."""
    nodes = [
        helper.make_node("StringNormalizer", ["flat"], ["lower"], name="lower", case_change_action="LOWER", locale="C"),
        helper.make_node("LabelEncoder", ["lower"], ["number"], name="encode", domain="ai.onnx.ml",
                         keys_strings=["spam", "eggs"], values_int64s=[1, 2], default_int64=0),
        helper.make_node("Identity", ["words"], ["flat"], name="same"),
    ]  # fmt: skip
    nodes = [nodes[2], *nodes[:2]]
    outputs = [tensor("number", ["batch"], TensorProto.INT64), tensor("lower", ["batch"], TensorProto.STRING)]
    inputs = [tensor("words", ["batch"], TensorProto.STRING)]
    return model(nodes, inputs, outputs, imports=[("", 18), ("ai.onnx.ml", 3)])


def _body(name: str, nodes: Sequence[Any], outputs: Sequence[str], inputs: Sequence[Any] = ()) -> Any:
    return helper.make_graph(list(nodes), name, list(inputs), [tensor(one, None) for one in outputs])


def branch() -> Any:
    """Positive sums are doubled, others negated, by a branch that captures what it works on. It mixes samples."""
    then = _body("then", [helper.make_node("Mul", ["hidden", "two"], ["doubled"], name="double")], ["doubled"])
    other = _body("else", [helper.make_node("Neg", ["hidden"], ["negated"], name="negate")], ["negated"])
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["hidden"], name="matmul"),
        helper.make_node("ReduceSum", ["hidden"], ["sum"], name="sum", keepdims=0),
        helper.make_node("Greater", ["sum", "zero"], ["positive"], name="compare"),
        helper.make_node("If", ["positive"], ["chosen"], name="choose", then_branch=then, else_branch=other),
        helper.make_node("Relu", ["chosen"], ["y"], name="relu"),
    ]
    made = [weights("w", 4, 3), constant("two", 2, np.float32), constant("zero", 0, np.float32)]
    return model(nodes, [tensor("x", ["batch", 4])], [tensor("y", ["batch", 3])], made)


def loop() -> Any:
    """Three rounds of a product with captured weights."""
    inside = [
        helper.make_node("MatMul", ["state", "w"], ["moved"], name="step"),
        helper.make_node("Tanh", ["moved"], ["next"], name="squash"),
        helper.make_node("Identity", ["going"], ["on"], name="on"),
    ]
    bool_ = TensorProto.BOOL
    inputs = [tensor("round", [], TensorProto.INT64), tensor("going", [], bool_), tensor("state", None)]
    body = helper.make_graph(inside, "body", inputs, [tensor("on", [], bool_), tensor("next", None)])
    nodes = [
        helper.make_node("Relu", ["x"], ["start"], name="relu"),
        helper.make_node("Loop", ["three", "yes", "start"], ["last"], name="rounds", body=body),
        helper.make_node("Neg", ["last"], ["y"], name="neg"),
    ]
    made = [weights("w", 4, 4), constant("three", 3), constant("yes", True, bool)]
    return model(nodes, [tensor("x", ["batch", 4])], [tensor("y", ["batch", 4])], made)


def scan() -> Any:
    """A running sum over the steps of (B, T, 2)."""
    inside = [
        helper.make_node("Add", ["before", "step"], ["after"], name="add"),
        helper.make_node("Identity", ["after"], ["seen"], name="see"),
    ]
    body = helper.make_graph(
        inside, "body", [tensor("before", None), tensor("step", None)], [tensor("after", None), tensor("seen", None)]
    )
    nodes = [
        helper.make_node("ReduceSum", ["x", "one"], ["zeros"], name="sum", keepdims=0),
        helper.make_node("Scan", ["zeros", "x"], ["last", "all"], name="scan", body=body, num_scan_inputs=1,
                         scan_input_axes=[1], scan_output_axes=[1]),
        helper.make_node("Relu", ["all"], ["y"], name="relu"),
    ]  # fmt: skip
    return model(nodes, [tensor("x", ["batch", 5, 2])], [tensor("y", ["batch", 5, 2])], [constant("one", [1])])


def nested(dtype: int = FLOAT) -> Any:
    """Four rounds; every other one runs a loop of two, and the others sum up the steps: (B, 3, 2) -> (B, 3, 2).

    The branches, the loops and the scan use the same names for what is theirs.
    """
    bool_, whole = TensorProto.BOOL, TensorProto.INT64
    twice = helper.make_graph(
        [
            helper.make_node("Tanh", ["inner"], ["a"], name="squash"),
            helper.make_node("Add", ["a", "w"], ["b"], name="shift"),
            helper.make_node("Identity", ["on"], ["still"], name="on"),
        ],
        "twice",
        [tensor("n", [], whole), tensor("on", [], bool_), tensor("inner", None, dtype)],
        [tensor("still", [], bool_), tensor("b", None, dtype)],
    )
    sums = helper.make_graph(
        [
            helper.make_node("Add", ["before", "step"], ["a"], name="add"),
            helper.make_node("Mul", ["a", "half"], ["b"], name="halve"),
        ],
        "sums",
        [tensor("before", None, dtype), tensor("step", None, dtype)],
        [tensor("a", ["batch", 2], dtype), tensor("b", ["batch", 2], dtype)],
    )
    then = helper.make_graph(
        [helper.make_node("Loop", ["two", "yes", "state"], ["result"], name="again", body=twice)],
        "then", [], [tensor("result", None, dtype)],
    )  # fmt: skip
    other = helper.make_graph(
        [
            helper.make_node("Abs", ["state"], ["turned"], name="turn"),
            helper.make_node("Scan", ["zeros", "turned"], ["rest", "result"], name="sums", body=sums, num_scan_inputs=1,
                             scan_input_axes=[1], scan_output_axes=[1]),
        ],
        "else", [], [tensor("result", None, dtype)],
    )  # fmt: skip
    body = helper.make_graph(
        [
            helper.make_node("Mod", ["round", "two"], ["odd"], name="odd"),
            helper.make_node("Cast", ["odd"], ["is_odd"], name="is_odd", to=bool_),
            helper.make_node("If", ["is_odd"], ["chosen"], name="choose", then_branch=then, else_branch=other),
            helper.make_node("Identity", ["going"], ["on"], name="on"),
        ],
        "body",
        [tensor("round", [], whole), tensor("going", [], bool_), tensor("state", None, dtype)],
        [tensor("on", [], bool_), tensor("chosen", None, dtype)],
    )
    nodes = [
        helper.make_node("ReduceSum", ["x", "one"], ["zeros"], name="sum", keepdims=0),
        helper.make_node("Loop", ["four", "yes", "x"], ["last"], name="rounds", body=body),
        helper.make_node("Neg", ["last"], ["y"], name="neg"),
    ]
    kind = helper.tensor_dtype_to_np_dtype(dtype)
    made = [constant("one", [1]), constant("two", 2), constant("four", 4), constant("yes", True, bool)]
    made += [constant("w", 0.3, kind), constant("half", 0.5, kind)]
    return model(nodes, [tensor("x", ["batch", 3, 2], dtype)], [tensor("y", ["batch", 3, 2], dtype)], made)


def nested_half() -> Any:
    """:func:`nested` in half precision, for which the CPU has no operators."""
    return nested(TensorProto.FLOAT16)


def _rolled(value: str, name: str) -> list[Any]:
    """Nodes that make ``name`` of a value: its rows, one place on."""
    return [
        helper.make_node("Slice", [value, "minus_one", "end", "first"], ["tail"], name="tail"),
        helper.make_node("Slice", [value, "first", "minus_one", "first"], ["front"], name="front"),
        helper.make_node("Concat", ["tail", "front"], [name], name="rolled", axis=0),
    ]


_PLACES = (constant("minus_one", [-1]), constant("first", [0]), constant("end", [2**62]))


def mean_in_a_branch(axis: int = 0) -> Any:
    """The branch that is always taken removes the mean of the batch, or with ``axis=1`` that of every sample."""
    centre = [
        helper.make_node("ReduceMean", ["hidden", "axes"], ["mean"], name="mean"),
        helper.make_node("Sub", ["hidden", "mean"], ["centred"], name="centre"),
    ]
    then = _body("then", centre, ["centred"])
    other = _body("else", [helper.make_node("Neg", ["hidden"], ["negated"], name="negate")], ["negated"])
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["hidden"], name="matmul"),
        helper.make_node("If", ["yes"], ["chosen"], name="choose", then_branch=then, else_branch=other),
        helper.make_node("Tanh", ["chosen"], ["y"], name="tanh"),
    ]
    made = [weights("w", 4, 3), constant("yes", True, bool), constant("axes", [axis])]
    return model(nodes, [tensor("x", ["batch", 4])], [tensor("y", ["batch", 3])], made)


def rounds(inside: Sequence[Any], initializers: Sequence[Any], count: str, going: str) -> Any:
    """(B, 4) -> (B, 4): a Loop whose body makes ``next`` of ``state``, and ``on`` of ``going``."""
    bool_ = TensorProto.BOOL
    inputs = [tensor("round", [], TensorProto.INT64), tensor("going", [], bool_), tensor("state", None)]
    body = helper.make_graph(list(inside), "body", inputs, [tensor("on", [], bool_), tensor("next", None)])
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["start"], name="matmul"),
        helper.make_node("Loop", [count, going, "start"], ["last"], name="rounds", body=body),
        helper.make_node("Tanh", ["last"], ["y"], name="tanh"),
    ]
    made = [weights("w", 4, 4), *initializers]
    return model(nodes, [tensor("x", ["batch", 4])], [tensor("y", ["batch", 4])], made)


def roll_in_a_loop() -> Any:
    """Three rounds, each of which adds the next sample's values."""
    inside = [
        *_rolled("state", "moved"),
        helper.make_node("Add", ["state", "moved"], ["next"], name="add"),
        helper.make_node("Identity", ["going"], ["on"], name="on"),
    ]
    return rounds(inside, [*_PLACES, constant("three", 3), constant("yes", True, bool)], "three", "yes")


def until_all_are_small() -> Any:
    """All are halved until the largest of the batch is at most 1."""
    inside = [
        helper.make_node("Mul", ["state", "half"], ["next"], name="halve"),
        helper.make_node("Abs", ["next"], ["size"], name="size"),
        helper.make_node("ReduceMax", ["size"], ["largest"], name="largest", keepdims=0),
        helper.make_node("Greater", ["largest", "one"], ["on"], name="compare"),
    ]
    made = [constant("half", 0.5, np.float32), constant("one", 1, np.float32), constant("yes", True, bool)]
    return rounds(inside, made, "", "yes")


def scan_over_samples() -> Any:
    """A running sum over the samples, which was to go over the steps."""
    inside = [
        helper.make_node("Add", ["before", "step"], ["after"], name="add"),
        helper.make_node("Identity", ["after"], ["seen"], name="see"),
    ]
    body = helper.make_graph(
        inside, "body", [tensor("before", None), tensor("step", None)], [tensor("after", None), tensor("seen", None)]
    )
    nodes = [
        helper.make_node("Tanh", ["x"], ["squashed"], name="tanh"),
        helper.make_node("Scan", ["zeros", "squashed"], ["last", "all"], name="scan", body=body, num_scan_inputs=1),
        helper.make_node("Relu", ["all"], ["y"], name="relu"),
    ]
    zeros = constant("zeros", np.zeros(4), np.float32)
    return model(nodes, [tensor("x", ["batch", 4])], [tensor("y", ["batch", 4])], [zeros])


def _reference(name: str, attribute: str) -> Any:
    """An attribute of a node in a function that is one of the function's own."""
    found = helper.make_attribute(name, 0.0)
    found.ClearField("f")
    found.ref_attr_name = attribute
    return found


def functions() -> Any:
    """Two calls of a function, which calls another one; attributes are handed on, one is left at its default."""
    inner = helper.make_function(
        "mine", "Scale", ["a"], ["c"],
        [helper.make_node("Constant", [], ["k"], value_float=2.0), helper.make_node("Mul", ["a", "k"], ["c"])],
        [helper.make_opsetid("", OPSET)],
    )  # fmt: skip
    leak = helper.make_node("LeakyRelu", ["b"], ["c"], name="act")
    leak.attribute.append(_reference("alpha", "slope"))
    outer = helper.make_function(
        "mine", "Block", ["x", "w"], ["y"],
        [helper.make_node("MatMul", ["x", "w"], ["b"], name="product"), leak,
         helper.make_node("Scale", ["c"], ["y"], domain="mine", name="scaled")],
        [helper.make_opsetid("", OPSET), helper.make_opsetid("mine", 1)], attributes=["slope"],
    )  # fmt: skip
    nodes = [
        helper.make_node("Block", ["x", "w"], ["h"], domain="mine", name="first", slope=0.5),
        helper.make_node("Block", ["h", "v"], ["y"], domain="mine", name="second"),
    ]
    made = [weights("w", 4, 4), weights("v", 4, 3)]
    return model(
        nodes, [tensor("x", ["batch", 4])], [tensor("y", ["batch", 3])], made,
        imports=[("", OPSET), ("mine", 1)], functions=[outer, inner],
    )  # fmt: skip


def optional() -> Any:
    """A value is put into an optional and taken out again."""
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="relu"),
        helper.make_node("Optional", ["a"], ["maybe"], name="wrap"),
        helper.make_node("OptionalGetElement", ["maybe"], ["b"], name="unwrap"),
        helper.make_node("Neg", ["b"], ["y"], name="neg"),
    ]
    return model(nodes, [tensor("x", ["batch", 4])], [tensor("y", ["batch", 4])])


def single() -> Any:
    """Takes exactly one sample."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")]
    return model(nodes, [tensor("x", [1, 4])], [tensor("y", [1, 3])], [weights("w", 4, 3)])


def leak() -> Any:
    """The mean over the batch is taken off in between."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], name="encoder/product"),
        helper.make_node("ReduceMean", ["a", "axes"], ["mean"], name="encoder/centre/mean"),
        helper.make_node("Sub", ["a", "mean"], ["b"], name="encoder/centre/sub"),
        helper.make_node("MatMul", ["b", "v"], ["y"], name="head/product"),
    ]
    made = [weights("w", 4, 3), weights("v", 3, 2), constant("axes", [0])]
    return model(nodes, [tensor("x", ["batch", 4])], [tensor("y", ["batch", 2])], made)


def normalized() -> Any:
    """Convolution and batch normalization, not fused: (batch, 2, 5, 5) -> (batch, 3)."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="stem/conv"),
        helper.make_node("BatchNormalization", ["a", "scale", "shift", "mean", "var"], ["b"], name="stem/norm"),
        helper.make_node("Relu", ["b"], ["c"], name="stem/relu"),
        helper.make_node("GlobalAveragePool", ["c"], ["d"], name="pool"),
        helper.make_node("Flatten", ["d"], ["e"], name="flatten"),
        helper.make_node("MatMul", ["e", "v"], ["y"], name="head"),
    ]
    made = [weights("w", 4, 2, 3, 3), weights("v", 4, 3)]
    made += [weights(name, 4, seed=number) for number, name in enumerate(("scale", "shift", "mean"))]
    made.append(constant("var", [0.5, 1, 1.5, 2], np.float32))
    return model(nodes, [tensor("x", ["batch", 2, 5, 5])], [tensor("y", ["batch", 3])], made)


def large(path: Path, width: int = 64) -> Path:
    """Weights of three products in a file beside the model."""
    nodes = [helper.make_node("MatMul", [f"v{n}", f"w{n}"], [f"v{n + 1}"], name=f"product{n}") for n in range(3)]
    made = [weights(f"w{n}", width, width, seed=n) for n in range(3)]
    whole = model(nodes, [tensor("v0", ["batch", width])], [tensor("v3", ["batch", width])], made)
    options = {"save_as_external_data": True, "location": path.stem + ".data", "size_threshold": 0}
    return save(whole, path, **options)


BY_HAND: dict[str, Callable[[], Any]] = {
    one.__name__: one
    for one in (
        plain,
        ancient,
        dtypes,
        brain_input,
        sequences,
        text,
        branch,
        loop,
        scan,
        nested,
        nested_half,
        functions,
        optional,
        single,
        leak,
        normalized,
    )
}
