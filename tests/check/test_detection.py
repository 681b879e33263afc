"""A part of ``make detection``: faults of every format found at the right layer, clean models left alone."""

from importlib import import_module

import pytest

KERAS, TENSORFLOW, TORCH = "zoo.faults.keras_faults", "zoo.faults.tensorflow_faults", "zoo.faults.torch_faults"
LAYERS, NETWORKS, SCRIPTS = "zoo.clean.keras_layers", "zoo.clean.keras_networks", "zoo.clean.torch_networks"
KERAS_MASKS, TORCH_MASKS = "zoo.faults.keras_masks", "zoo.faults.torch_masks"
KERAS_MASKED, TORCH_MASKED = "zoo.clean.keras_masks", "zoo.clean.torch_masks"
FOUND, LISTS = "zoo.faults.tensorflow_found", "zoo.faults.lists"
RAGGED, RAGGED_TWINS = "zoo.faults.ragged", "zoo.clean.ragged"
TORCH_FOUND, FOUND_TWINS = "zoo.faults.torch_found", "zoo.clean.torch_found"
TURNS, TURN_TWINS = "zoo.faults.turns", "zoo.clean.turns"
ROUTED, ROUTED_TWINS = "zoo.faults.routed", "zoo.clean.routed"
TORCH_KINDS, TORCH_TWINS = "zoo.faults.torch_kinds", "zoo.clean.torch_kinds"

