"""Tapping Keras 3 models: the same bits as the bare model, nothing left behind, no more built than needed."""

import sys
import textwrap
from pathlib import Path

import keras
import ml_dtypes
import numpy as np
import pytest
from zoo import keras as zoo
from zoo.samples import python

from kmr_cli.errors import LayerError, MissingFrameworkError, ModelLoadError, ModelRunError
from kmr_cli.formats.common import frameworks
from kmr_cli.formats.interface import OpenOptions, Taps
from kmr_cli.formats.keras import archive as keras_archive
from kmr_cli.formats.keras.run import load

pytestmark = [pytest.mark.filterwarnings(line) for line in zoo.KERAS_WARNS]
OPTIONS = OpenOptions()
TESTS = Path(__file__).parents[2]


class Opened:
    def __init__(self, path):
        self.path = path
        self.info = keras_archive.describe(path, OPTIONS)
        self.session = keras_archive.open(path, OPTIONS)
        self.batch = zoo.batch_for(self.info.inputs)
        self.bare = keras.saving.load_model(path)
        self.everything = tuple(layer.path for layer in self.session.layers if not layer.untappable)

    def capture(self, *layers, session=None, **options):
        values = {}
        stop = options.pop("stop", False)

        def keep(layer, call, port, array):
            values[layer, call, port] = np.array(array)

        outputs = (session or self.session).capture(self.batch, Taps(layers, **options), keep, stop=stop)
        return values, outputs


@pytest.fixture(scope="session", params=sorted(zoo.MODELS))
def opened(request, tmp_path_factory):
    return Opened(zoo.saved(request.param, tmp_path_factory.mktemp("opened")))


@pytest.fixture(scope="session")
def functional(tmp_path_factory):
    return Opened(zoo.saved("functional", tmp_path_factory.mktemp("functional")))


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def test_outputs_equal_the_bare_model(opened):
    bare = zoo.run_bare(opened.bare, opened.batch)
    for layers in (opened.everything, ()):
        _, outputs = opened.capture(*layers)
        assert len(outputs) == len(bare)
        assert all(same(ours, theirs) for ours, theirs in zip(outputs.values(), bare, strict=True))


def test_values_equal_those_of_keras_own_intermediate_models(opened):
    """``keras.Model(inputs, layer.output)``: the way that Keras documents for functional models."""
    if opened.path.stem == "subclassed":
        pytest.skip("a subclassed model has no graph to cut")
    values, _ = opened.capture(*opened.everything)
    model = opened.bare if opened.bare._obj_type() == "Functional" else opened.bare._functional
    checked = 0
    for operation in model.operations:
        part = keras.Model(model.input, operation._inbound_nodes[0].output_tensors)
        wanted = zoo.run_bare(part, opened.batch)
        name = next(p for p in (operation.name, operation.name.rsplit("_", 1)[0]) if (p, 0, "out0") in values)
        for number, value in enumerate(wanted):
            assert same(values[name, 0, f"out{number}"], np.asarray(value)), name
            checked += 1
    assert checked >= len(model.operations)


def test_every_listed_layer_is_in_the_session_under_its_name(opened):
    live = {layer.path for layer in opened.session.layers}
    assert {layer.path for layer in opened.info.layers} <= live


def test_known_calls_and_ports_are_right(opened):
    values, _ = opened.capture(*opened.everything)
    for layer in opened.info.layers:
        if layer.untappable:
            continue
        calls = {call for path, call, _ in values if path == layer.path}
        if layer.calls is not None:
            assert calls == set(range(layer.calls)), layer.path
        for spec in (*layer.inputs, *layer.outputs):
            value = values.get((layer.path, 0, spec.name))
            if value is None:
                assert layer.calls is None
                continue
            if spec.shape is not None:
                assert len(spec.shape) == value.ndim
                assert all(told in (None, real) for told, real in zip(spec.shape, value.shape, strict=True))
            assert spec.dtype in (None, value.dtype.name), (layer.path, spec)


