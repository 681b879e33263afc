"""What a .pt2 file says of itself, read from its bytes."""

import subprocess
import sys

import pytest
from zoo import exported as zoo

from kmr_cli.batch.hints import hints
from kmr_cli.errors import ModelLoadError
from kmr_cli.formats import detect, exported
from kmr_cli.formats.interface import OpenOptions

OPTIONS = OpenOptions()


def described(name):
    return exported.describe(zoo.path_of(name), OPTIONS)


def layers(info):
    return {layer.path: layer for layer in info.layers}


def test_tree_calls_and_parameters():
    info = described("shared")
    assert [(layer.path, layer.type, layer.calls, layer.parameters) for layer in info.layers] == [
        ("outer", "Outer", 2, 20),
        ("outer.inner", "Inner", 2, 20),
        ("outer.inner.fc", "Linear", 2, 20),
        ("outer.again", "Inner", 2, 20),
        ("outer.again.fc", "Linear", 2, 20),
        ("parts", "", 0, 10),
        ("parts.0", "", 0, 0),
        ("parts.1", "Linear", 1, 10),
    ]
    assert info.parameters == 30  # the shared weights once
    assert [layer.path for layer in info.layers if layer.untappable] == ["parts", "parts.0"]
    assert (info.format, info.separator) == ("pt2", ".")
    assert info.writer.startswith("torch.export 2.")


def test_a_strict_export_names_a_shared_module_once():
    assert {path: layer.calls for path, layer in layers(described("strict")).items() if layer.calls} == {
        "outer": 2,
        "outer.inner": 4,
        "outer.inner.fc": 4,
        "parts.1": 1,
    }


def test_symbolic_sizes_by_name():
    info = described("windows")
    fc = layers(info)["fc"]
    assert fc.inputs[0].shape == (None, 4, 3)
    assert fc.inputs[0].symbols == ("6*batch", "4", "3")
    assert info.inputs[0].symbols == ("batch", "4", "6", "3")
    assert info.fixed_batch is None


def test_ranges_limits_and_an_example_of_free_sizes():
    info = described("length")
    steps = info.inputs[0].symbols[1]
    assert info.notes == ("batch is 1 to 64", f"{steps} (axis 1 of ids) is 3 to 100")
    ids, mask = info.inputs
    assert (ids.name, ids.shape, ids.dtype, ids.limit) == ("ids", (None, None), "int64", 13)
    assert ids.example == mask.example == (None, 7)
    assert layers(info)["fc"].inputs[0].symbols == (f"batch*{steps}", "6")


def test_a_fixed_batch():
    info = described("fixed")
    assert info.fixed_batch == 3
    assert info.inputs[0].shape == (3, 4)


def test_names_of_nested_inputs_and_outputs():
    info = described("structures")
    assert [spec.name for spec in info.inputs] == list(zoo.example("structures").batch)
    assert [spec.name for spec in info.outputs] == ["sum", "rest.0", "rest.1"]
    assert [spec.name for spec in described("fields").outputs] == ["logits"]
    assert [spec.name for spec in described("functional").outputs] == ["out0"]


def test_what_is_not_a_sample_is_noted():
    info = described("sides")
    assert [spec.name for spec in info.inputs] == ["x"]
    assert any("'mixing' has no batch axis" in note for note in info.notes)
    assert any("'times' is 7, as in the export; --constant times=N" in note for note in info.notes)


def test_layers_inside_modes_and_loops_are_listed():
    assert [layer.path for layer in described("modes").layers if not layer.untappable] == ["frozen", "short", "out"]
    assert layers(described("modes"))["short"].outputs[0].dtype == "bfloat16"
    info = described("looping")
    assert (layers(info)["fc"].untappable, layers(info)["fc"].calls) == (None, None)
    assert any("inside of branches and loops only modules with weights" in note for note in info.notes)


def test_without_modules_the_operators_are_layers():
    info = described("functional")
    assert [(layer.path, layer.type) for layer in info.layers] == [
        ("linear", "linear"), ("sort", "sort"), ("add", "add"),
    ]  # fmt: skip
    assert [spec.name for spec in layers(info)["sort"].outputs] == ["out0", "out1"]


def test_exported_in_training_mode(tmp_path):
    from torch import nn

    model = zoo.plain(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)), {"input": zoo.normal(3, 4)})
    model.module.train()
    path = zoo.save(model, tmp_path / "m.pt2")
    info = exported.describe(path, OPTIONS)
    assert info.notes == ("exported in training mode, in which these run: 1",)
    (hint,) = hints(info, {"input": zoo.normal(3, 4)}, ())
    assert hint == "'1' is set to training mode in the model itself, so it runs in that mode here too"
    with pytest.raises(ModelLoadError, match="exported in training mode, and runs in no other") as caught:
        exported.open(path, OpenOptions(training=True))
    assert caught.value.hint == "leave out --training"


def test_older_layout(tmp_path):
    new = described("tied")
    path = zoo.as_before_2_8(zoo.example("tied"), tmp_path / "old.pt2")
    old = exported.describe(path, OPTIONS)
    assert detect(path).NAME == "pt2"
    assert old.writer == "torch.export 2.5.1"
    assert (old.layers, old.parameters) == (new.layers, new.parameters)
    assert (old.inputs, old.outputs) == (new.inputs, new.outputs)


def test_needs_no_framework_and_no_pickle_of_its_own():
    path = str(zoo.path_of("length"))
    code = "import sys; from kmr_cli.cli import run; print(run(['layers', sys.argv[1]]), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "0 False", done.stderr


@pytest.mark.parametrize("name", ["windows", "length"])
def test_layers_shows_the_sizes(name, tmp_path):
    from click.testing import CliRunner

    from kmr_cli.cli.layers import command

    shown = CliRunner().invoke(command, [str(zoo.path_of(name)), "--long"]).output
    assert ("(6*batch, 4, 3)" if name == "windows" else "(batch*s") in shown
