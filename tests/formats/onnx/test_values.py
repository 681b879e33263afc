"""What NumPy has no dtype for, values in parts, and taps that must not change what follows."""

import ml_dtypes
import numpy as np
import pytest
from zoo import onnx_models

from kmr_cli.errors import BatchError, ModelFileError
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions, Taps

OPTIONS = OpenOptions()


@pytest.fixture
def opened(request, tmp_path):
    path = onnx_models.save(onnx_models.BY_HAND[request.param](), tmp_path / "model.onnx")
    found = detect(path)
    session = found.open(path, OPTIONS)
    yield session
    session.close()


def run(session, batch, *layers, **options):
    values = {}
    taps = Taps(layers or tuple(layer.path for layer in session.layers))
    outputs = session.capture(batch, taps, lambda *tap: values.update({tap[:3]: np.array(tap[3])}), **options)
    return values, outputs


@pytest.mark.parametrize("opened", ["dtypes"], indirect=True)
def test_dtypes_that_numpy_lacks(opened):
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    values, outputs = run(opened, {"x": x})
    for name, dtype in (("brain", "bfloat16"), ("eight", "float8_e4m3fn"), ("half", "float16")):
        expected = x.astype(np.dtype(getattr(ml_dtypes, dtype, dtype)))
        assert outputs[name].dtype.name == dtype
        assert outputs[name].tobytes() == expected.tobytes()
    four = outputs["four"]
    assert four.dtype.name == "int4"
    assert four.astype(int).tolist() == np.clip(np.rint(x / 0.5), -8, 7).astype(int).tolist()
    assert values["to_bfloat16", 0, "out0"].tobytes() == outputs["brain"].tobytes()
    assert outputs["larger"].dtype == bool
    assert outputs["larger"].tolist() == (outputs["brain"].astype(np.float32) > x).tolist()


@pytest.mark.parametrize("opened", ["brain_input"], indirect=True)
def test_bfloat16_comes_in(opened):
    (spec,) = opened.inputs
    assert spec.dtype == "bfloat16"
    x = np.arange(-3, 3, dtype=np.float32).reshape(2, 3).astype(ml_dtypes.bfloat16)
    values, outputs = run(opened, {"x": x})
    assert outputs["y"].astype(np.float32).tolist() == (2 * x.astype(np.float32)).tolist()
    assert values["widen", 0, "in0"].tobytes() == x.tobytes()


@pytest.mark.parametrize("opened", ["sequences"], indirect=True)
def test_sequences_come_in_parts(opened):
    x = np.arange(8, dtype=np.float32).reshape(2, 4) - 5
    values, outputs = run(opened, {"x": x})
    assert list(outputs) == ["y", "parts.0", "parts.1"]
    assert outputs["parts.1"].tolist() == x[:, 2:].tolist()
    assert values["split", 0, "out0.0"].tolist() == x[:, :2].tolist()
    assert values["at", 0, "in0.1"].tolist() == values["at", 0, "out0"].tolist() == x[:, 2:].tolist()


@pytest.mark.parametrize("opened", ["text"], indirect=True)
def test_text_is_bytes(opened):
    words = np.array([b"SPAM", "Eggs", "ham"], dtype=object)
    values, outputs = run(opened, {"words": words})
    assert outputs["number"].tolist() == [1, 2, 0]
    assert outputs["lower"].tolist() == [b"spam", b"eggs", b"ham"]
    assert values["lower", 0, "in0"].tolist() == [b"SPAM", b"Eggs", b"ham"]
    assert run(opened, {"words": np.array(["spam", "eggs"])})[1]["number"].tolist() == [1, 2]


@pytest.mark.parametrize("opened", ["optional"], indirect=True)
def test_an_optional_is_what_it_holds(opened):
    values, outputs = run(opened, {"x": np.ones((2, 4), np.float32)})
    assert outputs["y"].tolist() == [[-1] * 4] * 2
    assert values["wrap", 0, "out0"].tolist() == values["unwrap", 0, "in0"].tolist() == [[1] * 4] * 2


