"""Masks of exports with a fixed number of steps and a table of positions, which no longer padding can examine."""

from functools import partial

import numpy as np
import pytest
from zoo import onnx_models
from zoo.cases import Case, run

from kmr_cli.batch.likely_masks import likely_masks
from kmr_cli.config.masks import masks_of
from kmr_cli.records import ModelInfo, TensorSpec

STEPS = 8
COUNTED = np.arange(STEPS)[None] < np.array([8, 7, 5, 3, 2, 1, 4])[:, None]
IDS = np.random.default_rng(0).integers(1, 30, (7, STEPS))
PADDED, FLAGS, ADDED = (
    np.where(COUNTED, IDS, 0),
    COUNTED.astype(np.int64),
    np.where(COUNTED, 0, -1e4).astype(np.float32),
)


def build(folder, heeds, added, alone=False):
    """Words and their positions, attention with a mask that is added to the scores, what the first step has read."""
    made, node = onnx_models, onnx_models.helper.make_node
    nodes = [
        node("Gather", ["table", "ids"], ["words"], name="words"),
        node("Add", ["words", "places"], ["vectors"], name="positions"),
        node("Cast", ["attention_mask"], ["flags"], name="flags", to=made.FLOAT),
        node("Sub", ["one", "flags"], ["away"], name="away"),
        node("Mul", ["away", "low"], ["shift"], name="shift"),
        node("Unsqueeze", ["attention_mask" if added else "shift", "first"], ["row"], name="row"),
        node("Transpose", ["vectors"], ["turned"], perm=[0, 2, 1], name="turned"),
        node("MatMul", ["vectors", "turned"], ["scores"], name="scores"),
        node("Add", ["scores", "row"], ["left"], name="left") if heeds else node("Identity", ["scores"], ["left"]),
        node("Softmax", ["left"], ["weights"], axis=-1, name="weights"),
        node("MatMul", ["weights", "vectors"], ["read"], name="read"),
        node("Gather", ["read", "zero"], ["y"], axis=1, name="y"),
    ]
    if alone:  # the mask is told by the ids
        nodes[2:4] = [
            node("Equal", ["ids", "zero"], ["empty"], name="empty"),
            node("Cast", ["empty"], ["away"], name="away", to=made.FLOAT),
        ]
    constants = [
        made.weights("table", 30, 4), made.weights("places", 1, STEPS, 4, seed=3), made.constant("zero", 0),
        made.constant("one", 1, np.float32), made.constant("low", -1e9, np.float32), made.constant("first", [1]),
    ]  # fmt: skip
    integers = made.TensorProto.INT64
    inputs = [
        made.tensor("ids", ["batch", STEPS], integers),
        made.tensor("attention_mask", ["batch", STEPS], made.FLOAT if added else integers),
    ]
    return made.save(
        made.model(nodes, inputs[: 1 if alone else 2], [made.tensor("y", ["batch", 4])], constants),
        folder / "model.onnx",
    )


GIVEN = {
    "mask": (PADDED, FLAGS, ("attention_mask",)),
    "padding and mask": (PADDED, FLAGS, ("attention_mask", "ids=0")),
    "padding that a mask tells too": (PADDED, FLAGS, ("ids=0",)),
    "padding, in data without any": (IDS, np.ones_like(FLAGS), ("ids=0",)),
    "added": (PADDED, ADDED, ("attention_mask",)),
    "padding that an added mask tells too": (PADDED, ADDED, ("ids=0",)),
    "padding, an added mask that forbids nothing yet": (IDS, 0 * ADDED, ("ids=0",)),
    "an added mask that forbids nothing yet": (IDS, 0 * ADDED, ("attention_mask",)),
    "what it forbids with is said": (IDS, 0 * ADDED, ("attention_mask=-10000",)),
}


@pytest.mark.parametrize("heeds", [True, False], ids=["heeded", "ignored"])
@pytest.mark.parametrize("given", GIVEN)
def test_what_stands_in_masked_steps_is_replaced(given, heeds):
    ids, mask, masks = GIVEN[given]
    make = partial(build, heeds=heeds, added=mask.dtype == np.float32)
    report = run(Case(given, "onnx", make, data=lambda: {"ids": ids, "attention_mask": mask}, masks=masks))
    errors = [(finding.rule, finding.layer) for finding in report.findings if finding.severity == "error"]
    assert report.verdict == ("pass" if heeds else "fail"), report.inconclusive
    assert errors == ([] if heeds else [("KMR201", "weights")])


def test_a_mask_of_zeros_that_is_added_is_named_as_one():
    batch = {"ids": IDS, "attention_mask": 0 * ADDED, "offset": 0 * ADDED}
    specs = tuple(TensorSpec(name, None, str(values.dtype)) for name, values in batch.items())
    (likely,) = likely_masks(ModelInfo("m", "onnx", "", specs, (), (), 0), batch)
    assert (likely.what, likely.option) == ("mask", "attention_mask")
    (mask,) = masks_of(["attention_mask"], specs, batch)
    assert mask.hides == mask.padding == -10_000
    assert mask.counted == 0


@pytest.mark.parametrize("heeds", [True, False], ids=["heeded", "ignored"])
def test_the_vectors_of_padded_steps_are_replaced_where_ids_tell_the_mask(heeds):
    make = partial(build, heeds=heeds, added=False, alone=True)
    report = run(Case("ids", "onnx", make, data=lambda: {"ids": PADDED}, masks=("ids=0",)))
    errors = [(finding.rule, finding.layer) for finding in report.findings if finding.severity == "error"]
    assert (report.verdict, errors) == (("pass", []) if heeds else ("fail", [("KMR201", "weights")]))


def series(folder, heeds):
    """Steps that are all zero are masked: their mean is that of the others, or a product with all of them."""
    made, node = onnx_models, onnx_models.helper.make_node
    nodes = [
        node("Abs", ["x"], ["sizes"], name="sizes"),
        node("ReduceMax", ["sizes", "last"], ["largest"], name="largest", keepdims=1),
        node("Greater", ["largest", "nothing"], ["there"], name="there"),
        node("Cast", ["there"], ["flags"], name="flags", to=made.FLOAT),
        node("Mul", ["x", "flags"], ["masked"], name="masked"),
        node("Mul", ["masked", "places"], ["placed"], name="placed"),
        node("Mul", ["placed", "flags"], ["left"], name="left") if heeds else node("Identity", ["placed"], ["left"]),
        node("ReduceSum", ["left", "first"], ["y"], name="sum", keepdims=0),
    ]
    constants = [
        made.constant("last", [2]), made.constant("first", [1]), made.constant("nothing", 0, np.float32),
        made.weights("places", 1, STEPS, 1, seed=3),
    ]  # fmt: skip
    inputs, outputs = [made.tensor("x", ["batch", STEPS, 3])], [made.tensor("y", ["batch", 3])]
    return made.save(made.model(nodes, inputs, outputs, constants), folder / "series.onnx")


@pytest.mark.parametrize("heeds", [True, False], ids=["heeded", "ignored"])
def test_what_a_product_with_a_mask_leaves_is_replaced(heeds):
    values = (np.random.default_rng(1).standard_normal((7, STEPS, 3)) * COUNTED[:, :, None]).astype(np.float32)
    report = run(Case("x", "onnx", partial(series, heeds=heeds), data=lambda: {"x": values}, masks=("x=0",)))
    errors = [(finding.rule, finding.layer) for finding in report.findings if finding.severity == "error"]
    assert (report.verdict, errors) == (("pass", []) if heeds else ("fail", [("KMR201", "sum")]))
