"""Files of a later Keras than the one that is installed, as Python 3.10 gets them: it has no Keras after 3.12."""

import json
import re
import zipfile

import h5py
import keras
import numpy as np
import pytest

from kmr_cli.errors import KmrError
from kmr_cli.formats.interface import OpenOptions, Taps
from kmr_cli.formats.keras import archive as keras_archive
from kmr_cli.formats.keras import hdf5 as keras_h5
from kmr_cli.formats.keras.run.load import newer_than_installed

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning"),
]
NEXT = "99.1.0"


def edited(model, options=None, **changes):
    """The model's config as text, with these changes to the entry of the layer ``head``, and to its own options."""
    head = next(layer for layer in model["config"]["layers"] if layer["config"]["name"] == "head")
    head["config"].update(options or {})
    head.update(changes)
    return json.dumps(model)


@pytest.fixture
def saved(tmp_path):
    """Saves a small model as if a Keras of that version had written it, with changes to one layer."""

    def save(suffix, version, **changes):
        model = keras.Sequential(
            [keras.Input((4,), name="x"), keras.layers.Dense(3, name="body"), keras.layers.Dense(2, name="head")]
        )
        written, path = tmp_path / f"written{suffix}", tmp_path / f"m{suffix}"
        model.save(written)
        if suffix == ".h5":
            with h5py.File(written, "r+") as file:
                file.attrs["keras_version"] = version
                file.attrs["model_config"] = edited(json.loads(file.attrs["model_config"]), **changes)
            return written.rename(path)
        with zipfile.ZipFile(written) as source, zipfile.ZipFile(path, "w") as target:
            for name in source.namelist():
                data = source.read(name)
                if name == "config.json":
                    data = edited(json.loads(data), **changes)
                elif name == "metadata.json":
                    data = json.dumps({**json.loads(data), "keras_version": version})
                target.writestr(name, data)
        return path

    return save


def refusal(path):
    module = keras_h5 if path.suffix == ".h5" else keras_archive
    session = module.open(path, OpenOptions())
    assert [layer.path for layer in module.describe(path, OpenOptions()).layers][-2:] == ["body", "head"]
    with pytest.raises(KmrError) as caught:
        session.capture({"x": np.zeros((3, 4), np.float32)}, Taps(("head",)))
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 250
    return caught.value


UNKNOWN = {"options": {"from_the_future": None}}


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_an_option_of_a_later_keras_names_both_versions(saved, suffix):
    error = refusal(saved(suffix, NEXT, **UNKNOWN))
    start = f"m{suffix}: written by Keras {NEXT}, which the installed Keras {keras.__version__} cannot load ("
    assert error.message.startswith(start)
    assert "from_the_future" in error.message
    assert error.hint.startswith(f"pip install --upgrade 'keras>={NEXT}'")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_an_unknown_option_in_a_file_of_this_keras_is_reported_as_it_is(saved, suffix):
    error = refusal(saved(suffix, keras.__version__, **UNKNOWN))
    assert re.fullmatch(rf"m\{suffix}: Keras cannot load it: .*Dense.*from_the_future.*", error.message)
    assert "could not be deserialized" not in error.message


def test_a_layer_of_a_later_keras_is_not_a_custom_class(saved):
    error = refusal(saved(".keras", NEXT, module="keras.layers", class_name="Wonder"))
    assert f"written by Keras {NEXT}" in error.message
    assert "--import" not in error.hint


def test_a_custom_class_stays_one_in_a_file_of_a_later_keras(saved):
    error = refusal(saved(".keras", NEXT, module="shop.layers", class_name="Cart", registered_name="Shop>Cart"))
    assert "unknown custom class or function 'Cart'" in error.message
    assert "--import" in error.hint


@pytest.mark.parametrize(
    ("writer", "newer"),
    [
        ("4.0.0", "4.0.0"),
        ("3.20", "3.20"),
        ("3.20.0.dev2026", "3.20.0"),
        ("99.1'; echo", "99.1"),
        ("3.13.9", None),
        ("3.9.2", None),
        ("9" * 5000 + ".1", None),
        (None, None),
        ("soon", None),
    ],
)
def test_which_version_is_newer(monkeypatch, writer, newer):
    monkeypatch.setattr(keras, "__version__", "3.13.1")
    assert newer_than_installed(writer) == (newer and (newer, "3.13.1"))
