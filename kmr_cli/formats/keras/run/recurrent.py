"""The loops of recurrent layers, compiled: TensorFlow runs them a step at a time otherwise, a hundred times as slowly.

A loop is compiled once its shapes come a second time, and from the third time on only where the second gave the same
bits as the eager call. Only what is known to depend on nothing but its arguments and weights is: Keras' own cells with
Keras' own activations. Whatever else runs as Keras runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

Loop: TypeAlias = Callable[..., Any]
"""``inner_loop(layer, sequences, initial_state, mask, training)`` of Keras' recurrent layers."""

_CELLS = ("LSTMCell", "GRUCell", "SimpleRNNCell")


@dataclass
class _Compiled:
    """The loop of one layer.

    Attributes:
        layer: whose it is; held so that nothing else gets its identity.
        seen: shapes and dtypes of the arguments of one eager call.
        equal: those with which the compiled loop gave the same bits, and that loop: one for each, since TensorFlow
            warns of a function that is compiled for many shapes.
        differs: those with which it did not, or could not be run.
    """

    layer: Any
    seen: set[tuple[object, ...]] = field(default_factory=set)
    equal: dict[tuple[object, ...], Callable[..., Any]] = field(default_factory=dict)
    differs: set[tuple[object, ...]] = field(default_factory=set)


class CompiledLoops:
    """What takes the place of the loops of a model's recurrent layers during its passes.

    Attributes:
        compiled: how many loops ran compiled so far, without those that were only compared.
        refused: classes of layers whose compiled loops did not give the bits of the eager ones, which is why they run
            eagerly.
        tracing: a loop is being compiled: what runs has no values.
    """

    def __init__(self) -> None:
        self.compiled = 0
        self.tracing = False
        self.refused: set[str] = set()
        self._loops: dict[int, _Compiled] = {}

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Compiled loops in place of Keras' own, for TensorFlow; on the way out those are back."""
        from keras.layers import RNN

        original = RNN.inner_loop

        def inner_loop(layer: Any, sequences: Any, initial_state: Any, mask: Any, training: Any = False) -> Any:
            return self._run(original, layer, sequences, initial_state, mask, training=training)

        RNN.inner_loop = inner_loop
        try:
            yield
        finally:
            RNN.inner_loop = original

    def _run(
        self, original: Loop, layer: Any, sequences: Any, initial_state: Any, mask: Any, *, training: Any = False
    ) -> Any:
        """The loop's result, bit for bit that of the eager call.

        Args:
            original: the loop as Keras has it.
            layer: the recurrent layer.
            sequences: what enters, ``(batch, steps, …)``.
            initial_state: the state before the first step, or several.
            mask: which steps count, or None.
            training: the mode of the call.
        """

        def eagerly() -> Any:
            return original(layer, sequences, initial_state, mask, training=training)

        if not _can_be_compiled(layer, training):
            return eagerly()
        key = _signature(sequences, initial_state, mask, training)
        loop = self._loops.setdefault(id(layer), _Compiled(layer))
        if key is None or key in loop.differs:
            return eagerly()
        if key in loop.equal:
            self.compiled += 1
            with _unoptimized():
                return loop.equal[key](sequences, initial_state, mask)
        if key not in loop.seen:  # most shapes come once: compiling takes longer than a pass
            loop.seen.add(key)
            return eagerly()
        result = eagerly()
        function = self._function(original, layer, training=training)
        if _gives(function, (sequences, initial_state, mask), result):
            loop.equal[key] = function
        else:
            loop.differs.add(key)
            self.refused.add(type(layer).__name__)
        return result

    def _function(self, original: Loop, layer: Any, *, training: Any) -> Callable[..., Any]:
        """The loop, to be called with arguments of one structure: it is compiled by the first call.

        The concrete function, since TensorFlow warns of others that are compiled often.
        """
        import tensorflow as tf

        concrete: list[Any] = []

        def loop(sequences: Any, initial_state: Any, mask: Any) -> Any:
            self.tracing = True
            try:
                return original(layer, sequences, initial_state, mask, training=training)
            finally:
                self.tracing = False

        def run(*arguments: Any) -> Any:
            tensors = [tf.convert_to_tensor(one) for one in tf.nest.flatten(arguments) if one is not None]
            if not concrete:

                def of_tensors(*given: Any) -> Any:
                    left = iter(given)
                    flat = [None if one is None else next(left) for one in tf.nest.flatten(arguments)]
                    return loop(*tf.nest.pack_sequence_as(arguments, flat))

                concrete.append(tf.function(of_tensors, autograph=False).get_concrete_function(*tensors))
            return concrete[0](*tensors)

        return run


def _can_be_compiled(layer: Any, training: Any) -> bool:
    """Whether nothing but arguments and weights decides what a loop returns."""
    import tensorflow as tf

    if layer.unroll or not tf.executing_eagerly():
        return False
    cell = layer.cell
    cells = list(cell.cells) if _is_keras(type(cell), ("StackedRNNCells",)) else [cell]
    return all(_is_keras(type(one), _CELLS) and _is_pure(one, training) for one in cells)


def _is_pure(cell: Any, training: Any) -> bool:
    drops = training and (cell.dropout or cell.recurrent_dropout)  # random numbers, and masks that the cell keeps
    activations = (cell.activation, getattr(cell, "recurrent_activation", None))
    return not drops and all(one is None or _of_keras(one) for one in activations)


def _is_keras(kind: type, names: tuple[str, ...]) -> bool:
    return kind.__name__ in names and _of_keras(kind)


def _of_keras(thing: Any) -> bool:
    return str(getattr(thing, "__module__", "")).startswith("keras.src.")


def _signature(sequences: Any, initial_state: Any, mask: Any, training: Any) -> tuple[object, ...] | None:
    """Shapes and dtypes of the arguments; None where one isn't a tensor with data."""
    import tensorflow as tf

    found: list[object] = [bool(training)]
    for value in (sequences, *tf.nest.flatten(initial_state), mask):
        if value is None:
            found.append(None)
        elif hasattr(value, "numpy") and hasattr(value, "dtype"):
            found.append((tuple(value.shape), str(value.dtype)))
        else:
            return None
    return tuple(found)


@contextmanager
def _unoptimized() -> Iterator[None]:
    """Without the rewriting of graphs: fused operations round differently."""
    import tensorflow as tf

    before = tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": before})


def _gives(function: Callable[..., Any], arguments: tuple[Any, ...], expected: Any) -> bool:
    """Whether a function gives what is expected, bit for bit; not if it fails."""
    import tensorflow as tf

    try:
        with _unoptimized():
            result = function(*arguments)
        tf.nest.assert_same_structure(result, expected)
    except Exception:
        return False
    pairs = zip(tf.nest.flatten(result), tf.nest.flatten(expected), strict=True)
    return all(_same_bits(np.asarray(mine), np.asarray(yours)) for mine, yours in pairs)


def _same_bits(mine: np.ndarray, yours: np.ndarray) -> bool:
    return mine.shape == yours.shape and mine.dtype == yours.dtype and mine.tobytes() == yours.tobytes()
