"""What goes wrong is one line, a hint and an exit code, before any framework is imported where that is possible."""

import json
import os
import zipfile

import numpy as np
import pytest
from bad_files import keras_files, onnx_files, torch_files
from zoo.samples import HOME, PROGRESS

from kmr_cli import open_model
from kmr_cli.errors import BatchError

KERAS, SCRIPTED, SAVED, BATCH = (
    HOME / name for name in ("digits.keras", "digits_scripted.pt", "digits_savedmodel", "digits.npz")
)


def error_of(screen, code=2):
    assert screen.code == code, screen
    assert screen.out == ""
    lines = [line for line in screen.err.splitlines() if not line.startswith("note: ") and not PROGRESS.search(line)]
    assert lines[0].startswith("error: ")
    assert len(lines) <= 2, screen.err
    assert all(line.startswith("hint:  ") for line in lines[1:])
    assert "Traceback" not in screen.err
    return "\n".join(lines)


@pytest.fixture
def arrays(tmp_path):
    def save(**named):
        np.savez(tmp_path / "batch.npz", **named)
        return tmp_path / "batch.npz"

    return save


def sample(kmr, model, *more, layer="conv1", index="4", **options):
    return kmr("sample", model, "--layer", layer, "--index", index, *more, **options)


@pytest.fixture
def no_frameworks(tmp_path):
    """An environment in which importing a framework fails: these errors must come first."""
    folder = tmp_path / "shadow"
    folder.mkdir()
    for framework in ("tensorflow", "torch", "keras", "tf_keras"):
        (folder / f"{framework}.py").write_text(f"raise ModuleNotFoundError('hidden', name='{framework}')")
    return {"PYTHONPATH": str(folder)}


class TestBeforeAnyFramework:
    @pytest.mark.parametrize("model", [KERAS, SCRIPTED, SAVED], ids=lambda path: path.name)
    def test_unknown_layer(self, kmr, no_frameworks, model):
        text = error_of(sample(kmr, model, layer="cnov1", **no_frameworks))
        assert "no layer matches 'cnov1'" in text
        assert "did you mean 'conv1'" in text

    def test_index_out_of_range(self, kmr, no_frameworks):
        text = error_of(sample(kmr, KERAS, "--input", BATCH, index="11", **no_frameworks))
        assert "index 11 is outside the batch, which holds 11 samples" in text
        assert "0 to 10" in text

    def test_index_that_is_none(self, kmr, no_frameworks):
        assert "not a sample index: 'four'" in error_of(sample(kmr, KERAS, index="four", **no_frameworks))

    def test_wrong_rank(self, kmr, no_frameworks, arrays):
        path = arrays(image=np.zeros((5, 8, 8), np.float32))
        text = error_of(sample(kmr, KERAS, "--input", path, **no_frameworks))
        assert "expected shape (batch, 8, 8, 1), given (5, 8, 8)" in text

    @pytest.mark.parametrize("model", [KERAS, SAVED], ids=lambda path: path.name)
    def test_wrong_shape(self, kmr, no_frameworks, arrays, model):
        path = arrays(image=np.zeros((5, 9, 9, 1), np.float32))
        text = error_of(sample(kmr, model, "--input", path, **no_frameworks))
        assert "expected shape (batch, 8, 8, 1), given (5, 9, 9, 1)" in text

    def test_wrong_dtype(self, kmr, no_frameworks, arrays):
        text = error_of(
            kmr("sample", HOME / "sequence.keras", "-l", "embed", "-i", "0", "--input",
                arrays(tokens=np.zeros((5, 40), np.float32)), **no_frameworks)
        )  # fmt: skip
        assert "'tokens': expected int32, given float32" in text

    def test_missing_input_name(self, kmr, no_frameworks, arrays):
        path = arrays(left=np.zeros((5, 8, 8, 1), np.float32), other=np.zeros(5))
        text = error_of(sample(kmr, HOME / "pair.keras", "--input", path, layer="project", **no_frameworks))
        assert "no data for input 'right'" in text

    def test_what_to_type_for_a_missing_name_uses_the_given_files(self, kmr, no_frameworks, tmp_path):
        np.save(tmp_path / "left.npy", np.zeros((5, 8, 8, 1), np.float32))
        path = tmp_path / "left.npy"
        text = error_of(sample(kmr, HOME / "pair.keras", "--input", path, layer="project", **no_frameworks))
        assert f"give --input left={path} --input right=FILE.npy, or one npz file with these names" in text

    def test_what_to_give_instead_in_python(self):
        with open_model(HOME / "pair.keras") as model, pytest.raises(BatchError) as caught:
            model.sample("project", 0, {"left": np.zeros((5, 8, 8, 1), np.float32)})
        assert caught.value.hint == "give a mapping: {'left': array, 'right': array}"

    def test_extra_input_name(self, kmr, no_frameworks, tmp_path):
        np.save(tmp_path / "a.npy", np.zeros((5, 8, 8, 1), np.float32))
        one, two = f"image={tmp_path / 'a.npy'}", f"imgae={tmp_path / 'a.npy'}"
        text = error_of(sample(kmr, KERAS, "--input", one, "--input", two, **no_frameworks))
        assert "no input 'imgae'" in text
        assert "did you mean 'image'" in text

    def test_torchscript_asks_for_the_shape_with_the_command(self, kmr, no_frameworks):
        text = error_of(sample(kmr, SCRIPTED, index="0", **no_frameworks))
        assert "does not declare the shape of input 'image'" in text
        assert "--shape" in text

    def test_output_place(self, kmr, no_frameworks, tmp_path):
        (tmp_path / "old.npz").write_text("precious")
        text = error_of(sample(kmr, KERAS, "--input", BATCH, "-o", tmp_path / "old.npz", **no_frameworks))
        assert "exists already" in text
        assert "--force" in text
        assert (tmp_path / "old.npz").read_text() == "precious"
        text = error_of(sample(kmr, KERAS, "--input", BATCH, "-o", tmp_path / "none" / "o.npz", **no_frameworks))
        assert "there isn't a folder" in text
        text = error_of(sample(kmr, KERAS, "--input", BATCH, "-o", tmp_path / "o.txt", **no_frameworks))
        assert "end it in .json, .html, .npy, .npz, .h5, .hdf5 or .png" in text

    def test_call_that_never_happens(self, kmr, no_frameworks):
        text = error_of(sample(kmr, KERAS, "--input", BATCH, "--call", "1", **no_frameworks))
        assert "runs once, so it has no call 1" in text

    @pytest.mark.parametrize(("option", "missing"), [("--signature", "signatures"), ("--tag", "tag sets")])
    def test_options_of_another_format(self, kmr, no_frameworks, option, missing):
        text = error_of(sample(kmr, KERAS, option, "serve", **no_frameworks))
        assert f"has no {missing}" in text
        assert f"leave out {option}" in text
        assert f"has no {missing}" in error_of(kmr("layers", SCRIPTED, option, "serve"))

    def test_shape_that_is_none(self, kmr, no_frameworks):
        assert "is not a shape" in error_of(sample(kmr, SCRIPTED, "--shape", "8xx8", **no_frameworks))


