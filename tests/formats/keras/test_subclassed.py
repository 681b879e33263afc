"""Subclassed models: what they were built on isn't a declaration, and inputs of any structure reach their call."""

import keras
import numpy as np
import pytest
from zoo import keras as zoo
from zoo import subclassed
from zoo.subclassed import rows, write

from kmr_cli import open_model
from kmr_cli.errors import BatchError, ModelLoadError
from kmr_cli.formats.keras.describe.call_inputs import MAX_NESTING, call_inputs

pytestmark = [pytest.mark.filterwarnings(line) for line in zoo.KERAS_WARNS]


def checked(path, data=None, **more):
    with open_model(path, in_process=True) as model:
        return model.check_batch_axis(data, **more)


def rules(report):
    return [finding.rule for finding in report.findings if finding.severity == "error"]


def inputs(path):
    with open_model(path, in_process=True) as model:
        return [(spec.name, spec.shape) for spec in model.info.inputs], model.info.fixed_batch


@pytest.mark.parametrize("count", [1, 2, 6])
def test_the_samples_it_was_built_on_are_not_declaration(tmp_path, count):
    path = write(subclassed.Plain(), tmp_path, rows(count, 3))
    assert inputs(path) == ([("inputs", (None, 3))], None)
    report = checked(path, rows(5, 3))
    assert report.verdict == "pass"
    assert len(set(report.batch_sizes)) > 2


def test_a_batch_size_in_the_code_is_found(tmp_path):
    path = write(subclassed.TwoRows(), tmp_path, rows(2, 3))
    for data in (None, rows(4, 3)):
        assert rules(checked(path, data)) == ["KMR102"]


def test_a_live_model_declares_nothing_either():
    model = subclassed.TwoRows()
    model(rows(2, 3))
    with open_model(model, in_process=True) as opened:
        assert [spec.shape for spec in opened.info.inputs] == [(None, 3)]
        assert rules(opened.check_batch_axis(rows(4, 3))) == ["KMR102"]


def test_a_functional_model_inside_declares_nothing_for_the_one_around(tmp_path):
    path = write(subclassed.Inner(), tmp_path, rows(2, 3))
    assert inputs(path) == ([("inputs", (None, 3))], None)
    assert checked(path).verdict == "pass"


STRUCTURES = {
    "dictionary": (subclassed.Dictionary, lambda n: {"z": rows(n, 5), "x_shape": rows(n, 3)}, ["x_shape", "z"]),
    "list": (subclassed.Pair, lambda n: [rows(n, 3), rows(n, 5)], ["input_0", "input_1"]),
    "tuple": (subclassed.Pair, lambda n: (rows(n, 3), rows(n, 5)), ["input_0", "input_1"]),
    "nested": (
        subclassed.Nested,
        lambda n: {"x": rows(n, 3), "side": [rows(n, 5), rows(n, 2)]},
        ["side.0", "side.1", "x"],
    ),
}


@pytest.mark.parametrize("kind", STRUCTURES)
@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
def test_structures(tmp_path, kind, live):
    build, structure, names = STRUCTURES[kind]
    path = write(build(), tmp_path, structure(2))
    bare = keras.saving.load_model(path)
    flat = keras.tree.flatten(structure(5))
    data = dict(zip(names, flat, strict=True))
    with open_model(bare if live else path, in_process=True) as model:
        assert [(spec.name, spec.shape) for spec in model.info.inputs] == [
            (name, (None, *array.shape[1:])) for name, array in data.items()
        ]
        assert model.check_batch_axis(data).verdict == "pass"
        assert model.check_batch_axis().verdict == "pass"
        (into,) = model.sample("b", 3, data, side="in")
    (wide,) = [array for array in flat if array.shape[1] == 5]
    assert np.array_equal(into.value, wide[3])


def test_several_arguments_that_the_file_tells(tmp_path):
    arguments = {"x": {"p": rows(2, 3)}, "z": [rows(2, 5)]}
    path = write(subclassed.BuiltArguments(), tmp_path, **arguments)
    assert inputs(path)[0] == [("z.0", (None, 5)), ("x.p", (None, 3))]
    assert checked(path).verdict == "pass"
    assert checked(path, {"x.p": rows(5, 3), "z.0": rows(5, 5)}).verdict == "pass"


@pytest.mark.filterwarnings("ignore::UserWarning")  # Keras': it cannot build the model
@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
def test_several_arguments_that_it_does_not(tmp_path, live):
    path = write(subclassed.Arguments(), tmp_path, rows(2, 3), rows(2, 5))
    missing = pytest.raises(ModelLoadError, match="call takes x, z, but the file does not declare the shape of 'z'")
    with open_model(keras.saving.load_model(path) if live else path, in_process=True) as model, missing as caught:
        model.check_batch_axis()
    assert "build(self, x_shape, z_shape)" in caught.value.hint


@pytest.mark.filterwarnings("ignore::UserWarning")  # Keras': it cannot build the model
def test_weights_that_keras_leaves_unread_are_not_weights(tmp_path):
    path = write(subclassed.BuiltLater(), tmp_path, rows(2, 3))
    with pytest.raises(ModelLoadError, match=r"cannot build BuiltLater .* weights were not read") as caught:
        checked(path)
    assert "define build()" in caught.value.hint


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_the_hint_says_is_right(tmp_path):
    """Keras builds a model from a functional one around it."""
    x, z = keras.Input((3,), name="x"), keras.Input((5,), name="z")
    model = keras.Model([x, z], subclassed.Arguments(name="two")(x, z))
    model.save(tmp_path / "m.keras")
    data = {"x": rows(4, 3), "z": rows(4, 5)}
    assert checked(tmp_path / "m.keras", data).verdict == "pass"


