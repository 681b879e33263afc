"""Prints the names that a Keras config may hold, as kmr_cli/formats/keras/scan/names.txt keeps them.

Run it with the newest Keras and tf_keras:
    python scripts/list_keras_names.py > kmr_cli/formats/keras/scan/names.txt

A line has what a name is of (a class, a function, a function of TensorFlow that TFOpLambda may call), its group and the
name. Why a group is allowed stands in kmr_cli/formats/keras/scan/names.py. What was cut out by hand stands below, with
the reason.
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
    "TensorFlowOpLayer": "holds any operation of TensorFlow: looked into on its own",
    "DeviceWrapper": "not for configs",
    "TFLayer": "not for configs",
}
CUT_FUNCTIONS = {
    "get": "takes a config, or a name, of its own",
    "serialize": "the same",
    "deserialize": "the same",
    "load_model": "loads a file",
    "clone_and_build_model": "calls a function that it is given",
}
CUT_TENSORFLOW = {"nn.fixed_unigram_candidate_sampler": "reads the file that its argument vocab_file names"}
FUNCTION_MODULES = {
    "activations": "activation", "constraints": "constraint", "initializers": "initializer", "losses": "loss",
    "metrics": "metric", "regularizers": "regularizer",
}  # fmt: skip
"""Modules of functions, and the group of those."""
TENSORFLOW_OPERATORS = "add eq getitem ne ragged_getitem"
"""What operators between tensors are called: ``__operators__.add``."""
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


def kinds(root: Any) -> Iterator[tuple[str, type]]:
    """The groups of classes of a Keras, each with the class that all in it inherit from."""
    policies, random = getattr(root, "dtype_policies", None), getattr(root, "random", None)
    for group, kind in (
        ("layer", root.layers.Layer), ("operation", getattr(root, "Operation", None)),
        ("initializer", root.initializers.Initializer), ("regularizer", root.regularizers.Regularizer),
        ("constraint", root.constraints.Constraint), ("loss", root.losses.Loss), ("metric", root.metrics.Metric),
        ("optimizer", root.optimizers.Optimizer),
        ("optimizer", vars(getattr(root.optimizers, "legacy", root)).get("Optimizer")),
        ("schedule", root.optimizers.schedules.LearningRateSchedule), ("quantizer", getattr(root, "Quantizer", None)),
        ("policy", getattr(policies, "DTypePolicy", None)), ("policy", getattr(root.mixed_precision, "Policy", None)),
        ("seed", getattr(random, "SeedGenerator", None)),
    ):  # fmt: skip
        if kind is not None:
            yield group, kind


def classes(root: Any) -> Iterator[tuple[str, str]]:
    """Groups and names of the classes of a Keras that a config may name; a layer is an operation, and listed once."""
    bases = list(kinds(root))
    for module in list(sys.modules.values()):
        if (getattr(module, "__name__", "") or "").split(".")[0] == root.__name__.split(".")[0]:
            for name, value in list(vars(module).items()):
                group = next((one for one, base in bases if inspect.isclass(value) and issubclass(value, base)), None)
                if group is not None and not name.startswith("_"):
                    yield group, value.__name__
                    yield group, name


def functions(root: Any) -> Iterator[tuple[str, str]]:
    """Groups and names of the public functions of a Keras that a config may name."""
    for module, group in FUNCTION_MODULES.items():
        for name, value in vars(getattr(root, module)).items():
            if inspect.isfunction(value) and name[0] != "_":
                yield group, name


def tensorflow() -> Iterator[tuple[str, str]]:
    """Functions of TensorFlow that TFOpLambda may call, with their modules as groups."""
    yield from (("tf", name) for name in TENSORFLOW_FUNCTIONS.split())
    yield from (("operator", f"__operators__.{name}") for name in TENSORFLOW_OPERATORS.split())
    for name in TENSORFLOW_MODULES:
        for home in (tf, tf.compat.v1):
            module: ModuleType = getattr(home, name)
            for function in dir(module):
                value = getattr(module, function)
                plain = callable(value) and not inspect.isclass(value) and function[0] != "_"
                if plain and f"{name}.{function}" not in CUT_TENSORFLOW and (home is tf or name == "nn"):
                    yield name, f"{name}.{function}"


if __name__ == "__main__":
    listed = {("class", *one) for root in (keras, tf_keras) for one in classes(root) if one[1] not in CUT_CLASSES}
    listed |= {
        ("function", *one) for root in (keras, tf_keras) for one in functions(root) if one[1] not in CUT_FUNCTIONS
    }
    listed |= {("tensorflow", *one) for one in tensorflow()}
    for kind, group, name in sorted(listed, key=lambda one: (one[0], one[2], one[1])):
        print(kind, group, name)
