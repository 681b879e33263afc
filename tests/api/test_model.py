"""The Python interface."""

import os
import signal
import time

import numpy as np
import pytest
from zoo.samples import HOME, batch_of, python

from kmr_cli import open_model
from kmr_cli.api.model import opened
from kmr_cli.config.samples import least_size, parse_index, resolve_index
from kmr_cli.errors import BatchError, KmrError, LayerError, ModelFileError, ModelRunError
from kmr_cli.process import place

MODEL = HOME / "digits_scripted.pt"
DATA = HOME / "digits.npz"


class TestIndex:
    @pytest.mark.parametrize(
        ("text", "samples"),
        [
            ("4", [4]),
            ("-1", [9]),
            ("0:3", [0, 1, 2]),
            ("1,4,7", [1, 4, 7]),
            ("7:", [7, 8, 9]),
            (" 2 , 2,0:2", [2, 0, 1]),
        ],
    )
    def test_as_typed(self, text, samples):
        assert resolve_index(parse_index(text), 10) == samples
        assert resolve_index(text, 10) == samples  # Python takes the same text

    @pytest.mark.parametrize("text", ["", "a", "1;2", "1.5", "0:3:2", "1:a"])
    def test_not_an_index(self, text):
        with pytest.raises(BatchError, match="not a sample index"):
            parse_index(text)

    def test_as_given_in_python(self):
        assert resolve_index(np.int64(3), 10) == [3]
        assert resolve_index(slice(None, None, 4), 10) == [0, 4, 8]
        assert resolve_index([0, slice(8, None)], 10) == [0, 8, 9]

    def test_text_asks_for_a_batch_that_holds_it(self):
        assert least_size("0:3,11") == 12

    @pytest.mark.parametrize("index", [10, -11, [0, 99]])
    def test_outside(self, index):
        with pytest.raises(BatchError, match="outside the batch, which holds 10 samples"):
            resolve_index(index, 10)

    def test_nothing(self):
        with pytest.raises(BatchError, match="selects no sample"):
            resolve_index(slice(5, 5), 10)


@pytest.fixture(scope="module")
def model():
    with open_model(MODEL) as opened:
        yield opened


def child_of(model):
    """The child process that a model keeps, or None."""
    return opened(model)._place._child


def test_one_interpreter_describes_model_after_model_until_one_is_run():
    with open_model(MODEL) as one, open_model(HOME / "digits.keras") as other:
        assert [layer.path for layer in one.layers][:2] == ["conv1", "bn1"]
        assert one.inputs[0].name == "image"
        assert "digits_scripted.pt" in repr(one)
        assert child_of(one) is child_of(other) is None
        described = place._spare._kept
        assert one.sample("conv1", 4, DATA)
        assert child_of(one) is described  # it has imported what the model needs in part already
        assert child_of(other) is place._spare._kept is None


def test_an_interpreter_is_not_used_where_another_would_be_started(monkeypatch):
    with open_model(MODEL):
        first = place._spare._kept
    monkeypatch.setenv("KMR_TEST", "1")
    with open_model(MODEL):
        assert place._spare._kept not in (None, first)
    assert not first.alive


def test_a_spare_interpreter_that_was_killed_does_no_harm():
    with open_model(MODEL):
        spare = place._spare._kept
        os.kill(spare._pid, signal.SIGKILL)
        while spare.usable():
            time.sleep(0.01)
    with open_model(MODEL) as model:
        assert model.layers


def test_a_closed_model_says_so(model):
    with open_model(MODEL) as other:
        pass
    other.close()
    for ask in (
        lambda: other.sample("conv1", 4, DATA),
        lambda: other.snapshot(DATA),
        lambda: other.check_batch_axis(DATA),
    ):
        with pytest.raises(KmrError, match="the model is closed") as caught:
            ask()
        assert "open_model" in caught.value.hint
    assert other.layers == model.layers  # what its file declares is still known


def test_a_model_at_rest_runs_again():
    with open_model(MODEL) as other:
        opened(other).rest()
        assert child_of(other) is None
        assert other.sample("conv1", 4, DATA)
        opened(other).rest()
        assert child_of(other) is None
        assert other.sample("conv1", 4, DATA)


@pytest.mark.parametrize(
    "shapes", ["8,8,1", "image=8,8,1", (8, 8, 1), {"image": "8,8,1"}, {None: (8, 8, 1)}, ["image=8,8,1"]]
)
def test_shapes_as_on_the_command_line(model, shapes):
    (record,) = model.sample("conv1", 1, shapes=shapes, side="out", verify=False)
    assert sorted(record.shape[1:]) == [8, 8, 16]


@pytest.mark.parametrize("shapes", ["8,x", {"image": "8,x"}, {"other": "8,8,1"}, 3, {"image": 3}, ["8,8,1", "8,8,1"]])
def test_what_is_not_a_shape(model, shapes):
    with pytest.raises(BatchError):
        model.sample("conv1", 1, shapes=shapes)