@pytest.mark.slow
def test_stopping_at_every_layer_gives_the_same_bits(opened):
    """Each layer in a session of its own: the part of the graph that is built changes nothing."""
    whole, _ = opened.capture(*opened.everything)
    for path in {layer for layer, _, _ in whole}:
        session = keras_archive.open(opened.path, OPTIONS)
        part, outputs = opened.capture(path, session=session, stop=True)
        expected = {tap: value for tap, value in whole.items() if tap[0] == path}
        assert outputs is None
        assert part.keys() == expected.keys(), path
        assert all(same(part[tap], expected[tap]) for tap in part), path


def test_only_the_part_that_is_needed_is_built(tmp_path, monkeypatch):
    opened = Opened(zoo.saved("sequential", tmp_path))
    monkeypatch.setattr(load, "_load_by_keras", lambda *_: pytest.fail("the quick way was not taken"))
    session = keras_archive.open(opened.path, OPTIONS)
    opened.capture("bn1", session=session, stop=True)
    assert [layer.name for layer in session._cut.model.layers] == ["conv1", "bn1"]
    kept = session._cut
    opened.capture("conv1", session=session, stop=True)
    assert session._cut is kept  # a Sequential model's earlier layers are in it
    opened.capture("pool", session=session, stop=True)
    assert [layer.name for layer in session._cut.model.layers] == ["conv1", "bn1", "conv2", "pool"]
    opened.capture("head", session=session, stop=True)
    assert session._whole is not None
    assert session._cut is None


def test_only_the_ancestors_in_a_graph_are_built(functional):
    session = keras_archive.open(functional.path, OPTIONS)
    functional.capture("words", session=session, stop=True)
    assert {operation.name for operation in session._cut.model.operations} == {"tokens", "words"}
    functional.capture("nested/deep", session=session, stop=True)
    built = {operation.name for operation in session._cut.model.operations}
    assert {"tokens", "words", "image", "shared", "nested"} <= built
    assert not built & {"block", "head", "read", "both"}
    functional.capture("get_item", session=session, stop=True)  # the nested model's config was not used up
    assert session._cut is not None
    functional.capture("add", session=session, stop=True)
    assert session._cut is not None
    assert "nested" in {operation.name for operation in session._cut.model.operations}


def test_what_the_quick_way_does_not_know_is_loaded_by_keras(tmp_path, monkeypatch):
    opened = Opened(zoo.saved("sequential", tmp_path))

    def refuse(*_):
        raise ValueError("a form that a later Keras may write")

    monkeypatch.setattr(load, "_load_quickly", refuse)
    session = keras_archive.open(opened.path, OPTIONS)
    values, _ = opened.capture("bn1", session=session, stop=True)
    whole, _ = opened.capture("bn1")
    assert session._cut is None
    assert all(same(values[tap], whole[tap]) for tap in whole)


def test_a_weight_left_unassigned_is_noticed(tmp_path, monkeypatch):
    """Without random numbers a forgotten weight would be zero: such a model goes to Keras instead."""
    path = zoo.saved("sequential", tmp_path)
    taken = []
    by_keras = load._load_by_keras
    monkeypatch.setattr(
        load, "_load_by_keras", lambda path, *rest, **named: taken.append(path) or by_keras(path, *rest, **named)
    )
    monkeypatch.setattr(keras.layers.BatchNormalization, "load_own_variables", lambda self, store: None)
    keras_archive.open(path, OPTIONS).capture(zoo.batch_for(keras_archive.describe(path, OPTIONS).inputs), Taps(()))
    assert taken == [path]


