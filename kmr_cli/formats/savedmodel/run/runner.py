"""One sub-graph in a session of its own: what a set of taps needs, and nothing else.

The graph is imported into a ``tf.compat.v1.Session``, because only there can any tensor be had without changing what
is computed. Grappler is off: it fuses and rewrites according to what is fetched, so that two runs with different taps
would differ in their last bits.

Values are handed over by ``PyFunc`` nodes (what ``tf.numpy_function`` makes), which are written into the GraphDef
before it is imported, together with control edges: each waits for the one before, and the next operations wait for
it, so that buffers are free to be used again as in a run without taps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from kmr_cli.errors import KmrError, ModelLoadError, ModelRunError
from kmr_cli.formats.common.frameworks import first_line, without_marks
from kmr_cli.formats.common.varint import varint_bytes
from kmr_cli.formats.savedmodel.describe import dtypes
from kmr_cli.formats.savedmodel.describe.analysis import Analysis
from kmr_cli.formats.savedmodel.describe.graph import producer
from kmr_cli.formats.savedmodel.describe.randomness import random_counters
from kmr_cli.formats.savedmodel.describe.stateful import only_to_variables, writes
from kmr_cli.formats.savedmodel.run import restore
from kmr_cli.formats.savedmodel.run.taps import Group

_CONTROL_FLOW = frozenset(
    {"Switch", "RefSwitch", "Merge", "RefMerge", "Enter", "RefEnter", "Exit", "RefExit", "NextIteration"}
)
_REFERENCES = frozenset({"VariableV2", "Variable"})

_HEADINGS = ("Graph execution error", "Detected at node", "Node:", "File ", "Original stack", "[[", "(0)", "(1)")

Deliver = Callable[[int, Sequence[np.ndarray]], None]
"""``deliver(number of the group, its tensors' values)``."""


class Runner:
    """A session for one set of groups and outputs.

    Args:
        tensorflow: the module.
        analysis: of the signature.
        groups: what to hand over.
        outputs: tensors to return at the end.
        deliver: called during :meth:`run`, one call at a time. What it raises ends the run.
        any_size: take inputs of other sizes than those that are declared, as far as the operations do.

    Attributes:
        writes: whether a run may leave something for the next one. Which random numbers come next is no such thing.

    Raises:
        ModelLoadError: TensorFlow does not accept the graph or cannot read the weights.
    """

    def __init__(
        self,
        tensorflow: Any,
        analysis: Analysis,
        groups: Sequence[Group],
        outputs: Sequence[str],
        deliver: Deliver,
        *,
        any_size: bool = False,
    ) -> None:
        self._tf = tensorflow
        self._analysis = analysis
        self._outputs = list(outputs)
        self._deliver = deliver
        self._raised: list[BaseException] = []
        self._where = analysis.source.path.name
        roots = [*outputs, *(tensor for group in groups for tensor in group.tensors)]
        needed = analysis.graph.ancestors(roots)
        self._counters = random_counters(analysis.graph, needed, outputs)
        self.writes = writes(analysis.graph, needed, self._counters)
        self._inputs = [(one.name, one.tensor) for one in analysis.inputs if producer(one.tensor) in needed]
        plan = restore.plan(analysis, needed, tensorflow)
        self._in_place = not plan.run and only_to_variables(analysis.graph, needed)
        nodes = needed | analysis.graph.ancestors([*plan.run, *plan.feed])
        graph_def = analysis.graph.new_graph_def(nodes)
        if any_size:
            _forget_sizes(graph_def, {producer(one.tensor) for one in analysis.inputs})
        self._last = self._add_taps(graph_def, groups)
        self._graph = tensorflow.Graph()
        self._session: Any = None
        self._import(graph_def, plan)

    # -- building -------------------------------------------------------------------------------------------------

    def _add_taps(self, graph_def: Any, groups: Sequence[Group]) -> str | None:
        """Write one PyFunc per group into the graph; the last one's name, to be run."""
        if not groups:
            return None
        # tf.numpy_function registers the Python function under a token, which any PyFunc node may then bear.
        self._scratch = self._tf.Graph()
        with self._scratch.as_default():
            operation = self._tf.numpy_function(self._receive, [self._tf.constant(0)], [])
        operation = getattr(operation, "op", operation)
        token = operation.get_attr("token")
        graph, rank = self._analysis.graph, self._analysis.flow.rank
        by_name = {node.name: node for node in graph_def.node}
        previous = None
        for number, group in enumerate(groups):
            index = graph_def.node.add(name=f"kmr_inspect/group_{number}", op="Const")
            index.attr["dtype"].type = 3
            index.attr["value"].tensor = _int32_tensor(number)
            tap = graph_def.node.add(name=f"kmr_inspect/tap_{number}", op="PyFunc")
            tap.input.extend([index.name, *group.tensors])
            if previous is not None:
                tap.input.append("^" + previous)
            tap.attr["token"].s = token
            tap.attr["Tin"].list.type.extend([3, *(dtypes.base(graph.dtype(one) or 0) for one in group.tensors)])
            tap.attr["Tout"].list.SetInParent()
            previous = tap.name
            waiting = {user for one in group.tensors for user in self._analysis.flow.users[producer(one)]}
            for user in sorted(waiting):
                late = rank[user] > group.level and user not in self._analysis.flow.hidden
                if late and user in by_name and by_name[user].op not in _CONTROL_FLOW:
                    by_name[user].input.append("^" + tap.name)
        return previous

    def _import(self, graph_def: Any, plan: restore.Restore) -> None:
        tf, v1 = self._tf, self._tf.compat.v1
        config = self._config()
        if not any(node.op in _CONTROL_FLOW or node.op in _REFERENCES for node in graph_def.node):
            # Runs every operation, the taps among them, in the calling thread: half the price of a tap, and the sink
            # is called where the caller waits. Operations still share their own work among all cores.
            config.experimental.executor_type = "SINGLE_THREADED_EXECUTOR"
        try:
            with self._graph.as_default():
                v1.import_graph_def(v1.GraphDef.FromString(graph_def.SerializeToString()), name="")
                assignments = self._assignments(plan)
                self._put_back = [one for handle, one in assignments.items() if handle not in self._counters]
                self._carry_over = [self._carrier(handle) for handle in assignments if handle in self._counters]
            self._session = v1.Session(graph=self._graph, config=config)
            self._used = config
        except Exception as exc:
            raise _refused(self._where, exc) from exc
        self._initialize = partial(self._start, list(assignments.values()), plan)
        try:
            self._initialize(self._session)
        except tf.errors.OpError as exc:
            self.close()
            if "Op type not registered" in str(exc):
                raise _refused(self._where, exc) from exc
            raise ModelLoadError(
                f"{self._where}: the weights or tables cannot be read ({failure_text(exc)})",
                "copy the whole directory again, with everything in variables/ and assets/",
            ) from exc

    def _config(self) -> Any:
        config = self._tf.compat.v1.ConfigProto(allow_soft_placement=True)
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        return config

    def _start(self, assignments: list[Any], plan: restore.Restore, session: Any) -> None:
        if assignments:
            session.run(assignments)
        for operation in plan.run:
            feed = {self._graph.get_tensor_by_name(tensor): text for tensor, text in plan.feed.items()}
            session.run(self._graph.get_operation_by_name(operation), feed)

    def _assignments(self, plan: restore.Restore) -> dict[str, Any]:
        """Handle of a variable -> the operation that gives it what the file holds."""
        if not plan.keys:
            return {}
        tf, graph = self._tf, self._analysis.graph
        handles = list(plan.keys)
        kinds = []
        for handle in handles:
            dtype = graph.nodes[handle].attr("dtype")
            assert dtype is not None  # every VarHandleOp has one
            kinds.append(tf.as_dtype(dtype.type))
        values = tf.raw_ops.RestoreV2(
            prefix=plan.prefix,
            tensor_names=[plan.keys[handle] for handle in handles],
            shape_and_slices=[""] * len(handles),
            dtypes=kinds,
        )
        return {
            handle: tf.raw_ops.AssignVariableOp(resource=self._graph.get_tensor_by_name(handle + ":0"), value=value)
            for handle, value in zip(handles, values, strict=True)
        }

    def _carrier(self, handle: str) -> tuple[Any, Any, Any]:
        """Of a variable: what reads it, what a value is fed to, and what writes that."""
        resource = self._graph.get_tensor_by_name(handle + ":0")
        dtype = resource.op.get_attr("dtype")
        fed = self._tf.compat.v1.placeholder(dtype)
        read = self._tf.raw_ops.ReadVariableOp(resource=resource, dtype=dtype)
        return read, fed, self._tf.raw_ops.AssignVariableOp(resource=resource, value=fed)

    # -- running --------------------------------------------------------------------------------------------------

    def run(self, batch: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """One pass. Returns the outputs' values.

        Raises:
            ModelRunError: an operation failed.
            BaseException: whatever ``deliver`` raised, unchanged.
        """
        feed = {self._graph.get_tensor_by_name(tensor): batch[name] for name, tensor in self._inputs}
        fetches = [self._graph.get_tensor_by_name(tensor) for tensor in self._outputs]
        last = [self._graph.get_operation_by_name(self._last)] if self._last else []
        self._raised.clear()
        try:
            values = self._session.run([fetches, last], feed)[0]
        except self._tf.errors.OpError as exc:
            if self._raised:
                raise self._raised.pop() from None
            failure = ModelRunError(f"{self._where}: {self._failure(exc)}", _what_to_do(exc))
            if self._last is not None:
                failure.layer = self._layer_of(self._failed_node(fetches, feed))
            raise failure from exc
        except (TypeError, ValueError) as exc:  # the feed does not fit the placeholder
            raise ModelRunError(f"{self._where}: {first_line(exc)}", "check the input's values and shape") from exc
        return [as_array(value) for value in values]

    def part(
        self, tensors: Sequence[str], batch: Mapping[str, np.ndarray], values: Mapping[str, np.ndarray] | None = None
    ) -> list[np.ndarray]:
        """Some of the outputs, where these values take the place of what the graph would compute.

        Raises:
            ModelRunError: an operation failed, or does not take the values.
        """
        feed = {self._graph.get_tensor_by_name(tensor): batch[name] for name, tensor in self._inputs}
        feed |= {self._graph.get_tensor_by_name(name): value for name, value in (values or {}).items()}
        try:
            found = self._session.run([self._graph.get_tensor_by_name(one) for one in tensors], feed)
        except (self._tf.errors.OpError, TypeError, ValueError) as exc:
            raise ModelRunError(f"{self._where}: {first_line(exc)}") from exc
        return [as_array(value) for value in found]

    def restart(self) -> None:
        """Begin again with what the file holds: variables, tables and all else that lives as long as a session does.

        Random numbers go on where they were.
        """
        if self._in_place:
            if self._put_back:
                self._session.run(self._put_back)
            return
        drawn = self._session.run([read for read, _, _ in self._carry_over])
        self._session.close()
        self._session = self._tf.compat.v1.Session(graph=self._graph, config=self._used)
        self._initialize(self._session)
        feed = {fed: value for (_, fed, _), value in zip(self._carry_over, drawn, strict=True)}
        self._session.run([write for _, _, write in self._carry_over], feed)

    def _receive(self, number: Any, *values: Any) -> list[Any]:
        try:
            self._deliver(int(number), [as_array(value) for value in values])
        except BaseException as exc:
            self._raised.append(exc)
            raise
        return []  # None would be made into an array first

    def _failure(self, exc: Any) -> str:
        node = getattr(exc, "node_def", None)
        message = failure_text(exc)
        if node is None or node.name not in self._analysis.graph.nodes:
            return message
        return f"{node.op} at {self._analysis.graph.nodes[node.name].label} failed: {message}"

    def _failed_node(self, fetches: Sequence[Any], feed: Mapping[Any, Any]) -> str | None:
        """Run once more what failed, to learn where: TensorFlow's executor for one thread does not tell."""
        with self._tf.compat.v1.Session(graph=self._graph, config=self._config()) as session:
            try:
                self._initialize(session)
                session.run(fetches, feed)
            except self._tf.errors.OpError as exc:
                return getattr(exc.node_def, "name", None)
        return None

    def _layer_of(self, node: str | None) -> str | None:
        """The innermost layer that a node of the graph is in: what makes its outputs, and not its inputs."""
        graph = self._analysis.graph
        if node not in graph.nodes:
            return None
        around = {}
        for layer in self._analysis.layers:
            for call in layer.calls:
                inside = graph.ancestors(call.outputs) - graph.ancestors(call.inputs)
                if call.inputs and node in inside:
                    around[layer.path] = len(inside)
        return min(around, key=lambda path: around[path], default=None)

    def close(self) -> None:
        """Free the session and its variables."""
        if self._session is not None:
            self._session.close()
        self._session = None


_FILE_FAILURES = ("No such file or directory", "Permission denied", "Read-only file system", "Is a directory")
"""What an operation of the model says of a file of its own; inputs are fed as arrays, never read from files here."""


def _what_to_do(exc: BaseException) -> str:
    text = str(exc)
    if "Could not parse example" in text or "Could not parse Example" in text:
        return (
            "the input takes serialized tf.train.Example messages, one per sample: numpy.save('x.npy', numpy.array("
            "[example.SerializeToString() for example in examples], object)), then --input x.npy"
        )
    if "No OpKernel" in text or "OpKernel was registered" in text:
        return "export the model for the CPU: this operation was chosen for a GPU or a TPU"
    if any(words in text for words in _FILE_FAILURES):
        return "the model itself reads or writes this file: run it where it can, or export it without"
    return "check the input's values and shape"


def as_array(value: Any) -> np.ndarray:
    """What TensorFlow hands out as one array: scalars too, text as ``bytes``, quantized as plain integers."""
    if isinstance(value, (bytes, str)):
        array = np.empty((), dtype=object)
        array[()] = value
        return array
    array = np.asarray(value)
    if array.dtype.names:  # qint8 and the like: a structure with one integer in it
        return array.view(array.dtype[0])
    return array


def _int32_tensor(number: int) -> bytes:
    """A serialized TensorProto: dtype DT_INT32, no dimensions, one int_val."""
    return b"\x08\x03\x12\x00\x3a" + _bytes_field(varint_bytes(number))


def _bytes_field(data: bytes) -> bytes:
    return varint_bytes(len(data)) + data


_NO_KERNEL = re.compile(r"No OpKernel was registered to support Op '(\w+)'")


def failure_text(exc: BaseException) -> str:
    """What TensorFlow says went wrong, without its headings and stack traces."""
    text = str(getattr(exc, "message", None) or exc)
    missing = _NO_KERNEL.search(text)
    if missing is not None:
        return f"the operation {missing[1]!r} has no implementation for the CPU"
    lines = [without_marks(line) for line in text.splitlines()]
    told = [line for line in lines if line and not line.startswith(_HEADINGS)]
    return (told[0] if told else first_line(exc)).rstrip(".")


def _refused(where: str, exc: Exception) -> KmrError:
    message = failure_text(exc)
    marker = "Op type not registered"
    if marker in str(exc):
        name = str(exc).partition(marker)[2].strip().split()[0].strip("'\"")
        return ModelLoadError(
            f"{where}: it uses the operation {name!r}, which this TensorFlow does not have",
            "--import a module that loads the library with it (tensorflow_text, tf.load_op_library)",
        )
    hint = _what_to_do(exc) if "OpKernel" in str(exc) else None
    return ModelLoadError(f"{where}: TensorFlow refused the graph ({message})", hint)


def _forget_sizes(graph_def: Any, inputs: Collection[str]) -> None:
    """Say nothing of the sizes of inputs and of what is computed from them."""
    for node in graph_def.node:
        if "_output_shapes" in node.attr:
            del node.attr["_output_shapes"]
        if node.name in inputs and "shape" in node.attr:
            for dim in node.attr["shape"].shape.dim:
                dim.size = -1
