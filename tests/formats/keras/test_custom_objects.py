"""Classes that are not registered, given in Python."""

import sys

import keras
import numpy as np
import pytest
from zoo import keras as zoo

from kmr_cli import check_batch_axis, open_model
from kmr_cli.errors import KmrError, ModelFileError, ModelLoadError

pytestmark = [pytest.mark.filterwarnings(line) for line in zoo.KERAS_WARNS]
SOURCE = """
import keras

class Centred(keras.layers.Layer):
    def __init__(self, axis=1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, x):
        return x - keras.ops.mean(x, axis=self.axis, keepdims=True)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}
"""
NAME = "kmr_custom_centred"
X = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)


@pytest.fixture
def centred(tmp_path, monkeypatch):
    (tmp_path / f"{NAME}.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    yield __import__(NAME).Centred
    sys.modules.pop(NAME, None)


def saved(kind, folder, axis, file="m.keras"):
    x = keras.Input((4,), name="x")
    keras.Model(x, kind(axis, name="centred")(keras.layers.Dense(4, name="d")(x))).save(folder / file)
    return folder / file


@pytest.mark.parametrize("file", ["m.keras", "m.h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_they_are_used_under_the_names_of_the_file(tmp_path, centred, file):
    for axis, verdict in ((1, "pass"), (0, "fail")):
        path = saved(centred, tmp_path, axis, file)
        with open_model(path, custom_objects={"Centred": centred}, in_process=True) as model:
            assert model.check_batch_axis(X).verdict == verdict
    with open_model(path, in_process=True) as model, pytest.raises(ModelLoadError, match="Centred"):
        model.check_batch_axis(X)


def test_a_package_may_hand_on_what_its_module_defines(tmp_path, monkeypatch):
    package = tmp_path / "kmr_custom_package"
    package.mkdir()
    (package / "inner.py").write_text(SOURCE)
    (package / "__init__.py").write_text("from kmr_custom_package.inner import Centred\n")
    monkeypatch.syspath_prepend(tmp_path)
    path = saved(__import__("kmr_custom_package").Centred, tmp_path, 1)
    with open_model(path, imports=["kmr_custom_package"], in_process=True) as model:
        assert model.check_batch_axis(X).verdict == "pass"
    with open_model(path, in_process=True) as model, pytest.raises(ModelLoadError) as caught:
        model.check_batch_axis(X)
    assert "--import MODULE" in caught.value.hint
    assert "custom_objects={'Centred': …}" in caught.value.hint


def test_another_process_imports_them(tmp_path, centred):
    path = saved(centred, tmp_path, 0)
    assert check_batch_axis(path, X, custom_objects={"Centred": centred}).verdict == "fail"


def test_what_another_process_cannot_import_says_so(tmp_path):
    class Local(keras.layers.Layer):
        def __init__(self, axis=1, **kwargs):
            super().__init__(**kwargs)

        def call(self, x):
            return x

    path = saved(Local, tmp_path, 1)
    with pytest.raises(KmrError, match="custom_objects: 'Local' is defined where the process") as error:
        open_model(path, custom_objects={"Local": Local})
    assert "in_process=True" in str(error.value)
    with open_model(path, custom_objects={"Local": Local}, in_process=True) as model:
        assert model.check_batch_axis(X).verdict == "pass"


@pytest.mark.parametrize("objects", [{"A": 3}, [("A", int)], {1: int}])
def test_nonsense_is_refused(objects):
    with pytest.raises(KmrError, match="custom_objects takes a dictionary"):
        open_model("m.keras", custom_objects=objects)


def test_other_formats_have_none(tmp_path):
    sample = zoo.__file__
    from pathlib import Path

    path = Path(sample).parents[2] / "sample_models" / "digits_scripted.pt"
    with pytest.raises(ModelFileError, match="no classes of Keras"):
        open_model(path, custom_objects={"A": int})
