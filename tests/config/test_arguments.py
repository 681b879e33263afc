"""What is asked for is refused in one line, and before the model runs where that can be known."""

import numpy as np
import pytest
from zoo.samples import HOME

from kmr_cli import open_model
from kmr_cli.batch.synthetic import advice, advised
from kmr_cli.config.arguments import least_records
from kmr_cli.config.samples import least_number
from kmr_cli.errors import BatchError, LayerError, ModelRunError, OutputError
from kmr_cli.records import LayerInfo, ModelInfo, TensorSpec
from kmr_cli.render.files.write import refuse_place

DATA = HOME / "digits.npz"


@pytest.fixture(scope="module")
def model():
    with open_model(HOME / "digits_scripted.pt") as opened:
        yield opened


class TestTypes:
    @pytest.mark.parametrize("call", ["0", 1.0, True, [0]])
    def test_call(self, model, call):
        with pytest.raises(LayerError, match="a call must be") as caught:
            model.sample("conv1", 0, DATA, call=call)
        assert type(call).__name__ in caught.value.message
        assert caught.value.hint

    @pytest.mark.parametrize("size", ["3", 2.5, True, [2]])
    def test_size(self, model, size):
        for ask in (lambda: model.sample("conv1", 0, DATA, size=size), lambda: model.check_batch_axis(DATA, size=size)):
            with pytest.raises(BatchError, match="a batch size must be") as caught:
                ask()
            assert type(size).__name__ in caught.value.message

    @pytest.mark.parametrize("seed", [None, "0", 0.5, False])
    def test_seed(self, model, seed):
        for ask in (lambda: model.sample("conv1", 0, DATA, seed=seed), lambda: model.check_batch_axis(DATA, seed=seed)):
            with pytest.raises(BatchError, match="a seed must be") as caught:
                ask()
            assert type(seed).__name__ in caught.value.message

    @pytest.mark.slow
    def test_numpy_numbers_are_numbers(self, model):
        records = model.sample("conv1", 0, DATA, size=np.int64(3), seed=np.int32(1), call=np.int8(0), side="out")
        assert [record.shape[0] for record in records] == [3]


@pytest.mark.slow
def test_a_model_that_fails_on_synthetic_data_says_how_to_give_its_own(model):
    with pytest.raises(ModelRunError) as caught:
        model.sample("head", 0, shapes={None: (3, 3, 1)})
    (name,) = (spec.name for spec in model.inputs)
    assert f"--input {name}=FILE.npy" in caught.value.hint
    assert "--shape" not in caught.value.hint  # it was given already


class TestAdvice:
    def info(self, *specs):
        return ModelInfo("m", "keras", "", specs, (), (), 0)

    def test_real_data_that_fails_is_not_called_synthetic(self):
        with pytest.raises(ModelRunError) as caught, advised(self.info(), synthetic=False):
            raise ModelRunError("broken")
        assert caught.value.hint is None

    def test_a_better_hint_stays(self):
        with pytest.raises(ModelRunError) as caught, advised(self.info(), synthetic=True):
            raise ModelRunError("broken", "try a smaller batch (--batch-size)")
        assert caught.value.hint == "try a smaller batch (--batch-size)"

    def test_a_shape_is_asked_for_only_where_it_is_free(self):
        fixed = TensorSpec("image", (None, 8, 8, 1))
        assert "--shape" not in advice(self.info(fixed))
        both = advice(self.info(fixed, TensorSpec("steps", (None, None))))
        assert "--input image=FILE.npy --input steps=FILE.npy" in both
        assert "--shape image=8,8,1 --shape steps=N" in both


class TestLeast:
    LAYERS = (
        LayerInfo("a", "Dense", (TensorSpec("in0"),), (TensorSpec("out0"),)),
        LayerInfo("twice", "Add", (TensorSpec("in0"), TensorSpec("in1")), (TensorSpec("out0"),), calls=2),
        LayerInfo("unknown", "Linear", calls=None),
    )

    @pytest.mark.parametrize(
        ("paths", "sides", "call", "least"),
        [
            (["a"], ("in", "out"), None, 2),
            (["a"], ("out",), None, 1),
            (["twice"], ("in",), None, 4),
            (["twice"], ("in",), 1, 2),
            (["unknown"], ("in", "out"), None, 1),
            (["a", "unknown"], ("out",), None, 2),
            ([], ("out",), None, 1),
        ],
    )
    def test_records(self, paths, sides, call, least):
        assert least_records(self.LAYERS, paths, sides, call) == least

    @pytest.mark.parametrize(
        ("index", "filled", "least"),
        [
            ("4", False, 1),
            ("4,5", False, 2),
            ("4,-1", False, 1),
            ("4,4", False, 1),
            ("-1,-2", False, 2),
            ("0:8", False, 1),
            ("0:8", True, 8),
            ("0:8,9", True, 9),
            ("0:", True, 1),
        ],
    )
    def test_samples(self, index, filled, least):
        assert least_number(index, slices_are_filled=filled) == least


def test_a_link_to_nothing_is_refused_at_once(tmp_path):
    link = tmp_path / "out.npz"
    link.symlink_to(tmp_path / "nowhere.npz")
    with pytest.raises(OutputError, match="exists already"):
        refuse_place(link, overwrite=False)
    refuse_place(link, overwrite=True)
