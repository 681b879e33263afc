"""``snapshot`` and ``compare``, run for real."""

import json
import shutil
from pathlib import Path

import h5py
import jsonschema
import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from zoo.samples import HOME, command

DOCS = Path(__file__).parents[2] / "docs"
BATCH = HOME / "digits.npz"
SAME = ("--input", BATCH)
MODEL, OTHER = HOME / "digits.keras", HOME / "windows.keras"


def schema(name):
    return json.loads((DOCS / f"{name}.schema.json").read_text())


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model, its snapshot, and a changed copy of the model: ONNX, whose runtime is imported fastest."""
    folder = tmp_path_factory.mktemp("compare")
    shutil.copy(HOME / "digits.onnx", folder / "model.onnx")
    model = onnx.load(folder / "model.onnx")
    (weight,) = (one for one in model.graph.initializer if one.name == "conv2.weight")
    weight.CopyFrom(numpy_helper.from_array(np.flip(numpy_helper.to_array(weight), 2).copy(), weight.name))
    onnx.save(model, folder / "changed.onnx")
    return folder


@pytest.fixture(scope="module")
def baseline(place):
    done = command(["snapshot", "model.onnx", "--input", BATCH, "-o", "model.kmr.json"], place)
    assert done.returncode == 0, done.stderr
    assert "wrote model.kmr.json: 7 layers, 8 samples" in done.stderr
    assert done.stdout == ""
    return place / "model.kmr.json"


def test_a_snapshot_is_small_and_as_its_schema_says(baseline):
    text = baseline.read_text()
    document = json.loads(text)
    jsonschema.validate(document, schema("snapshot"))
    assert [tap["layer"] for tap in document["taps"]][:2] == ["permute", "bn1"]
    assert document["taps"][0]["shape"] == ["B", 1, 8, 8]
    assert document["model"]["path"] == "model.onnx"
    assert len(text) / len(document["taps"]) < 2000
    assert max(map(len, text.splitlines())) < 400  # a changed sample is one line of a diff


@pytest.mark.slow
def test_the_same_model_passes_and_a_changed_one_does_not(kmr, place, baseline):
    same = kmr("compare", "model.onnx", baseline.name, *SAME, "--ulp", 0, cwd=place)
    assert same.code == 0, same.err
    assert "pass: nothing changed" in same.out
    assert "bit for bit" in same.out
    changed = kmr("compare", "changed.onnx", baseline.name, *SAME, cwd=place)
    assert changed.code == 1, changed.err
    assert "error KMR406 values-changed at conv2\n" in changed.out
    assert "4 layers after it" in changed.out
    assert all(len(line) <= 80 for line in changed.out.splitlines())
    loose = kmr("compare", "changed.onnx", baseline.name, *SAME, "--rtol", 100, cwd=place)
    assert loose.code == 0, loose.out
    assert "note KMR408 values-close" in loose.out
    allow = (*SAME, "--allow", "conv2")  # what comes after it differs too, and cannot be judged then
    assert kmr("compare", "changed.onnx", baseline.name, *allow, cwd=place).code == 1
    allowed = kmr("compare", "changed.onnx", baseline.name, *allow, "--allow-inconclusive", cwd=place)
    assert allowed.code == 0
    assert "KMR406 values-changed at conv2 (allowed)" in allowed.out


@pytest.mark.slow
def test_json_is_as_its_schema_says(kmr, place, baseline):
    screen = kmr("compare", "changed.onnx", baseline.name, *SAME, "--format", "json", cwd=place)
    assert screen.code == 1
    document = json.loads(screen.out)
    jsonschema.validate(document, schema("compare"))
    (finding,) = document["findings"]
    assert (finding["rule"], finding["layer"], finding["samples"]) == ("KMR406", "conv2", list(range(8)))
    assert finding["size"] > 1000 * finding["tolerance"]
    assert document["baseline"] == {"path": "model.kmr.json", "format": "snapshot"}


@pytest.mark.slow
def test_another_model_as_baseline_is_compared_exactly(kmr, place):
    against = kmr("compare", HOME / "digits_savedmodel", MODEL, *SAME, cwd=place)
    assert against.code == 0, against.out + against.err
    assert "compared in full" in against.out
    changed = kmr("compare", "changed.onnx", "model.onnx", *SAME, cwd=place)
    assert changed.code == 1
    assert "KMR406 values-changed at conv2" in changed.out
    assert "off by at most" in changed.out


@pytest.mark.slow
def test_update_shows_the_change_and_takes_it_over(kmr, place, baseline, tmp_path):
    copy = tmp_path / "model.kmr.json"
    shutil.copy(baseline, copy)
    first = kmr("compare", "changed.onnx", copy, *SAME, "--update", cwd=place)
    assert first.code == 0, first.err
    assert "KMR406 values-changed at conv2" in first.out
    assert f"wrote {copy}" in first.err
    second = kmr("compare", "changed.onnx", copy, *SAME, "--update", cwd=place)
    assert second.code == 0
    assert "pass: nothing changed" in second.out
    assert "is up to date" in second.err
    assert [file.name for file in tmp_path.iterdir()] == ["model.kmr.json"]


@pytest.mark.slow
def test_whole_tensors_are_kept_and_used(kmr, place, tmp_path):
    taken = kmr("snapshot", "model.onnx", *SAME, "--full", "-o", tmp_path / "m.kmr.json", cwd=place)
    assert taken.code == 0, taken.err
    with h5py.File(tmp_path / "m.kmr.h5") as file:
        assert file["0"].attrs["layer"] == "permute"
        assert file["0"].shape == (8, 1, 8, 8)
    screen = kmr("compare", "changed.onnx", tmp_path / "m.kmr.json", *SAME, cwd=place)
    assert screen.code == 1
    assert "compared in full" in screen.out
    refused = kmr("compare", "changed.onnx", tmp_path / "m.kmr.json", *SAME, "--update", cwd=place)
    assert refused.code == 2
    assert "--full --force" in refused.err
    again = kmr("snapshot", "model.onnx", *SAME, "--full", "-o", tmp_path / "m.kmr.json", cwd=place)
    assert again.code == 2
    assert "exists already" in again.err


@pytest.mark.slow
def test_several_models_and_a_folder_of_snapshots(kmr, place, tmp_path):
    models = ("model.onnx", HOME / "windows.pt")
    taken = kmr("snapshot", *models, *SAME, "-o", tmp_path, cwd=place)
    assert taken.code == 0, taken.err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.onnx.kmr.json", "windows.pt.kmr.json"]
    (tmp_path / "model.onnx.kmr.json").write_text("{}")
    report = tmp_path / "report.xml"
    screen = kmr(
        "compare", *models, tmp_path, *SAME, "--jobs", 2, "--format", "junit", "-o", report, cwd=place
    )  # fmt: skip
    assert screen.code == 2
    assert "model.onnx.kmr.json: not a snapshot" in screen.err
    assert "\npass: nothing changed" in screen.out
    assert "2 models: 1 pass, 1 not checked" in screen.out
    assert "<error" in report.read_text()


@pytest.mark.slow
def test_synthetic_data_is_made_again_from_the_snapshot(kmr, tmp_path):
    model = HOME / "digits.onnx"
    taken = kmr("snapshot", model, "--seed", 3, "--batch-size", 4, "-o", tmp_path / "s.json")
    assert taken.code == 0, taken.err
    assert json.loads((tmp_path / "s.json").read_text())["batch"]["seed"] == 3
    screen = kmr("compare", model, tmp_path / "s.json", "--ulp", 0)
    assert screen.code == 0, screen.out + screen.err


def test_what_does_not_fit_is_refused_before_anything_runs(kmr, place, baseline, tmp_path):
    def refused(*arguments):
        screen = kmr("compare", *arguments, cwd=place)
        assert screen.code == 2
        assert screen.out == ""
        assert "Traceback" not in screen.err
        return screen.err

    assert "BASELINE" in refused("model.onnx")
    assert "--batch-size is in the snapshot" in refused("model.onnx", baseline.name, "--batch-size", 4, *SAME)
    assert "--seed is in the snapshot" in refused("model.onnx", baseline.name, "--seed", 0, *SAME)
    assert "--input digits.npz" in refused("model.onnx", baseline.name)
    assert "no such file" in refused("model.onnx", "none.kmr.json")
    assert "--update needs a snapshot" in refused("model.onnx", "changed.onnx", "--update")
    assert "--ulp replaces --rtol and --atol" in refused("model.onnx", baseline.name, "--ulp", 1, "--rtol", 1)
    assert "holds no snapshots" in refused("model.onnx", "changed.onnx", tmp_path)
    assert "no rule starts with" in refused("model.onnx", baseline.name, "--select", "KMR9")
    assert "rtol must be a finite number, 0 or more, not -1" in refused(
        "model.onnx", baseline.name, "--rtol", -1, *SAME
    )
    other = tmp_path / "other.npz"
    np.savez(other, image=np.zeros((8, 8, 8, 1), np.float32))
    assert "was taken on other data" in refused("model.onnx", baseline.name, "--input", other)
    few = tmp_path / "few.npz"
    np.savez(few, image=np.zeros((3, 8, 8, 1), np.float32))
    assert "a batch of 8 samples, but the data holds 3" in refused("model.onnx", baseline.name, "--input", few)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"kind": "kmr-inspect snapshot", "schema": 1}', "\xff\xfe", "7"]
)
def test_a_damaged_snapshot_is_one_clear_line(kmr, place, tmp_path, text):
    bad = tmp_path / "bad.kmr.json"
    bad.write_text(text, encoding="latin-1")
    screen = kmr("compare", "model.onnx", bad, cwd=place)
    assert screen.code == 2
    assert screen.err.startswith("error: ")
    assert "hint:  " in screen.err
    assert len(screen.err.splitlines()) == 2


def test_a_snapshot_of_a_later_version_says_so(kmr, place, baseline, tmp_path):
    later = tmp_path / "later.kmr.json"
    later.write_text(baseline.read_text().replace('"schema": 2', '"schema": 3'))
    screen = kmr("compare", "model.onnx", later, *SAME, cwd=place)
    assert screen.code == 2
    assert "a version 3 snapshot, but this program reads only up to version 2" in screen.err


def test_snapshot_refuses_places_before_the_model_runs(kmr, place, tmp_path):
    # With a backend that Keras does not know, running the model would be another error.
    def refused(*arguments):
        screen = kmr("snapshot", *arguments, cwd=place, KERAS_BACKEND="nothing")
        assert screen.code == 2
        assert screen.out == ""
        return screen.err

    assert "end it in .kmr.json or .json" in refused(MODEL, "-o", "model.txt")
    assert "--full needs -o" in refused(MODEL, "--full")
    assert "several models need -o" in refused(MODEL, OTHER)
    assert "no such folder" in refused(MODEL, OTHER, "-o", tmp_path / "none")
    (tmp_path / "taken.json").write_text("old")
    assert "exists already" in refused(MODEL, "-o", tmp_path / "taken.json")
    assert (tmp_path / "taken.json").read_text() == "old"


@pytest.mark.slow
def test_tolerances_of_single_layers_come_from_the_project(kmr, place, baseline, tmp_path):
    project, table = tmp_path / "pyproject.toml", '[tool.kmr-inspect.tolerance]\n"*" = { rtol = 100.0 }\n'
    project.write_text(table)
    loose = kmr("compare", place / "changed.onnx", baseline, *SAME, cwd=tmp_path)
    assert loose.code == 0, loose.out
    project.write_text(table + "head = { ulp = 0 }\n")
    strict = kmr("compare", place / "changed.onnx", baseline, *SAME, cwd=tmp_path)
    assert strict.code == 1
    assert "KMR406 values-changed at head" in strict.out


def test_a_selection_for_the_check_does_not_switch_the_comparison_off(kmr, place, baseline, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.kmr-inspect]\nselect = ["KMR1"]\n')
    screen = kmr("compare", place / "changed.onnx", baseline, *SAME, cwd=tmp_path)
    assert screen.code == 1
    assert "KMR406" in screen.out


@pytest.mark.parametrize(
    ("options", "settings", "message"),
    [
        (("--select", "kmr1"), "", "--select KMR1 leaves no rule of compare, which has KMR401 to KMR409"),
        (("--ignore", "KMR4"), "", "--select and --ignore leave no rule of compare, so nothing would be checked"),
        ((), "ignore = ['KMR4']", "[tool.kmr-inspect] in pyproject.toml leaves no rule of compare"),
    ],
)
def test_no_rule_left_is_a_slip_and_not_a_pass(kmr, tmp_path, options, settings, message):
    (tmp_path / "pyproject.toml").write_text(f"[tool.kmr-inspect]\n{settings}\n")
    screen = kmr("compare", "model.onnx", "model.kmr.json", *options, cwd=tmp_path)
    assert screen.code == 2
    assert message in screen.err
    assert screen.out == ""


def test_the_check_needs_a_rule_of_its_own_too(kmr):
    screen = kmr("check-batch-axis", "model.onnx", "--select", "KMR4")
    assert screen.code == 2
    assert "--select KMR4 leaves no rule of check-batch-axis, which has KMR101 to KMR304" in screen.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("snapshot", "legacy.h5", "--full", "-o", "legacy.json"),
        ("snapshot", "legacy.h5", "--input", "x=data.json", "-o", "data.json"),
        ("snapshot", "exported", "-o", "exported/exported.kmr.json"),
        ("snapshot", "exported", "-o", "exported/"),
        ("compare", "legacy.h5", "full.json", "--format", "json", "-o", "full.json"),
        ("compare", "legacy.h5", "full.json", "--format", "json", "-o", "full.h5"),
        ("compare", "legacy.h5", "exported", "--format", "junit", "-o", "exported/found.xml"),
        ("compare", "legacy.h5", "full.json", "--input", "data.json", "--format", "json", "-o", "data.json"),
        ("check-batch-axis", "exported", "--format", "junit", "-o", "exported/found.xml"),
        ("check-batch-axis", "legacy.h5", "--input", "data.json", "--format", "json", "-o", "data.json"),
        ("sample", "legacy.h5", "-l", "*", "-i", "0", "-o", "legacy.h5"),
        ("sample", "legacy.h5", "-l", "*", "-i", "0", "--input", "data.json", "-o", "data.json"),
        ("sample", "exported", "-l", "*", "-i", "0", "-o", "exported/values.h5"),
    ],
    ids=lambda arguments: f"{arguments[0]} {arguments[-1]}",
)
def test_nothing_that_is_read_is_written_over_even_by_force(kmr, tmp_path, arguments):
    (tmp_path / "exported").mkdir()
    files = {"legacy.h5": b"model", "data.json": b"data", "exported/saved_model.pb": b"model", "full.h5": b"tensors"}
    files["full.json"] = b"{}"
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    screen = kmr(*arguments, "--force", cwd=tmp_path)
    assert screen.code == 2
    assert "is the model itself" in screen.err or "lies inside exported" in screen.err
    assert {name: (tmp_path / name).read_bytes() for name in files} == files
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == len(files)