def test_only_what_a_user_calls_is_offered(model):
    offered = {name for name in dir(model) if not name.startswith("_")}
    assert offered == {
        "check_batch_axis", "check_by_proof", "close", "dump", "info", "inputs", "layers", "path", "prove", "sample",
        "snapshot", "trace", "versions",
    }  # fmt: skip


@pytest.mark.parametrize("data", [DATA, str(DATA), batch_of(MODEL.name), batch_of(MODEL.name)["image"], [str(DATA)]])
def test_data_of_every_kind(model, data):
    (record,) = model.sample("conv1", 4, data, side="out")
    assert record.index.kind == "separated"
    assert record.sample == 4


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (3, r"a layer must be text, not 3 \(int\)"),
        (None, r"a layer must be text, not None \(NoneType\)"),
        ([3], r"a layer must be text, not 3 \(int\)"),
        ([], "no layer"),
    ],
)
def test_what_is_not_a_layer(model, layer, message):
    with pytest.raises(LayerError, match=message):
        model.sample(layer, 4, DATA)


@pytest.mark.parametrize("index", [1.5, None, True, [0, "1"], "x"])
def test_what_is_not_an_index(model, index):
    with pytest.raises(BatchError, match="not a sample index"):
        model.sample("conv1", index, DATA)


def test_the_child_stays_between_samples(model):
    model.sample("conv1", 0, DATA)
    first = child_of(model)
    model.sample("conv2", 1, DATA)
    assert child_of(model) is first


def test_a_dead_child_is_replaced():
    with open_model(MODEL) as model:
        model.sample("conv1", 0, DATA)
        os.kill(child_of(model)._pid, signal.SIGKILL)
        with pytest.raises(ModelRunError):
            model.sample("conv1", 0, DATA)
        (record,) = model.sample("conv1", 0, DATA, side="out")
        assert record.index.kind == "separated"


def test_an_error_leaves_the_child_usable(model):
    with pytest.raises(LayerError):
        model.sample("conv1", 0, DATA, call=7)
    with pytest.raises(LayerError, match="in, out or both, not 'up'"):
        model.sample("conv1", 0, DATA, side="up")
    assert model.sample("conv1", 0, DATA)


def test_first_rows_are_the_batch_and_the_rest_replaces(model):
    (record,) = model.sample("conv1", -1, DATA, side="out", size=3)
    assert record.sample == 2
    assert record.shape[0] == 3
    with pytest.raises(BatchError, match="a batch of 99 samples, but the data holds 11"):
        model.sample("conv1", 0, DATA, size=99)


def test_synthetic_batch_is_large_enough_for_the_index(model):
    (record,) = model.sample("conv1", 20, shapes={"image": (8, 8, 1)}, side="out")
    assert record.shape[0] > 20
    with pytest.raises(BatchError, match="outside the batch"):
        model.sample("conv1", 10_000, shapes={"image": (8, 8, 1)})


def test_missing_files():
    with pytest.raises(ModelFileError):
        open_model("none.keras")


def test_versions(model):
    assert model.versions["torch"].startswith("2.")
    assert {"kmr_inspect", "python", "numpy"} < set(model.versions)


class TestLiveModels:
    def test_scriptmodule_is_left_as_it_was(self):
        import torch

        live = torch.jit.load(str(MODEL)).eval()
        image = torch.from_numpy(batch_of(MODEL.name)["image"])
        graph = str(live.graph)
        with open_model(live, in_process=True) as model:
            (record,) = model.sample("conv1", 4, {"image": image.numpy()}, side="out")
        assert record.index.kind == "separated"
        assert str(live.graph) == graph

    def test_keras_model(self):
        import keras

        live = keras.models.load_model(HOME / "digits.keras")
        batch = batch_of("digits.keras")
        with open_model(live, in_process=True) as model:
            (record,) = model.sample("head", 4, batch, side="out")
        assert np.array_equal(record.value, np.asarray(live(batch["image"], training=False))[4])

    def test_live_models_cannot_be_sent_elsewhere(self):
        with pytest.raises(KmrError, match="a live list cannot be sent"):
            open_model([1])
        with pytest.raises(KmrError, match="a list isn't a model"):
            open_model([1], in_process=True)

    def test_a_file_in_this_process(self):
        with open_model(MODEL, in_process=True) as model:
            assert model.sample("conv1", 4, DATA)[0].index.kind == "separated"
            assert isinstance(opened(model)._place, place.Here)


def test_a_notebook_with_tensorflow_loaded_looks_into_a_model_of_another_framework():
    script = (
        "import tensorflow, kmr_cli, sys\n"
        f"with kmr_cli.open_model({str(HOME / 'digits.onnx')!r}) as model:\n"
        f"    print(model.sample('head', 4, {str(DATA)!r}, side='out')[0].index.kind, 'onnxruntime' in sys.modules)\n"
    )
    run = python("-c", script)
    assert run.stdout == "separated False\n", run.stderr