@pytest.mark.filterwarnings("ignore::UserWarning")  # Keras': it cannot build the model
@pytest.mark.parametrize(("kind", "form"), [(subclassed.Plain, "h5"), (subclassed.LooksAtValues, "keras")])
def test_a_file_that_names_no_input(tmp_path, kind, form):
    """h5 does not keep what a subclassed model was called on, nor does Keras where it cannot trace the call."""
    path = write(kind(), tmp_path, rows(2, 3), form=form)
    for data in (None, rows(4, 3)):
        with pytest.raises(BatchError, match="declares no input") as caught:
            checked(path, data)
        assert "save a subclassed Keras model as .keras" in caught.value.hint


@pytest.mark.parametrize("form", ["keras", "h5"])
def test_a_sequential_model_called_on_data(tmp_path, form):
    """Keras writes for it what it writes for a declared batch: the file's word stands, and a note says so."""
    path = write(keras.Sequential([keras.layers.Dense(3)]), tmp_path, rows(2, 3), form=form)
    with open_model(path, in_process=True) as model:
        assert model.info.fixed_batch == 2
        assert any("first called on 2 samples" in note for note in model.info.notes)
    free = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    free.save(tmp_path / "free.keras")
    with open_model(tmp_path / "free.keras", in_process=True) as model:
        assert (model.info.fixed_batch, model.info.notes) == (None, ())


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning")
@pytest.mark.parametrize("form", ["keras", "h5"])
def test_a_sequential_model_of_keras_2_called_on_data(tmp_path, form):
    """There the file tells one from the other."""
    tf_keras = pytest.importorskip("tf_keras")
    dense = tf_keras.layers.Dense
    path = write(tf_keras.Sequential([dense(3, name="d"), dense(2)]), tmp_path, rows(2, 3), form=form)
    assert inputs(path) == ([("d_input", (None, 3))], None)
    assert len(set(checked(path).batch_sizes)) > 2
    for model in (
        tf_keras.Sequential([dense(3, batch_input_shape=(2, 3), name="d")]),
        tf_keras.Sequential([tf_keras.Input((3,), batch_size=2), dense(3)]),
    ):
        assert inputs(write(model, tmp_path, rows(2, 3), form=form))[1] == 2


def test_a_subclassed_model_of_keras_2(tmp_path):
    tf_keras = pytest.importorskip("tf_keras")

    class Sum(tf_keras.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = tf_keras.layers.Dense(4), tf_keras.layers.Dense(4)

        def call(self, inputs):
            return self.a(inputs["x"]) + self.b(inputs["z"])

        def get_config(self):
            return {}

        @classmethod
        def from_config(cls, config):
            return cls()

    with tf_keras.utils.custom_object_scope({"Sum": Sum}):
        path = write(Sum(), tmp_path, {"x": rows(2, 3), "z": rows(2, 5)})
        assert inputs(path) == ([("x", (None, 3)), ("z", (None, 5))], None)
        assert checked(path).verdict == "pass"


class TestCallInputs:
    def names(self, shapes, **options):
        found = call_inputs(shapes, **{"by_argument": False, **options})
        return None if found is None else [(spec.name, spec.shape) for spec in found.specs]

    def test_absent_tensors_stay_absent(self):
        found = call_inputs({"x": [2, 3], "y": None}, by_argument=False)
        assert [spec.name for spec in found.specs] == ["x"]
        assert found.packed({"x": 7}) == (({"x": 7, "y": None},), {})

    def test_a_single_number_keeps_its_shape(self):
        assert self.names({"x": [2, 3], "t": []}) == [("t", ()), ("x", (None, 3))]

    @pytest.mark.parametrize("shapes", [None, {}, "text", {"x": "text"}, {"a.b": [2], "a": {"b": [2]}}, [[["x"]]]])
    def test_what_is_not_a_structure(self, shapes):
        assert self.names(shapes) is None

    def test_a_bottomless_structure(self):
        shapes = [2, 3]
        for _ in range(MAX_NESTING + 2):
            shapes = {"x": shapes}
        assert self.names(shapes) is None

    def test_arguments(self):
        assert self.names({"z_shape": [2, 5], "x_shape": {"k_shape": [2, 3]}}, by_argument=True) == [
            ("z", (None, 5)),
            ("x.k_shape", (None, 3)),
        ]
        assert self.names([[2, 3]], by_argument=True) is None
        assert self.names({"x_shape": [2, 3], "x": [2, 3]}, by_argument=True) is None

    def test_arguments_that_keras_fills_in(self):
        shapes = {"x_shape": [2, 3], "training_shape": [], "mask_shape": [2]}
        assert self.names(shapes, by_argument=True) == [("x", (None, 3))]
        assert call_inputs(shapes, by_argument=True).packed({"x": 7}) == ((), {"x": 7})
        assert self.names({"training_shape": []}, by_argument=True) is None
        assert self.names({"mask": [2, 3], "x": [2, 3]}) == [("mask", (None, 3)), ("x", (None, 3))]