def test_maps_have_keys_and_a_row_of_values_each():
    path = onnx_models.EXPORTED / "sklearn-words.onnx"
    session = detect(path).open(path, OPTIONS)
    x = np.random.default_rng(1).normal(size=(4, 5)).astype(np.float32)
    values, outputs = run(session, {"X": x})
    assert list(outputs) == ["output_label", "output_probability.values"]  # the classes' names aren't an answer
    keys = values["ZipMap", 0, "out0.keys"]
    assert keys.tolist() == [b"eggs", b"ham", b"spam"]
    rows = outputs["output_probability.values"]
    assert rows.shape == (4, 3)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows.sum(1), 1, rtol=1e-6)
    best = [keys[place] for place in rows.argmax(1)]
    assert outputs["output_label"].tolist() == best
    assert any(tap[2] == "out0.values" for tap in values)


def test_observing_half_precision_changes_nothing():
    """Where the CPU computes in float32, an output in between would round what the next operator gets."""
    path = onnx_models.EXPORTED / "half-new.onnx"
    session = detect(path).open(path, OPTIONS)
    image = np.random.default_rng(0).normal(size=(3, 2, 6, 4)).astype(np.float16)
    everything, _ = run(session, {"image": image})
    assert {value.dtype.name for value in everything.values()} == {"float16", "float32"}
    for layer in session.layers:
        alone, _ = run(session, {"image": image}, layer.path, stop=True)
        assert alone
        for tap, value in alone.items():
            assert value.tobytes() == everything[tap].tobytes(), tap


@pytest.mark.parametrize("opened", ["plain"], indirect=True)
def test_an_input_that_is_missing(opened):
    with pytest.raises(BatchError, match="'x' is not in the batch"):
        opened.capture({}, Taps(()))


@pytest.mark.parametrize("opened", ["loop", "branch", "scan"], indirect=True)
def test_loops_and_branches_are_tapped_from_outside(opened):
    shape = (3, 5, 2) if any(layer.type == "Scan" for layer in opened.layers) else (3, 4)
    values, outputs = run(opened, {"x": np.random.default_rng(0).normal(size=shape).astype(np.float32)})
    (path,) = [layer.path for layer in opened.layers if layer.type in ("Loop", "If", "Scan")]
    assert {tap[2][:2] for tap in values if tap[0] == path} == {"in", "ou"}
    assert outputs["y"].shape[0] == 3


def scaled(folder):
    """A number that is the same for the whole batch is an input, beside the batch."""
    nodes = [
        onnx_models.helper.make_node("Mul", ["x", "by"], ["a"], name="scale"),
        onnx_models.helper.make_node("Add", ["a", "shift"], ["y"], name="shift"),
    ]
    inputs = [onnx_models.tensor("x", ["b", 3]), onnx_models.tensor("by", []), onnx_models.tensor("shift", [3])]
    made = onnx_models.model(nodes, inputs, [onnx_models.tensor("y", ["b", 3])])
    return onnx_models.save(made, folder / "scaled.onnx")


def test_inputs_that_hold_no_samples_are_given_as_constants(tmp_path):
    path = scaled(tmp_path)
    options = OpenOptions(constants=(("by", 2), ("shift", (1, 0, 0.5))))
    found = detect(path)
    assert [one.name for one in found.describe(path, options).inputs] == ["x"]
    session = found.open(path, options)
    assert [one.name for one in session.inputs] == ["x"]
    values, outputs = run(session, {"x": np.ones((2, 3), np.float32)})
    assert outputs["y"].tolist() == [[3, 2, 2.5]] * 2
    assert values["scale", 0, "in1"].tolist() == 2


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ((("other", 1),), "has no input 'other'"),
        ((("by", "much"),), "of dtype float32, not 'much'"),
        ((("shift", (1, 2)),), "has a different shape"),
    ],
)
def test_constants_that_do_not_fit(constants, message, tmp_path):
    path = scaled(tmp_path)
    with pytest.raises(ModelFileError, match=message):
        detect(path).describe(path, OpenOptions(constants=constants))