FAULTS = [
    (KERAS, "keras", "softmax, nested"),
    (KERAS, "keras", "top-k"),
    (KERAS, "keras", "cumsum, shared"),
    (KERAS, "keras", "branch, repeated"),
    (KERAS, "keras", "zero product"),
    (KERAS, "keras", "heads back"),
    (KERAS, "keras", "masked average"),
    (KERAS, "keras", "MelSpectrogram"),
    (KERAS, "keras", "running state"),
    (KERAS, "keras", "squeeze"),
    (KERAS, "keras", "LSTM over samples"),
    (KERAS, "keras", "one sample"),
    (KERAS, "h5", "batch norm in training mode"),
    (KERAS, "h5", "dropout left on"),
    (KERAS, "h5", "roll"),
    (KERAS, "savedmodel", "hard-coded"),
    (KERAS, "savedmodel", "mean, in a custom layer"),
    (KERAS, "savedmodel", "lengths"),
    (TENSORFLOW, "savedmodel", "capacity, tf.Module"),
    (TENSORFLOW, "savedmodel", "put back wrongly, tf.Module"),
    (TENSORFLOW, "savedmodel", "noise by place, tf.Module"),
    (KERAS, "keras", "by place"),
    (KERAS, "savedmodel", "by size"),
    (TORCH, "torchscript", "positions without batch_first"),
    (TORCH, "torchscript", "counter"),
    (TENSORFLOW, "savedmodel", "lost, tf.Module"),
    (TENSORFLOW, "savedmodel", "state, tf.Module"),
    (TENSORFLOW, "savedmodel", "rows dropped by content, tf.Module"),
    (KERAS, "keras", "GlobalAveragePooling1D"),
    (KERAS, "savedmodel", "padding-blind mean"),
    (TORCH, "torchscript", "mean over an empty mask"),
    (TORCH, "torchscript", "LSTM without batch_first"),
    (TORCH, "torchscript", "attention without batch_first"),
    (TORCH, "torchscript", "batch norm without statistics"),
    (TORCH, "torchscript", "squeeze"),
    (TORCH, "torchscript", "mask"),
    (TORCH, "torchscript", "capacity"),
    (TORCH, "torchscript", "one full expert"),
    (TORCH, "torchscript", "roll, repeated"),
    (TORCH, "torchscript", "zero product, behind a sort"),
    (TORCH, "torchscript", "clip, repeated"),
    (TORCH, "torchscript", "scores"),
    (TORCH, "torchscript", "state"),
    (TORCH, "torchscript", "dynamic quantization, traced"),
    (TORCH, "torchscript", "softmax, shared"),
    (TORCH, "torchscript", "one scale above 18 samples"),
    (TORCH, "torchscript", "batch size baked in, other data"),
    (KERAS, "savedmodel", "room for twelve rows"),
    (KERAS_MASKS, "keras", "Masking, blind mean"),
    (KERAS_MASKS, "keras", "mask_zero, flatten and dense"),
    (KERAS_MASKS, "keras", "mask_zero, mean over an empty mask"),
    (KERAS_MASKS, "keras", "mask_zero, residual attention"),
    (KERAS_MASKS, "keras", "mask_zero, against the last axes"),
    (KERAS_MASKS, "keras", "masked average, mask named, 5 samples"),
    (KERAS_MASKS, "h5", "mask_zero, LSTM without the mask"),
    (KERAS_MASKS, "h5", "mask over features"),
    (KERAS_MASKS, "savedmodel", "masked average, mask named, 7 samples"),
    (TORCH_MASKS, "torchscript", "mask turned, 5 samples, 3 features"),
    (TORCH_MASKS, "torchscript", "LSTM over padding"),
    (TORCH_KINDS, "torchscript", "the last request is remembered"),
    (TORCH_KINDS, "torchscript", "floor below the loudest of the batch"),
    (TORCH_KINDS, "torchscript", "rows filled one by one, traced"),
    (TORCH_KINDS, "torchscript", "lengths as shares, padding-blind"),
    (TORCH_KINDS, "torchscript", "mean in another method"),
    (TENSORFLOW, "savedmodel", "mean in another signature, tf.Module"),
    (KERAS, "keras", "two rows a sample"),
    (TORCH_FOUND, "torchscript", "four turns of a loop"),
    (TORCH_FOUND, "torchscript", "filled by the nearest sample"),
    (TORCH_FOUND, "torchscript", "one text for all"),
    (TORCH_FOUND, "torchscript", "the loud less the mean"),
    (TORCH_FOUND, "torchscript", "the faint by the loudest"),
    (TORCH_FOUND, "torchscript", "one scale above a hundred samples"),
    (FOUND, "keras", "features and a column"),
    (FOUND, "savedmodel", "a grid from all samples"),
    (FOUND, "keras", "the loud less the mean"),
    (LISTS, "keras", "texts of a subclassed model"),
    (LISTS, "onnx", "a sequence of samples"),
    (RAGGED, "savedmodel", "ragged scores, tf.Module"),
    (RAGGED, "savedmodel", "ragged in two levels, tf.Module"),
    (RAGGED, "savedmodel", "ragged lengths, tf.Module"),
    (RAGGED, "savedmodel", "sparse, tf.Module"),
    (RAGGED, "keras", "ragged"),
    (RAGGED, "torchscript", "a list of scores"),
    (TURNS, "torchscript", "above a computed number"),
    (TURNS, "torchscript", "pieces of forty"),
    (TURNS, "keras", "above a computed number"),
    (TURNS, "savedmodel", "above 600 elements"),
    (TURNS, "savedmodel", "pieces of forty"),
    (ROUTED, "torchscript", "experts and a mean, masks of rows"),
    (ROUTED, "savedmodel", "experts and a mean, places of each expert"),
    (KERAS, "h5", "a table of seven rows"),
    (TENSORFLOW, "savedmodel", "a mean behind a counter, tf.Module"),
]
CLEAN = [
    (LAYERS, "keras", "MultiHeadAttention"),
    (LAYERS, "keras", "StringLookup"),
    (LAYERS, "keras", "Masking"),
    (LAYERS, "h5", "Activation"),
    (NETWORKS, "keras", "sort and unsort"),
    (NETWORKS, "keras", "sorted recurrent"),
    (NETWORKS, "savedmodel", "sorted recurrent"),
    (SCRIPTS, "torchscript", "sorted LSTM"),
    (NETWORKS, "keras", "encoder decoder"),
    (NETWORKS, "savedmodel", "shifted windows"),
    (NETWORKS, "savedmodel", "mixture of experts"),
    (NETWORKS, "h5", "merged heads"),
    (SCRIPTS, "torchscript", "masked mean"),
    (SCRIPTS, "torchscript", "in chunks above 18 samples"),
    (SCRIPTS, "torchscript", "one expert with room for all"),
    (NETWORKS, "keras", "operations: there and back"),
    ("zoo.clean.tensorflow_found", "keras", "lengths, padding left out"),
    ("zoo.clean.tensorflow_found", "savedmodel", "lengths that must fit"),
    (FOUND_TWINS, "torchscript", "column less column"),
    (FOUND_TWINS, "torchscript", "best of its own that counts"),
    (SCRIPTS, "torchscript", "packed sequences"),
    (SCRIPTS, "torchscript", "flip twice"),
    (SCRIPTS, "torchscript", "mixture of experts"),
    (SCRIPTS, "torchscript", "architecture Bert"),
    (SCRIPTS, "torchscript", "transformer encoder"),
    (KERAS_MASKED, "keras", "masked transformer, fixed steps"),
    (KERAS_MASKED, "keras", "Masking, GRU, every step"),
    (KERAS_MASKED, "keras", "mask named, attention, 5 samples, 5 features"),
    (KERAS_MASKED, "h5", "mask_zero, Bidirectional"),
    (KERAS_MASKED, "savedmodel", "mask_zero, MaskedAverage"),
    (TORCH_MASKED, "torchscript", "heeds its mask: TimeMajor, 5 samples, 5 features"),
    (TORCH_TWINS, "torchscript", "what was seen is counted"),
    (TORCH_TWINS, "torchscript", "strided, padding left out"),
    (TURN_TWINS, "torchscript", "at multiples of eleven, each alone"),
    (TURN_TWINS, "savedmodel", "above 600 elements, each alone"),
    (RAGGED_TWINS, "savedmodel", "ragged scores, its own, tf.Module"),
    (RAGGED_TWINS, "savedmodel", "ragged in two levels, its own, tf.Module"),
    (RAGGED_TWINS, "savedmodel", "ragged lengths, its own, tf.Module"),
    (RAGGED_TWINS, "savedmodel", "sparse, its own, tf.Module"),
    (RAGGED_TWINS, "keras", "ragged, its own"),
    (RAGGED_TWINS, "torchscript", "a list of scores, its own"),
    (ROUTED_TWINS, "torchscript", "experts, ranges of sorted rows"),
    (ROUTED_TWINS, "torchscript", "experts, masks of rows, traced"),
    (ROUTED_TWINS, "torchscript", "experts, groups, traced"),
    (ROUTED_TWINS, "savedmodel", "experts, partitions"),
    (ROUTED_TWINS, "keras", "experts, ranges of sorted rows"),
]
EXPERTS = {name for module, _, name in CLEAN if module == ROUTED_TWINS}
TURNS_ALONE = {"at multiples of eleven, each alone", "above 600 elements, each alone"}
"""They ask for the batch size."""
BETWEEN_SAMPLES = {"KMR101", "KMR102", "KMR103", "KMR104", "KMR105", "KMR106", "KMR109"}
AS_MANY_AS_IT_HAS = {name for module, _, name in CLEAN if module == RAGGED_TWINS}
UNDECIDED = {"sort and unsort", "sorted recurrent", "mixture of experts"} | TURNS_ALONE | EXPERTS | AS_MANY_AS_IT_HAS
"""Clean models whose graph does not tell: rows are ordered by content. All others pass as proven."""
UNDECIDED_SCRIPTS = {
    *("sorted LSTM", "packed sequences", "one expert with room for all", "flip twice"),  # rows in another order
    "in chunks above 18 samples",  # its code asks for the batch size
    "what was seen is counted",  # a buffer
}
"""The same of TorchScript."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


def runs(cases):
    """TensorFlow and Keras take seconds for each model, which is checked once: as if its tensors were large.

    ``make detection`` checks all of them with small tensors, and test_digests_agree.py holds that both ways agree.
    """
    return [
        pytest.param(module, form, name, tensors, id=f"{form}-{name}-{tensors}")
        for module, form, name in cases
        for tensors in (("kept", "digests") if form == "torchscript" else ("digests",))
    ]


def outcome_of(module, form, name):
    from zoo.cases import judge

    (case,) = [case for case in import_module(module).cases() if (case.format, case.name) == (form, name)]
    return case, judge(case)


@pytest.mark.parametrize(("module", "form", "name", "tensors"), runs(FAULTS), indirect=["tensors"])
def test_the_fault_is_found_and_its_layer_named(module, form, name, tensors):
    case, outcome = outcome_of(module, form, name)
    assert outcome.found, (outcome.verdict, outcome.errors, outcome.reasons)
    assert outcome.named == (case.layer,)
    assert outcome.refused == ()  # by the scan
    assert outcome.basis == "evidence" or not BETWEEN_SAMPLES & set(case.rules)


@pytest.mark.parametrize(("module", "form", "name", "tensors"), runs(CLEAN), indirect=["tensors"])
def test_a_clean_model_passes(module, form, name, tensors):
    _, outcome = outcome_of(module, form, name)
    assert outcome.errors == outcome.refused == ()  # the latter by the scan
    assert outcome.verdict == "pass", outcome.reasons
    assert (outcome.basis == "proof") is (
        name not in UNDECIDED | (UNDECIDED_SCRIPTS if form == "torchscript" else set())
    )


def test_there_are_enough_of_them():
    wrong = (KERAS, TENSORFLOW, TORCH, KERAS_MASKS, TORCH_MASKS)
    faults = [case for module in wrong for case in import_module(module).cases()]
    passing = (LAYERS, NETWORKS, SCRIPTS, KERAS_MASKED, TORCH_MASKED)
    clean = [case for module in passing for case in import_module(module).cases()]
    assert len(faults) >= 80
    assert len(clean) >= 120
    for cases in (faults, clean):
        names = [(case.format, case.name) for case in cases]
        assert len(set(names)) == len(names)
    assert {case.format for case in faults} == {"keras", "h5", "savedmodel", "torchscript"}