class TestModelFiles:
    @pytest.mark.parametrize("command", ["layers", "sample"])
    def test_no_such_file(self, kmr, command):
        more = ["-l", "x", "-i", "0"] if command == "sample" else []
        text = error_of(kmr(command, HOME / "digit.keras", *more))
        assert "no such file" in text
        assert "digits.keras" in text

    def test_a_directory_of_models_is_none(self, kmr):
        assert "a directory that holds models, and isn't one itself" in error_of(kmr("layers", HOME))

    @pytest.mark.parametrize("name", ["digits.keras", "digits.h5", "digits_scripted.pt"])
    @pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.9], ids=["empty", "the first bytes", "a third", "most"])
    def test_cut_files(self, kmr, tmp_path, name, share):
        whole = (HOME / name).read_bytes()
        cut = tmp_path / name
        cut.write_bytes(whole[: int(len(whole) * share)])
        text = error_of(kmr("layers", cut))
        assert name in text
        assert ("empty" in text) == (share == 0)

    @pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
    def test_cut_savedmodel(self, kmr, tmp_path, share):
        whole = (SAVED / "saved_model.pb").read_bytes()
        (tmp_path / "saved_model.pb").write_bytes(whole[: int(len(whole) * share)])
        error_of(kmr("layers", tmp_path))

    @pytest.mark.parametrize("name", ["digits.keras", "digits.h5", "digits_scripted.pt"])
    @pytest.mark.parametrize("suffix", [".keras", ".h5", ".pt", ".bin"])
    def test_content_decides_not_the_suffix(self, kmr, tmp_path, name, suffix):
        copy = tmp_path / f"copy{suffix}"
        copy.write_bytes((HOME / name).read_bytes())
        screen = kmr("layers", copy)
        assert (screen.code, screen.err) == (0, "")
        assert "conv1" in screen.out

    def test_other_files(self, kmr):
        assert "NumPy arrays, not a model" in error_of(kmr("layers", BATCH))
        assert "not a model file" in error_of(kmr("layers", HOME / "README.md"))


class TestMissingFramework:
    @pytest.mark.parametrize(
        ("name", "extra"),
        [("digits.keras", "tensorflow"), ("digits_savedmodel", "tensorflow"), ("digits_scripted.pt", "torch")],
    )
    def test_the_extra_is_named(self, kmr, no_frameworks, name, extra):
        text = error_of(sample(kmr, HOME / name, "--input", BATCH, **no_frameworks))
        assert f"kmr-inspect[{extra}]" in text


