"""One pass of a Keras model in training mode that leaves no trace, and that every other pass can be compared with.

Variables (moving statistics, seeds, the vectors of a spectral norm) are put back after each pass, so each starts with
what was loaded; and all that Keras and its backend draw at random is seeded the same before each.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from kmr_cli.formats.common.frameworks import require
from kmr_cli.formats.interface import TrainingMode
from kmr_cli.formats.keras.run.backend import backend_name


@contextmanager
def keras3_pass(model: Any, mode: TrainingMode) -> Iterator[None]:
    """Around a pass of a Keras 3 model with ``training=True``, on any backend."""
    with ExitStack() as around:
        if backend_name() == "tensorflow":
            around.enter_context(seeded_tensorflow(mode.noise))
        elif backend_name() == "torch":
            around.enter_context(_seeded_torch(mode.noise))
            around.enter_context(_modules_as_before(model))
        around.enter_context(_variables_as_before())
        _seed_generators(model, mode.noise)
        if mode.held:
            around.enter_context(_held(model))
        yield


def _seed_generators(model: Any, noise: int) -> None:
    """Keras' own generators: every layer's, in the order of the model, and the one for calls without a generator."""
    from keras.src.random.seed_generator import global_seed_generator

    generators = [generator for layer in model._flatten_layers() for generator in layer._seed_generators]
    for number, generator in enumerate([global_seed_generator(), *generators]):
        # A file need not hold the seeds, and then they are others in every load.
        generator.state.assign(np.array([(noise * 1_000_003 + number) % 2**31, 0]))


@contextmanager
def keras3_statistics_as_before(model: Any) -> Iterator[None]:
    """Put back the moving statistics that a pass updates where the model itself asks for training mode.

    Random numbers go on as they do for the framework, so that what is drawn shows as such.
    """
    import keras

    layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    with ExitStack() as around:
        if layers:
            kept = {id(variable) for layer in layers for variable in layer.variables}
            around.enter_context(_variables_as_before(kept))
        if backend_name() == "torch" and any(hasattr(layer, "module") for layer in model._flatten_layers()):
            around.enter_context(_modules_as_before(model))
        yield


@contextmanager
def _variables_as_before(of: Collection[int] | None = None) -> Iterator[None]:
    """Put back every Keras variable that is assigned meanwhile; of those with these ids only, if any are given."""
    import keras
    from keras.src.backend.common.variables import Variable

    original = Variable.assign
    before: dict[int, tuple[Any, np.ndarray]] = {}

    def assign(self: Any, value: Any) -> Any:
        if id(self) not in before and (of is None or id(self) in of):
            before[id(self)] = (self, np.array(keras.ops.convert_to_numpy(self.value), copy=True))
        return original(self, value)

    Variable.assign = assign  # type: ignore[method-assign,unused-ignore]
    try:
        yield
    finally:
        Variable.assign = original  # type: ignore[method-assign,unused-ignore]
        for variable, value in before.values():
            variable.assign(value)


@contextmanager
def _held(model: Any) -> Iterator[None]:
    """Layers that normalise over the batch run as in inference, whoever calls them and however."""
    import keras

    def held(original: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(original)

        def call(*args: Any, **kwargs: Any) -> Any:
            args, kwargs = in_inference(signature, args, kwargs)
            return original(*args, **kwargs)

        return call

    layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in layers:  # on the object, not in `__call__`: TimeDistributed calls `call`; and past Keras' tracking
        object.__setattr__(layer, "call", held(layer.call))
    try:
        yield
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")


def in_inference(
    signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments of a layer's call with ``training=False``; unchanged where it takes no such argument."""
    if "training" not in signature.parameters:
        return args, kwargs
    bound = signature.bind_partial(*args, **kwargs)
    bound.arguments["training"] = False
    return bound.args, bound.kwargs


@contextmanager
def _modules_as_before(model: Any) -> Iterator[None]:
    """On the torch backend: put back buffers and modes of wrapped torch modules."""
    import torch

    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        with torch.no_grad():
            for buffer, value in buffers:
                buffer.copy_(value)


@contextmanager
def _seeded_torch(noise: int) -> Iterator[None]:
    """Seed torch's generator on the CPU, and afterwards let it go on as if nothing had been."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(noise)
        yield


@contextmanager
def seeded_tensorflow(noise: int) -> Iterator[None]:
    """Seed TensorFlow's generator of eager operations, and afterwards let it go on as if nothing had been."""
    tensorflow = require("tensorflow", "tensorflow")
    from tensorflow.python.eager import context

    eager = context.context()
    before = {name: getattr(eager, name) for name in ("_seed", "_rng") if hasattr(eager, name)}  # _rng: once seeded
    tensorflow.random.set_seed(noise)
    try:
        yield
    finally:
        vars(eager).update(before)
