"""The project guards its own sample models with its pytest plugin, as any project may guard its models.

After a change that is meant: ``make models``, ``python sample_models/take_snapshots.py``, or
``pytest tests/project/test_guard.py --kmr-update``.
"""

import importlib.util
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from kmr_cli.render.contents import Run, of_check
from kmr_cli.render.documents.json import render

FOLDER = Path(__file__).parents[2] / "sample_models"
_SPEC = importlib.util.spec_from_file_location("sample_models_snapshots", FOLDER / "take_snapshots.py")
snapshots = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(snapshots)

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "check-batch-axis.schema.json").read_text())


def guarded(name):
    return pytest.param(name, id=name, marks=pytest.mark.kmr_model(FOLDER / name))


@pytest.mark.slow
@pytest.mark.parametrize("name", [guarded(name) for name in snapshots.DATA])
def test_its_samples_stay_apart_and_it_does_what_it_did(kmr_model, name):
    batch = FOLDER / snapshots.DATA[name]
    report = kmr_model.assert_batch_independent(batch)
    assert report.taps
    assert report.verdict == "pass", report.inconclusive
    assert [finding for finding in report.findings if finding.severity == "error"] == []
    assert report.batch_sizes[:4] == (8, 1, 2, 3)
    assert len(report.dependence) == (2 if name.startswith("recommender") else 1)
    own = np.eye(8, dtype=bool)
    if name == "pair.onnx":  # onnxruntime's Sigmoid is exactly 0 far below 0, so that one pair's answer stays
        own[0, 0] = False
    assert all((np.array(picture.moved) == own).all() for picture in report.dependence)
    assert report.forward_passes <= 8 + 31 + (12 if name.startswith(("recommender", "pair")) else 0)  # of two inputs
    jsonschema.validate(json.loads(render([of_check(report, name, Run())])), SCHEMA)
    comparison = kmr_model.assert_matches_snapshot(snapshots.place_of(name, FOLDER), batch)
    assert comparison is None or not comparison.by_order  # None: written just now


@pytest.mark.kmr_model(FOLDER / "digits_traced.pt")
def test_the_snapshot_of_another_model_is_not_matched(kmr_model, request):
    if request.config.getoption("kmr_update"):
        pytest.skip("would write what it is meant to refuse")
    with pytest.raises(AssertionError, match="KMR4"):
        kmr_model.assert_matches_snapshot(snapshots.place_of("windows.pt", FOLDER), FOLDER / "digits.npz")


def test_every_sample_model_is_guarded():
    others = {"README.md", "snapshots", "__pycache__"}
    models = {path.name for path in FOLDER.iterdir() if path.suffix not in (".py", ".npz")} - others
    assert models == set(snapshots.DATA)
    kept = {path.name for path in (FOLDER / "snapshots").iterdir()}
    assert kept == {snapshots.place_of(name, FOLDER).name for name in models}