@pytest.mark.slow
class TestWhileRunning:
    def test_unknown_custom_class(self, kmr, tmp_path):
        import json
        import zipfile

        changed = tmp_path / "custom.keras"
        with zipfile.ZipFile(KERAS) as source, zipfile.ZipFile(changed, "w") as target:
            for name in source.namelist():
                data = source.read(name)
                if name == "config.json":
                    config = json.loads(data)
                    layer = next(one for one in config["config"]["layers"] if one["name"] == "conv1")
                    layer.update(module="shop.layers", class_name="MyConv", registered_name="Shop>MyConv")
                    data = json.dumps(config)
                target.writestr(name, data)
        text = error_of(sample(kmr, changed, "--input", BATCH))
        assert "MyConv" in text
        assert "it was defined in shop.layers: --import shop.layers" in text

    @pytest.mark.parametrize("name", ["my_layers.py", "./my_layers", "folder/my_layers", ".my_layers", ""])
    def test_a_path_where_a_module_is_named(self, kmr, tmp_path, monkeypatch, name):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "my_layers.py").write_text("")
        hint = "give the name as in a Python import (my_layers for ./my_layers.py), not a path"
        assert hint in error_of(sample(kmr, SCRIPTED, "--input", BATCH, "--import", name))
        if name != "./my_layers":  # which the option takes
            assert hint in error_of(kmr("check-batch-axis", "--layer-class", f"{name}:Layer", "--shape", "4"))

    def test_debug_shows_the_traceback(self, kmr, tmp_path):
        screen = sample(kmr, SCRIPTED, "--input", BATCH, "--import", "no_such_module_anywhere", "--debug")
        assert screen.code == 2
        assert "Traceback" in screen.err
        assert "no_such_module_anywhere" in screen.err

    def test_import_of_a_missing_module(self, kmr):
        text = error_of(sample(kmr, SCRIPTED, "--input", BATCH, "--import", "no_such_module_anywhere"))
        assert "no_such_module_anywhere" in text

    @pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
    def test_unwritable_folder(self, kmr, tmp_path):
        tmp_path.chmod(0o500)
        assert "cannot be written" in error_of(sample(kmr, KERAS, "--input", BATCH, "-o", tmp_path / "o.npz"))


def test_a_negative_seed(kmr):
    assert "a seed must be 0 or more, not -1" in error_of(
        kmr("sample", HOME / "digits.keras", "-l", "head", "-i", "0", "--seed", "-1")
    )


def test_names_and_signs_that_the_terminal_cannot_show(kmr, tmp_path):
    path = tmp_path / "größe.keras"
    path.write_bytes((HOME / "digits.keras").read_bytes())
    screen = kmr("layers", path.name, cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert (screen.code, screen.err) == (0, "")
    assert "gr\\xf6\\xdfe.keras" in screen.out


@pytest.mark.parametrize("format_", ["terminal", "json"])
def test_escapes_in_a_dtype_do_not_reach_the_terminal(kmr, tmp_path, format_):
    with zipfile.ZipFile(HOME / "digits.keras") as old, zipfile.ZipFile(tmp_path / "m.keras", "w") as new:
        for name in old.namelist():
            text = old.read(name)
            if name == "config.json":
                config = json.loads(text)
                config["config"]["layers"][0]["config"]["dtype"] = "\x1b[31mfloat"
                text = json.dumps(config)
            new.writestr(name, text)
    screen = kmr("layers", tmp_path / "m.keras", "--format", format_)
    assert screen.code == 0
    assert "\x1b" not in screen.out


def test_a_small_archive_that_unpacks_to_a_huge_config(kmr, tmp_path):
    with zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("metadata.json", "{}")
        file.writestr("config.json", "[" + "[]," * 10_000_000 + "[]]")
    assert "too many for a description" in error_of(kmr("layers", tmp_path / "m.keras"))


def test_an_output_tensor_with_a_negative_number(kmr, tmp_path):
    with zipfile.ZipFile(HOME / "digits.keras") as old, zipfile.ZipFile(tmp_path / "m.keras", "w") as new:
        for name in old.namelist():
            text = old.read(name)
            if name == "config.json":
                config = json.loads(text)
                config["config"]["output_layers"] = [["conv1", 0, -5]]
                text = json.dumps(config)
            new.writestr(name, text)
    assert "does not describe a model" in error_of(kmr("layers", tmp_path / "m.keras"))


def endless_onnx(folder):
    def change(model):
        model.graph.initializer[0].dims[:] = [1 << 40] * 3

    return onnx_files.changed(folder, change)


def endless_keras(folder):
    def change(config):
        layer = next(layer for layer in config["config"]["layers"] if layer["class_name"] == "InputLayer")
        layer["config"]["batch_shape"] = [None, 10**30, 8, 1]

    return keras_files.archive(folder, change)


def endless_pt2(folder):
    def change(name, data):
        return data.replace(b'"sizes": [{"as_int": 16}', b'"sizes": [{"as_int": 16000000000000000000}')

    return torch_files.rewritten(HOME / "digits.pt2", folder / "model.pt2", change, {})


@pytest.mark.parametrize("make", [endless_onnx, endless_keras, endless_pt2])
@pytest.mark.parametrize("command", ["layers", "sample"])
def test_sizes_that_no_model_has(kmr, tmp_path, make, command):
    more = ["--layer", "*", "--index", 0] if command == "sample" else []
    text = error_of(kmr(command, make(tmp_path), *more))
    assert text.splitlines()[0] == "error: the file claims sizes of more than 64 bits, which no model has"
