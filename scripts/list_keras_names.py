"""Prints the names that a Keras config may hold, as kmr_cli/formats/keras/scan/names.txt keeps them.

Run it with the newest Keras and tf_keras:
    python scripts/list_keras_names.py > kmr_cli/formats/keras/scan/names.txt

A class is listed if it is a layer, operation, activation, initializer, regularizer, constraint, dtype policy,
quantizer, loss, metric, optimizer or schedule; a function if it is public in a module of such functions; a function of
TensorFlow if TFOpLambda may call it. What was cut out by hand stands below, with the reason.
"""

import inspect
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import keras
import tensorflow as tf
import tf_keras

CUT_CLASSES = {
    "Lambda": "holds Python code",
    "TFSMLayer": "loads another SavedModel from a path",
    "TorchModuleWrapper": "unpickles a module",
    "JaxLayer": "holds Python code",
    "FlaxLayer": "holds Python code",
    "TFOpLambda": "calls a function of TensorFlow by name: looked into on its own",
    "SlicingOpLambda": "the same",
    "ClassMethod": "the same",
    "InstanceMethod": "calls a method by name",
    "InstanceProperty": "reads a property by name",
    "ModuleWrapper": "imports a module",
    "ReloadedLayer": "loads another SavedModel from a path",
    "DeviceWrapper": "not for configs",
    "TFLayer": "not for configs",
}
CUT_FUNCTIONS = {"get", "serialize", "deserialize", "load_model", "clone_and_build_model"}
"""They take configs, names or files of their own."""
FUNCTION_MODULES = ("activations", "constraints", "initializers", "losses", "metrics", "regularizers")
TENSORFLOW_MODULES = ("math", "nn", "linalg", "image", "strings", "signal", "sets", "sparse", "ragged", "bitwise")
"""Modules whose functions compute, and nothing else."""
TENSORFLOW_FUNCTIONS = """
    abs acos acosh add add_n argmax argmin argsort as_string asin asinh atan atan2 atanh batch_to_space bitcast
    boolean_mask broadcast_dynamic_shape broadcast_static_shape broadcast_to case cast clip_by_global_norm
    clip_by_norm clip_by_value complex concat cond constant convert_to_tensor cos cosh cumsum custom_gradient
    divide dynamic_partition dynamic_stitch edit_distance eig eigvals einsum ensure_shape equal exp expand_dims
    eye fill floor foldl foldr gather gather_nd greater greater_equal guarantee_const hessians
    histogram_fixed_width histogram_fixed_width_bins identity identity_n is_tensor less less_equal linspace
    logical_and logical_not logical_or map_fn matmul matrix_square_root maximum meshgrid minimum multiply
    negative norm not_equal one_hot ones ones_like pad parallel_stack pow rank realdiv reduce_all reduce_any
    reduce_logsumexp reduce_max reduce_mean reduce_min reduce_prod reduce_sum repeat reshape reverse
    reverse_sequence roll round saturate_cast scalar_mul scan scatter_nd searchsorted sequence_mask shape
    shape_n sigmoid sign sin sinh size slice sort space_to_batch space_to_batch_nd split sqrt square squeeze
    stack stop_gradient strided_slice subtract switch_case tan tanh tensor_scatter_nd_add tensor_scatter_nd_max
    tensor_scatter_nd_min tensor_scatter_nd_sub tensor_scatter_nd_update tensordot tile transpose truediv
    truncatediv truncatemod unique unique_with_counts unravel_index unstack vectorized_map where zeros
    zeros_like random.normal random.uniform random.stateless_normal random.stateless_uniform
    random.truncated_normal random.shuffle random.categorical quantization.fake_quant_with_min_max_args
    quantization.fake_quant_with_min_max_vars
"""


def classes(root: Any) -> Iterator[str]:
    """Names of the classes of a Keras that a config may name."""
    kinds = tuple(
        kind
        for kind in (
            getattr(root, "Operation", None) or root.layers.Layer, root.layers.Layer, root.initializers.Initializer,
            root.regularizers.Regularizer, root.constraints.Constraint, root.losses.Loss, root.metrics.Metric,
            root.optimizers.Optimizer, root.optimizers.schedules.LearningRateSchedule,
            getattr(root, "Quantizer", None), getattr(getattr(root, "dtype_policies", None), "DTypePolicy", None),
            getattr(getattr(root, "random", None), "SeedGenerator", None),
            getattr(root.mixed_precision, "Policy", None),
            vars(getattr(root.optimizers, "legacy", root)).get("Optimizer"),
        )
        if kind is not None
    )  # fmt: skip
    for module in list(sys.modules.values()):
        if (getattr(module, "__name__", "") or "").split(".")[0] == root.__name__.split(".")[0]:
            for name, value in list(vars(module).items()):
                if inspect.isclass(value) and issubclass(value, kinds) and not name.startswith("_"):
                    yield value.__name__
                    yield name


def functions(root: Any) -> Iterator[str]:
    """Names of the public functions of a Keras that a config may name."""
    for name in FUNCTION_MODULES:
        module = getattr(root, name)
        yield from (name for name, value in vars(module).items() if inspect.isfunction(value) and name[0] != "_")


def tensorflow() -> Iterator[str]:
    """Functions of TensorFlow that TFOpLambda may call."""
    yield from TENSORFLOW_FUNCTIONS.split()
    for name in TENSORFLOW_MODULES:
        module: ModuleType = getattr(tf, name)
        for function in dir(module):
            if (
                function[0] != "_"
                and callable(getattr(module, function))
                and not inspect.isclass(getattr(module, function))
            ):
                yield f"{name}.{function}"


if __name__ == "__main__":
    listed = {("class", name) for root in (keras, tf_keras) for name in classes(root) if name not in CUT_CLASSES}
    listed |= {
        ("function", name) for root in (keras, tf_keras) for name in functions(root) if name not in CUT_FUNCTIONS
    }
    listed |= {("tensorflow", name) for name in tensorflow()}
    for kind, name in sorted(listed):
        print(kind, name)