def test_nothing_stays_instrumented(opened):
    before = (keras.Operation.__call__, keras.Variable.assign, keras.initializers.GlorotUniform.__call__)
    from keras.src.ops.function import Function

    run = Function._run_through_graph
    opened.capture(*opened.everything)
    opened.capture(opened.everything[0], stop=True)
    with pytest.raises(KeyboardInterrupt):
        opened.session.capture(
            opened.batch, Taps(opened.everything), lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
    after = (keras.Operation.__call__, keras.Variable.assign, keras.initializers.GlorotUniform.__call__)
    assert after == before
    assert Function._run_through_graph is run


def test_what_the_sink_raises_arrives_unchanged(functional):
    class Mine(Exception):  # noqa: N818
        pass

    error = Mine("as it was")

    def refuse(layer, call, port, array):
        if layer == "block/stack/2":
            raise error

    with pytest.raises(Mine) as caught:
        functional.session.capture(functional.batch, Taps(functional.everything), refuse)
    assert caught.value is error


def test_stop_runs_nothing_after_the_last_value(functional):
    ran = []
    head = functional.session._build_whole().places.by_path["head"].layer
    original = type(head).call
    try:
        type(head).call = lambda self, *a, **k: ran.append(self.name) or original(self, *a, **k)
        functional.capture("join", stop=True)
        assert "head" not in ran
        functional.capture("head", stop=True, sides=("in",))
        assert "head" not in ran
        functional.capture("head", stop=True)
        assert "head" in ran
    finally:
        type(head).call = original


def test_calls_learned_in_one_pass_let_the_next_stop(tmp_path):
    opened = Opened(zoo.saved("subclassed", tmp_path))
    assert opened.session._calls.get("first") is None
    ran = []
    last = opened.session._build_whole().places.by_path["rest/1"].layer
    original = type(last).call
    try:
        type(last).call = lambda self, *a, **k: ran.append(self) or original(self, *a, **k)
        first, _ = opened.capture("first", stop=True)
        assert any(layer is last for layer in ran)
        ran.clear()
        second, _ = opened.capture("first", stop=True)
        assert not any(layer is last for layer in ran)
    finally:
        type(last).call = original
    assert all(same(first[tap], second[tap]) for tap in first)


def test_one_call_of_a_shared_layer(functional):
    both, _ = functional.capture("shared")
    one, _ = functional.capture("shared", calls=(1,), stop=True)
    assert {call for _, call, _ in both} == {0, 1}
    assert one.keys() == {("shared", 1, "in0"), ("shared", 1, "out0")}
    assert all(same(one[tap], both[tap]) for tap in one)
    assert same(both["shared", 1, "in0"], both["shared", 0, "out0"])
    with pytest.raises(LayerError, match="runs 2 times, so it has no call 5"):
        functional.capture("shared", calls=(5,))


def test_a_layer_and_a_model_that_run_three_times(tmp_path):
    entry = keras.Input((4,), name="entry")
    nested = keras.Model(entry, keras.layers.Dense(4, name="deep")(entry), name="nested")
    x = keras.Input((4,), name="x")
    first = nested(x)
    third = nested(nested(first))
    keras.Model(x, keras.layers.Dense(2, name="head")(third)).save(tmp_path / "m.keras")
    opened = Opened(tmp_path / "m.keras")
    values, _ = opened.capture("nested/deep", stop=True)
    assert opened.session._cut is not None
    assert {call for _, call, _ in values} == {0, 1, 2}
    assert all(same(values["nested/deep", i, "out0"], values["nested/deep", i + 1, "in0"]) for i in (0, 1))
    whole, _ = opened.capture("nested", "head")
    assert [same(whole["nested", i, "out0"], values["nested/deep", i, "out0"]) for i in range(3)] == [True] * 3
    assert same(whole["head", 0, "in0"], whole["nested", 2, "out0"])


def test_arguments_are_numbered_in_the_order_of_the_signature(tmp_path):
    opened = Opened(zoo.saved("keywords", tmp_path))
    values, _ = opened.capture(*opened.everything)
    assert [same(values["combine", 0, f"in{i}"], opened.batch["abc"[i]]) for i in range(3)] == [True] * 3
    query = opened.batch["query"]
    assert [same(values["attention", 0, f"in{i}"], q) for i, q in enumerate((query, query, -query))] == [True] * 3
    assert same(values["recurrent", 0, "in1"], values["combine", 0, "out0"])
    listed = {layer.path: layer for layer in opened.info.layers}
    assert len(listed["attention"].inputs) == 3
    assert listed["combine"].inputs == ()  # the config does not tell the order of a custom signature


def test_in0_is_what_call_receives_after_the_cast(tmp_path):
    opened = Opened(zoo.saved("mixed_bfloat16", tmp_path))
    values, _ = opened.capture(*opened.everything)
    assert values["x", 0, "out0"].dtype == np.float32
    assert values["half", 0, "in0"].dtype == ml_dtypes.bfloat16
    assert values["half", 0, "out0"].dtype == ml_dtypes.bfloat16
    assert same(values["half", 0, "in0"], opened.batch["x"].astype(ml_dtypes.bfloat16))
    assert values["full", 0, "in0"].dtype == np.float32


def test_masks_arrive_as_inputs(functional):
    values, _ = functional.capture("read")
    assert values["read", 0, "in1"].dtype == np.bool_
    assert same(values["read", 0, "in1"], functional.batch["tokens"] != 0)


def test_layers_that_cannot_be_tapped_say_why(functional):
    for path in ("read/cell", "steps/layer/inner"):
        with pytest.raises(LayerError, match="once per time step"):
            functional.capture(path)
    with pytest.raises(LayerError, match="no layer 'nowhere'"):
        functional.capture("nowhere")


def test_a_layer_that_does_not_run_says_so(functional):
    with pytest.raises(LayerError, match="does not run"):
        functional.capture("attention/_dropout_layer")
    functional.capture(*functional.everything)
    assert "attention/_dropout_layer" in functional.session.missed


def test_text(tmp_path):
    opened = Opened(zoo.saved("text", tmp_path))
    values, outputs = opened.capture(*opened.everything)
    assert values["words", 0, "out0"].dtype == object
    assert values["words", 0, "out0"].tolist() == opened.batch["words"].tolist()
    assert values["lookup", 0, "out0"].dtype == np.int64
    import tensorflow as tf

    bare = opened.bare(tf.constant(opened.batch["words"].tolist()), training=False)
    assert same(next(iter(outputs.values())), np.asarray(bare))
    part, _ = opened.capture("lookup", session=keras_archive.open(opened.path, OPTIONS), stop=True)
    assert same(part["lookup", 0, "out0"], values["lookup", 0, "out0"])


def test_a_live_model(functional):
    session = keras_archive.adopt(functional.bare)
    values, outputs = {}, None
    paths = tuple(layer.path for layer in session.layers if not layer.untappable)
    # A live model has only the live name of a layer whose class takes none.
    assert {"nameless" if path.startswith("nameless") else path for path in paths} == set(functional.everything)
    outputs = session.capture(functional.batch, Taps(paths), lambda *tap: values.update({tap[:3]: tap[3].copy()}))
    whole, expected = functional.capture(*functional.everything)
    assert len(values) == len(whole)
    assert all(same(values[tap], whole[tap]) for tap in values if not tap[0].startswith("nameless"))
    assert all(same(outputs[name], expected[name]) for name in expected)
    assert keras_archive.adopt(np.zeros(3)) is None


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_a_live_model_that_cannot_be_saved():
    class Own(keras.Model):
        def __init__(self, unserializable):
            super().__init__()
            self.a = keras.layers.Dense(2)
            self.b = [keras.layers.ReLU()]

        def call(self, x):
            return self.b[0](self.a(x))

    model = Own(object())
    x = np.ones((3, 4), "float32")
    bare = np.asarray(model(x))
    session = keras_archive.adopt(model)
    assert [layer.path for layer in session.layers] == ["a", "b/0"]
    outputs = session.capture({"inputs": x}, Taps(("a",)))
    assert same(outputs["out0"], bare)


# -- errors -------------------------------------------------------------------------------------------------------

MODULE = """
import keras

@keras.saving.register_keras_serializable("elsewhere")
class Scaled(keras.layers.Layer):
    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor
    def call(self, x):
        return x * self.factor
    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
"""


def run_in(folder, code, **environment):
    """Run code in a fresh interpreter; returns what it printed."""
    done = python("-c", textwrap.dedent(code), cwd=folder, PYTHONPATH=str(TESTS), **environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_custom_layers_come_with_import(tmp_path):
    (tmp_path / "my_layers.py").write_text(MODULE)
    run_in(
        tmp_path,
        """
        import keras, my_layers
        x = keras.Input((3,), name="x")
        keras.Model(x, my_layers.Scaled(3.0, name="scaled")(x)).save("m.keras")
        """,
    )
    path = tmp_path / "m.keras"
    with pytest.raises(ModelLoadError) as caught:
        keras_archive.open(path, OPTIONS).capture({"x": np.ones((2, 3), "float32")}, Taps(()))
    assert "'Scaled'" in caught.value.message
    assert "--import my_layers" in caught.value.hint
    printed = run_in(
        tmp_path,
        """
        from pathlib import Path
        import numpy as np
        from kmr_cli.formats.interface import OpenOptions, Taps
        from kmr_cli.formats.keras import archive as keras_archive
        session = keras_archive.open(Path("m.keras"), OpenOptions(imports=("my_layers",)))
        print(session.capture({"x": np.ones((2, 3), "float32")}, Taps(("scaled",)), print))
        """,
    )
    assert "scaled 0 out0 [[3. 3. 3.]" in printed


def test_a_module_to_import_that_is_not_there(tmp_path):
    with pytest.raises(ModelLoadError, match=r"imports=\['no_such_module_here'\]: there is no such module"):
        keras_archive.open(zoo.saved("sequential", tmp_path), OpenOptions(imports=("no_such_module_here",)))


def test_a_failing_run_names_the_layer(tmp_path):
    opened = Opened(zoo.saved("sequential", tmp_path))
    with pytest.raises(ModelRunError) as caught:
        opened.session.capture({"pixels": np.ones((2, 8, 8, 2), "float32")}, Taps(()))
    assert "\n" not in caught.value.message
    assert "the model failed" in caught.value.message


def test_a_missing_framework_names_the_extra(tmp_path, monkeypatch):
    path = zoo.saved("sequential", tmp_path)
    monkeypatch.setitem(sys.modules, "keras", None)
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.setattr(frameworks.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingFrameworkError) as caught:
        keras_archive.open(path, OPTIONS)
    assert caught.value.hint == "pip install 'kmr-inspect[tensorflow]'"


# -- the torch backend --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_torch_backend(tmp_path):
    """All of the zoo once more where Keras runs on torch: the same bits as the bare model there."""
    printed = run_in(
        tmp_path,
        """
        import warnings; warnings.simplefilter("ignore")
        from pathlib import Path
        import keras, numpy as np
        assert keras.backend.backend() == "torch"
        from zoo import keras as zoo
        from kmr_cli.formats.interface import OpenOptions, Taps
        from kmr_cli.formats.keras import archive as keras_archive
        import torch
        for name in sorted(zoo.MODELS):
            path = zoo.saved(name, Path("."))
            info = keras_archive.describe(path, OpenOptions())
            batch = zoo.batch_for(info.inputs)
            session = keras_archive.open(path, OpenOptions())
            paths = tuple(layer.path for layer in session.layers if not layer.untappable)
            values = {}
            def keep(*tap):
                assert not torch.is_grad_enabled()
                values[tap[:3]] = tap[3].copy()
            outputs = session.capture(batch, Taps(paths), keep)
            with torch.no_grad():
                model = keras.saving.load_model(path)
                bare = zoo.run_bare(model, batch)
            assert len(bare) == len(outputs)
            for ours, theirs in zip(outputs.values(), bare):
                assert ours.tobytes() == theirs.tobytes(), name
            path = paths[len(paths) // 2]
            other = keras_archive.open(Path(f"{name}.keras"), OpenOptions())
            part = {}
            other.capture(batch, Taps((path,)), lambda *tap: part.update({tap[:3]: tap[3].copy()}), stop=True)
            assert part and all(part[tap].tobytes() == values[tap].tobytes() for tap in part), (name, path)
            print(name, len(values))
        """,
        KERAS_BACKEND="torch",
    )
    assert [line.split()[0] for line in printed.splitlines()] == sorted(zoo.MODELS)
