"""Files that hold the bundled layers open without being told where these come from."""

import json
import sys
import zipfile

import keras
import numpy as np
import pytest
from zoo.samples import HOME, command, python

from kmr_cli import layers, open_model
from kmr_cli.errors import ModelLoadError
from kmr_cli.formats.keras.run.bundled import import_bundled_layers

# Keras' own conversion to NumPy, when it saves.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
X = np.random.default_rng(1).normal(size=(3, 13, 5)).astype(np.float32)


def selector():
    """Clusters and the two highest of them for every item."""
    items = keras.Input((13, 5), name="items")
    clusters = layers.SpatialFeatureClustering(7, name="clusters")(items)
    indices, scores = layers.TopKRecommendationSelector(2, name="top")(clusters)
    return keras.Model(items, [indices, layers.WeightedSum(2, initializer="ones", name="weigh")(scores)])


def as_written_by_kmr(path, **changes):
    """Rewrite an archive so that its config names the classes where the KMR package keeps them.

    Args:
        path: the archive.
        **changes: a class's constructor arguments, in place of its own.
    """

    def renamed(value):
        if isinstance(value, list):
            return [renamed(one) for one in value]
        if not isinstance(value, dict):
            return value
        value = {key: renamed(one) for key, one in value.items()}
        if str(value.get("module")).startswith("kmr_cli.layers"):
            name = value["class_name"]
            value["module"] = f"kmr.layers.{name}"
            value["config"] = {"name": value["config"]["name"], **changes.get(name, value["config"])}
        return value

    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["config.json"] = json.dumps(renamed(json.loads(members["config.json"]))).encode()
    assert b"kmr_cli" not in members["config.json"]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def values(path):
    """What leaves each layer last, for all three samples."""
    with open_model(path) as model:
        rows = {}
        for record in model.sample("*", [0, 1, 2], {"items": X}, side="out"):
            rows.setdefault((record.layer, record.port), []).append(record.value)
    return {layer: np.stack(found) for (layer, _), found in rows.items()}


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_opens_in_a_process_that_does_not_know_them(tmp_path, suffix):
    model = selector()
    model.save(tmp_path / f"model{suffix}")
    found = values(tmp_path / f"model{suffix}")
    np.testing.assert_array_equal(found["weigh"], np.asarray(model(X)[1]))


def test_opens_what_the_kmr_package_wrote_with_layers_that_compute_the_same(tmp_path):
    items = keras.Input((13, 5), name="items")
    kept = layers.ThresholdBasedMasking(0.5, name="keep")(items)
    best, _ = layers.TopKRecommendationSelector(2, name="top")(layers.TensorDimensionExpander(1, name="grow")(kept))
    path = tmp_path / "model.keras"
    model = keras.Model(items, [best, layers.DynamicBatchIndexGenerator(name="index")(items)])
    model.save(path)
    as_written_by_kmr(path, TopKRecommendationSelector={"k": 2}, ThresholdBasedMasking={"threshold": 0.5})
    found = values(path)
    assert found["index"].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(found["keep"], np.where(X >= 0.5, X, 0))


def test_says_so_where_the_kmr_package_computes_something_else(tmp_path):
    path = tmp_path / "model.keras"
    selector().save(path)
    as_written_by_kmr(path, SpatialFeatureClustering={"n_clusters": 7})
    with pytest.raises(ModelLoadError, match="n_clusters: this is the KMR package's own SpatialFeatureClustering"):
        values(path)


def test_a_class_that_the_user_registered_stays(monkeypatch):
    class Theirs(keras.layers.Layer):
        pass

    known = keras.saving.get_custom_objects()
    monkeypatch.setitem(known, "kmr.layers>WeightedSum", Theirs)
    for module in [name for name in sys.modules if name.startswith("kmr_cli.layers")]:
        monkeypatch.delitem(sys.modules, module)
    ours = {name: kind for name, kind in known.items() if name.startswith("kmr.layers>")}
    try:
        import_bundled_layers({"registered_name": "kmr.layers>WeightedSum"})
        assert "kmr_cli.layers" in sys.modules
        assert known["kmr.layers>WeightedSum"] is Theirs
    finally:
        known.update(ours)


@pytest.mark.parametrize(("name", "expected"), [("digits.keras", "[]"), ("recommender.keras", "['kmr_cli.layers']")])
def test_imports_them_only_where_they_are_needed(name, expected):
    script = (
        "import sys; from kmr_cli.formats import detect; from pathlib import Path\n"
        "from kmr_cli.formats.interface import OpenOptions\n"
        f"path = Path({str(HOME / name)!r}); detect(path).open(path, OpenOptions()).close()\n"
        "print(sorted({'kmr_cli.layers'} & set(sys.modules)))"
    )
    run = python("-c", script)
    assert run.stdout.strip() == expected, run.stderr


def test_on_the_command_line_without_import():
    arguments = ["sample", "recommender.keras", "--layer", "top", "--index", "4", "--input", "recommender.npz"]
    run = command(arguments, HOME)
    assert run.returncode == 0, run.stderr
    assert "TopKRecommendationSelector" in run.stdout
