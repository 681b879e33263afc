"""The options and arguments of ``snapshot`` and ``compare``, one by one, on tiny ONNX models (a light runtime)."""

import json
import shutil

import numpy as np
import pytest
from onnx import helper
from zoo import onnx_models
from zoo.onnx_models import constant, model, tensor, weights
from zoo.samples import HOME, command

DATA = ("--input", "batch.npz")


def save(path, shift=0.0, last="last"):
    """first, act and the last: (B, 3) -> (B, 2); ``shift`` is added to the last bias."""
    bias = np.float32([0.1, -0.2]) + np.float32(shift)
    nodes = [
        helper.make_node("Gemm", ["input", "w", "b"], ["a"], "/first/Gemm"),
        helper.make_node("Tanh", ["a"], ["t"], "/act/Tanh"),
        helper.make_node("Gemm", ["t", "v", "c"], ["out0"], f"/{last}/Gemm"),
    ]
    made = [weights("w", 3, 4), weights("b", 4, seed=1), weights("v", 4, 2, seed=2), constant("c", bias, np.float32)]
    return onnx_models.save(model(nodes, [tensor("input", ["batch", 3])], [tensor("out0", ["batch", 2])], made), path)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model, a shifted copy, a batch of 5 and a snapshot of the first."""
    folder = tmp_path_factory.mktemp("options")
    save(folder / "model.onnx")
    save(folder / "shifted.onnx", shift=0.01)
    values = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    np.savez(folder / "batch.npz", input=values)
    done = command(["snapshot", "model.onnx", *DATA, "-o", "model.kmr.json"], folder)
    assert done.returncode == 0, done.stderr
    return folder


def rules(screen):
    return [finding["rule"] for finding in json.loads(screen.out)["findings"]]


# -- tolerances --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_atol_is_taken(kmr, place):
    assert kmr("compare", "shifted.onnx", "model.kmr.json", *DATA, cwd=place).code == 1
    assert kmr("compare", "shifted.onnx", "model.kmr.json", *DATA, "--atol", "0.1", cwd=place).code == 0


@pytest.mark.slow
def test_the_command_line_wins_over_what_the_project_says_of_every_layer(kmr, place, tmp_path):
    project = tmp_path / "pyproject.toml"
    arguments = ("compare", place / "shifted.onnx", place / "model.kmr.json", "--input", place / "batch.npz")
    project.write_text('[tool.kmr-inspect.tolerance]\n"*" = { rtol = 1.0, atol = 1.0 }\n')
    assert kmr(*arguments, cwd=tmp_path).code == 0
    assert kmr(*arguments, "--ulp", 4, cwd=tmp_path).code == 1
    assert kmr(*arguments, "--rtol", "1e-5", "--atol", "1e-5", cwd=tmp_path).code == 1
    layers = "".join(f"{name} = {{ atol = 1.0 }}\n" for name in ("last", "out0"))
    project.write_text(f"[tool.kmr-inspect.tolerance]\n{layers}")
    assert kmr(*arguments, "--ulp", 4, cwd=tmp_path).code == 0


@pytest.mark.slow
def test_patterns_of_the_project_that_fit_nothing_are_pointed_out(kmr, place, tmp_path):
    layers = "".join(f"{name} = {{ rtol = 0.1 }}\n" for name in ('"gone/*"', "end", "last", "out0", '"*"'))
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.kmr-inspect]\nallow = ["lst", "first", "end"]\n[tool.kmr-inspect.tolerance]\n{layers}'
    )
    folder = tmp_path / "snapshots"
    folder.mkdir()
    save(tmp_path / "model.onnx")
    save(tmp_path / "renamed.onnx", last="end")
    for name in ("model.onnx", "renamed.onnx"):
        shutil.copy(place / "model.kmr.json", folder / f"{name}.kmr.json")
    arguments = ("--input", place / "batch.npz", "--allow", "frst")
    screen = kmr("compare", "model.onnx", "renamed.onnx", folder, *arguments, cwd=tmp_path)
    assert screen.code == 0, screen.err
    notes = [line for line in screen.err.splitlines() if "has this path" in line]
    assert [line.partition("; ")[0] for line in notes] == [
        "note:  --allow frst: no layer has this path",
        "note:  [tool.kmr-inspect] allow in pyproject.toml: 'lst': no layer has this path",
        "note:  [tool.kmr-inspect] tolerance in pyproject.toml: 'gone/*': no layer or output has this path",
    ]
    assert "did you mean 'first'" in notes[0]


def test_a_tolerance_that_is_none_is_explained_on_one_line(kmr, tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.kmr-inspect.tolerance]\nlast = { rtoll = 0.1 }\n")
    screen = kmr("compare", "model.onnx", "model.kmr.json", cwd=tmp_path)
    assert screen.code == 2
    assert "'last' must give rtol, atol or ulp, not 'rtoll'\nhint:  did you mean rtol?\n" in screen.err
    (tmp_path / "pyproject.toml").write_text('[tool.kmr-inspect.tolerance]\n"*" = 0.1\n')
    screen = kmr("compare", "model.onnx", "model.kmr.json", cwd=tmp_path)
    assert 'hint:  did you mean "*" = { rtol = 0.1 }?\n' in screen.err
    assert "\\n" not in screen.err


# -- rules -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_pass_by_fewer_rules_says_so(kmr, place):
    screen = kmr("compare", "shifted.onnx", "model.kmr.json", *DATA, "--ignore", "KMR406", cwd=place)
    assert screen.code == 0
    assert "pass: no error in the rules and layers that were selected" in screen.out
    screen = kmr("compare", "model.onnx", "model.kmr.json", *DATA, cwd=place)
    assert "pass: nothing changed" in screen.out


# -- another model -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_batch_size_and_seed_make_the_data_of_two_models(kmr, place):
    arguments = ("compare", "shifted.onnx", "model.onnx", "--shape", "3", "--format", "json")
    seeded = [kmr(*arguments, "--batch-size", size, "--seed", seed, cwd=place) for size, seed in ((6, 7), (6, 8))]
    sizes = []
    for screen, seed in zip(seeded, (7, 8), strict=True):
        assert screen.code == 1, screen.err
        assert f"the data is synthetic (6 samples, seed {seed})" in screen.err
        finding = json.loads(screen.out)["findings"][0]
        assert finding["samples"] == list(range(6))
        sizes.append(json.loads(screen.out)["outputs"][0]["tolerance"])
    assert sizes[0] != sizes[1]  # relative to the largest value of other data
    few = kmr("compare", "shifted.onnx", "model.onnx", *DATA, "--batch-size", 3, "--format", "json", cwd=place)
    assert json.loads(few.out)["findings"][0]["samples"] == [0, 1, 2]


# -- which snapshot ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_one_model_and_a_folder_of_snapshots(kmr, place, tmp_path):
    shutil.copy(place / "model.kmr.json", tmp_path / "model.onnx.kmr.json")
    screen = kmr("compare", "model.onnx", tmp_path, *DATA, cwd=place)
    assert screen.code == 0, screen.err
    assert f"{tmp_path.name}/model.onnx.kmr.json" in screen.out.replace("\n", "")
    missing = kmr("compare", "shifted.onnx", tmp_path, *DATA, cwd=place)
    assert missing.code == 2
    assert "shifted.onnx.kmr.json: no such file" in missing.err


@pytest.mark.slow
def test_a_snapshot_is_known_by_its_content(kmr, place, tmp_path):
    shutil.copy(place / "model.kmr.json", tmp_path / "baseline.txt")
    screen = kmr("compare", "shifted.onnx", tmp_path / "baseline.txt", *DATA, "--format", "json", cwd=place)
    assert screen.code == 1, screen.err
    assert json.loads(screen.out)["baseline"]["format"] == "snapshot"
    assert rules(screen) == ["KMR406"]


def test_two_models_of_one_name_cannot_share_a_folder(kmr, place, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(place / "shifted.onnx", other / "model.onnx")
    folder = tmp_path / "snapshots"
    folder.mkdir()
    taken = kmr("snapshot", place / "model.onnx", other / "model.onnx", "-o", f"{folder}/", cwd=place)
    assert taken.code == 2
    assert "two of the models have the same name" in taken.err
    assert list(folder.iterdir()) == []
    shutil.copy(place / "model.kmr.json", folder / "model.onnx.kmr.json")
    screen = kmr("compare", "model.onnx", other / "model.onnx", folder, *DATA, cwd=place)
    assert screen.code == 2
    assert "two of the models have the same name" in screen.err
    assert screen.out == ""


def test_a_shape_is_in_the_snapshot_already(kmr, place):
    screen = kmr("compare", "model.onnx", "model.kmr.json", *DATA, "--shape", "3", cwd=place)
    assert screen.code == 2
    assert "--shape is in the snapshot already" in screen.err


@pytest.mark.slow
def test_a_snapshot_of_another_model_says_whose_it_is(kmr, place, tmp_path):
    nodes = [
        helper.make_node("MatMul", ["input", "w"], ["x"], "/a/MatMul"),
        helper.make_node("Sigmoid", ["x"], ["s"], "/b/Sigmoid"),
        helper.make_node("MatMul", ["s", "v"], ["y"], "/c/MatMul"),
    ]
    made = [weights("w", 3, 7), weights("v", 7, 9)]
    stranger = model(nodes, [tensor("input", ["batch", 3])], [tensor("y", ["batch", 9])], made)
    onnx_models.save(stranger, tmp_path / "stranger.onnx")
    screen = kmr(
        "compare", tmp_path / "stranger.onnx", "model.kmr.json", *DATA, "--format", "json", cwd=place
    )  # fmt: skip
    assert screen.code == 1
    note = "model.kmr.json: this is a snapshot of 'model.onnx', and 0 of its 3 layers could be matched"
    assert f"note:  {note}\n" in screen.err
    assert json.loads(screen.out)["notes"] == [note]
    known = kmr("compare", "shifted.onnx", "model.kmr.json", *DATA, cwd=place)
    assert "this is a snapshot of" not in known.err
    refused = kmr("compare", HOME / "digits.onnx", "model.kmr.json", *DATA, cwd=place)
    assert refused.code == 2
    assert "hint:  model.kmr.json is a snapshot of 'model.onnx'\n" in refused.err


@pytest.mark.slow
def test_whole_tensors_that_do_not_count_are_not_dropped_in_silence(kmr, place, tmp_path):
    snapshot = tmp_path / "m.kmr.json"
    taken = kmr("snapshot", "model.onnx", *DATA, "--full", "-o", snapshot, cwd=place)
    assert taken.code == 0, taken.err
    text = snapshot.read_bytes()
    snapshot.write_bytes(text.replace(b"\n", b"\r\n"))
    screen = kmr("compare", "model.onnx", snapshot, *DATA, cwd=place)
    assert "compared in full" in screen.out
    assert "m.kmr.h5" not in screen.err
    snapshot.write_bytes(text.replace(b'"python": "', b'"python": "0'))
    screen = kmr("compare", "model.onnx", snapshot, *DATA, cwd=place)
    assert screen.code == 0
    assert "compared by their sketches" in screen.out
    assert "m.kmr.h5: was not written with m.kmr.json as it is now, so only sketches were compared" in screen.err
    (tmp_path / "m.kmr.h5").unlink()
    assert "m.kmr.h5" not in kmr("compare", "model.onnx", snapshot, *DATA, cwd=place).err


# -- update ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_update_with_a_model_that_is_none_is_not_success(kmr, place, tmp_path):
    shutil.copy(place / "shifted.onnx", tmp_path / "good.onnx")
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    folder = tmp_path / "snapshots"
    folder.mkdir()
    for name in ("good.onnx", "junk.onnx"):
        shutil.copy(place / "model.kmr.json", folder / f"{name}.kmr.json")
    before = (place / "model.kmr.json").read_text()
    models = (tmp_path / "good.onnx", tmp_path / "junk.onnx")
    screen = kmr("compare", *models, folder, *DATA, "--update", cwd=place)
    assert screen.code == 2
    assert (folder / "junk.onnx.kmr.json").read_text() == before
    assert (folder / "good.onnx.kmr.json").read_text() != before
    again = kmr("compare", models[0], folder, *DATA, cwd=place)
    assert again.code == 0, again.out


def test_a_place_that_cannot_be_written_is_refused_before_the_model_is_looked_for(capsys, place, monkeypatch):
    from kmr_cli.cli import run

    monkeypatch.setattr("kmr_cli.render.files.write.os.access", lambda *_, **__: False)  # root may write everywhere
    assert run(["compare", "none.onnx", str(place / "model.kmr.json"), "--update"]) == 2
    assert f"the folder {place} cannot be written to" in capsys.readouterr().err
    assert run(["compare", "none.onnx", str(place / "model.kmr.json")]) == 2
    assert "none.onnx: no such file" in capsys.readouterr().err


# -- what is kept ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("side", "ports"), [("in", {"in0"}), ("out", {"out0"}), ("both", {"in0", "out0"})])
def test_a_side_is_all_that_is_kept_of_layers(kmr, place, side, ports):
    screen = kmr("snapshot", "model.onnx", *DATA, "--side", side, cwd=place)
    assert screen.code == 0, screen.err
    document = json.loads(screen.out)
    assert {tap["port"] for tap in document["taps"] if tap["layer"]} == ports
    assert {tap["port"] for tap in document["taps"] if not tap["layer"]} == {"out0"}


def test_a_snapshot_to_stdout_is_that_of_the_data(kmr, place):
    screen = kmr("snapshot", "model.onnx", *DATA, cwd=place)
    assert screen.code == 0, screen.err
    assert json.loads(screen.out)["batch"]["source"] == "batch.npz"
    assert screen.out == (place / "model.kmr.json").read_text()
