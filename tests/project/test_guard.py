"""The project guards its own sample models with its pytest plugin, as any project may guard its models.

After a change that is meant: ``make models``, ``python sample_models/take_snapshots.py``, or
``pytest tests/test_guard.py --kmr-update``.
"""

import importlib.util
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "sample_models"
_SPEC = importlib.util.spec_from_file_location("sample_models_snapshots", FOLDER / "take_snapshots.py")
snapshots = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(snapshots)


def guarded(name):
    return pytest.param(name, id=name, marks=pytest.mark.kmr_model(FOLDER / name))


@pytest.mark.slow
@pytest.mark.parametrize("name", [guarded(name) for name in snapshots.DATA])
def test_its_samples_stay_apart_and_it_does_what_it_did(kmr_model, name):
    batch = FOLDER / snapshots.DATA[name]
    assert kmr_model.assert_batch_independent(batch).taps
    comparison = kmr_model.assert_matches_snapshot(snapshots.place_of(name, FOLDER), batch)
    assert comparison is None or not comparison.by_order  # None: written just now


@pytest.mark.kmr_model(FOLDER / "digits_traced.pt")
def test_the_snapshot_of_another_model_is_not_matched(kmr_model, request):
    if request.config.getoption("kmr_update"):
        pytest.skip("would write what it is meant to refuse")
    with pytest.raises(AssertionError, match="KMR4"):
        kmr_model.assert_matches_snapshot(snapshots.place_of("windows.pt", FOLDER), FOLDER / "digits.npz")


def test_every_sample_model_is_guarded():
    models = {
        path.name
        for path in FOLDER.iterdir()
        if path.suffix in (".keras", ".h5", ".pt", ".onnx") or path.name.endswith("_savedmodel")
    }
    assert models == set(snapshots.DATA)
    kept = {path.name for path in (FOLDER / "snapshots").iterdir()}
    assert kept == {snapshots.place_of(name, FOLDER).name for name in models}
