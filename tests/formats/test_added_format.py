"""An added format is one folder and one name: the installed toy works in every command, a broken one is named."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from zoo import toys
from zoo.distributions import environment, install, install_toy
from zoo.samples import HOME, command, python

from kmr_cli.snapshot.read import load


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return install_toy(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    weights = toys.weights()
    changed = {**weights, "head.bias": weights["head.bias"] + np.float32(0.5)}
    toys.save(folder / "plain.toy", toys.graph(), weights)
    toys.save(folder / "leak.toy", toys.graph(leak=True), weights)
    toys.save(folder / "corners.toy", toys.corners(), weights)
    toys.save(folder / "changed.toy", toys.graph(), changed)
    np.savez(folder / "batch.npz", **toys.batch())
    return folder


@pytest.fixture
def kmr(home, models):
    """Runs the installed command where the toy format is installed, or whatever stands in another place."""

    def run(*arguments, code=0, site=home):
        done = command(arguments, models, **environment(site))
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


def test_layers(kmr):
    text = kmr("layers", "corners.toy").stdout
    assert "corners.toy  Toy archive, written by toymaker 1" in text
    assert "block:hidden" in text
    assert "2 calls" in text
    assert "no tap: its maker sealed it" in text
    told = json.loads(kmr("layers", "corners.toy", "--format", "json").stdout)
    assert told["model"]["format"] == "toy"


def test_sample(kmr, models):
    text = kmr("sample", "plain.toy", "--layer", "hidden", "--index", "4", "--input", "batch.npz").stdout
    assert "block:hidden out0" in text
    assert "verified, separated on axis 0" in text
    kmr("sample", "plain.toy", "-l", "head", "-i", "4", "--input", "batch.npz", "--side", "out", "-o", models / "s.npz")
    weights, x = toys.weights(), toys.batch()["x"][4]
    hidden = np.maximum(x @ weights["block:hidden.kernel"] + weights["block:hidden.bias"], 0)
    with np.load(models / "s.npz") as archive:
        found = [archive[name] for name in archive.files if archive[name].shape == (toys.OUT,)]
    np.testing.assert_allclose(found[0], hidden @ weights["head.kernel"] + weights["head.bias"], rtol=1e-5)


def test_a_layer_that_is_not_there_and_one_that_is_sealed(kmr):
    assert "did you mean" in kmr("sample", "plain.toy", "-l", "hiden", "-i", "0", code=2).stderr
    assert "its maker sealed it" in kmr("sample", "corners.toy", "-l", "sealed", "-i", "0", code=2).stderr


def test_check_batch_axis_finds_the_leak_and_only_the_leak(kmr):
    assert "pass: the samples of a batch are independent" in kmr("check-batch-axis", "plain.toy").stdout
    assert "error KMR101 cross-sample-leak at centre" in kmr("check-batch-axis", "leak.toy", code=1).stdout
    assert "KMR101" in kmr("check-batch-axis", "leak.toy", "--allow", "centre", "--allow-inconclusive").stdout


def test_every_document(kmr):
    told = json.loads(kmr("check-batch-axis", "leak.toy", "--format", "json", code=1).stdout)
    assert (told["verdict"], told["model"]["format"]) == ("fail", "toy")
    junit = ElementTree.fromstring(kmr("check-batch-axis", "leak.toy", "--format", "junit", code=1).stdout)
    assert int(junit.attrib["failures"]) > 0
    sarif = json.loads(kmr("check-batch-axis", "leak.toy", "--format", "sarif", code=1).stdout)
    assert {result["ruleId"] for result in sarif["runs"][0]["results"]} == {"KMR101"}
    assert "::error" in kmr("check-batch-axis", "leak.toy", "--format", "github", code=1).stdout


def test_snapshot_and_compare_with_itself_and_with_a_changed_copy(kmr, models):
    kmr("snapshot", "plain.toy", "-o", "plain.kmr.json")
    taken = load(models / "plain.kmr.json")
    assert (taken.format, taken.separator) == ("toy", ":")
    assert "numpy" in taken.versions
    assert "is the same, bit for bit" in kmr("compare", "plain.toy", "plain.kmr.json").stdout
    assert "KMR406 values-changed at head" in kmr("compare", "changed.toy", "plain.kmr.json", code=1).stdout
    assert "is the same, bit for bit" in kmr("compare", "plain.toy", "plain.toy").stdout
    told = json.loads(kmr("compare", "changed.toy", "plain.toy", "--format", "json", code=1).stdout)
    assert told["baseline"]["format"] == told["model"]["format"] == "toy"


@pytest.mark.slow
@pytest.mark.parametrize("order", [("plain.toy", "same.pt"), ("same.pt", "plain.toy")], ids=" against ".join)
def test_compare_with_another_format(kmr, models, order):
    toys.save_torchscript(models / "same.pt", toys.weights())
    text = kmr("compare", *order, "--input", "batch.npz").stdout
    assert "pass: the outputs agree" in text
    assert "block.hidden" in text
    assert "block:hidden" in text
    toys.save_torchscript(models / "other.pt", toys.weights(seed=5))
    other = [name.replace("same", "other") for name in order]
    assert "fail" in kmr("compare", *other, "--input", "batch.npz", code=1).stdout


def test_the_pytest_plugin(home, models, tmp_path):
    def run(model):
        arguments = ("pytest", "-p", "no:cacheprovider", "-q", "-rA", "--kmr-model", model)
        return python("-m", *arguments, cwd=tmp_path, **environment(home))

    good, bad = run(models / "plain.toy"), run(models / "leak.toy")
    assert good.returncode == 0, good.stdout + good.stderr
    assert "plain.toy::block:hidden::KMR101" in good.stdout
    assert bad.returncode == 1, bad.stdout + bad.stderr
    assert "FAILED" in bad.stdout
    assert "leak.toy::centre::KMR101" in bad.stdout


SCRIPT = """
from kmr_cli import open_model
with open_model("plain.toy") as model:
    (record,) = model.sample("hidden", 0, side="out")
    print(model.versions["numpy"] != "", record.layer, model.info.format)
from kmr_toy_format.run.model import load
with open_model(load("plain.toy"), in_process=True) as model:
    print(model.info.path, model.layers[0].path, model.check_batch_axis().verdict)
"""


def test_the_python_interface(home, models):
    done = python("-c", SCRIPT, cwd=models, **environment(home))
    assert done.stdout.splitlines() == ["True block:hidden toy", "(live ToyModel) block:hidden pass"], done.stderr


# -- where it is not installed, or broken -------------------------------------------------------------------------


def test_without_it_the_file_is_not_a_model(kmr, tmp_path):
    said = kmr("layers", "plain.toy", code=2, site=tmp_path).stderr
    assert "plain.toy: a zip archive, but not a model file" in said
    assert ".toy" not in said.split("hint")[1]


def test_its_snapshot_is_readable_without_it(kmr, tmp_path, models):
    kmr("snapshot", "plain.toy", "-o", "kept.kmr.json")
    toys.save_torchscript(models / "kept.pt", toys.weights())
    said = kmr("compare", "kept.pt", "kept.kmr.json", "--input", "batch.npz", code=2, site=tmp_path)
    assert "damaged" not in said.stderr
    assert load(models / "kept.kmr.json").format == "toy"


def test_hints_name_what_is_installed(kmr, tmp_path):
    (tmp_path / "text.bin").write_text("no model")
    said = kmr("layers", tmp_path / "text.bin", code=2).stderr
    *_, hint = " ".join(said.split()).partition("hint: ")
    assert "a SavedModel directory" in hint
    assert hint.endswith(" or a .toy file")


COMPLETE = "from kmr_toy_format import *\nfrom kmr_toy_format import describe\n"
BROKEN = {
    "import error": (
        "toy2 = broken",
        "import nothing_of_this_name",
        "cannot be loaded (ModuleNotFoundError: No module",
    ),
    "any error": ("toy2 = broken", "1 / 0", "cannot be loaded (ZeroDivisionError: division by zero)"),
    "no such module": ("toy2 = absent", "", "cannot be loaded (ModuleNotFoundError: No module named 'absent')"),
    "built-in name": ("keras = broken", COMPLETE, "has the name of a built-in one"),
    "layer class": ("layer = broken", COMPLETE, "has the name of a built-in one"),
    "another name": ("toy2 = broken", COMPLETE, "calls itself 'toy'"),
    "parts missing": ("toy2 = broken", "NAME = 'toy2'", "is incomplete: broken has no TITLE, FILE, EXTRA"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_format_is_named_and_stands_in_no_ones_way(kmr, tmp_path, kind):
    entry, text, said = BROKEN[kind]
    install_toy(tmp_path)
    install(tmp_path, "kmr-broken", entry, {"broken": text})
    assert "Toy archive" in kmr("layers", "plain.toy", site=tmp_path).stdout
    (tmp_path / "unknown.bin").write_text("no model")
    lines = kmr("layers", tmp_path / "unknown.bin", code=2, site=tmp_path).stderr
    error = " ".join(lines.split("hint:")[0].split())
    assert f"the format {entry.split(' = ')[0]!r} of the distribution kmr-broken 1.0 {said}" in error
    assert "update that distribution or uninstall it" in " ".join(lines.split())
    assert "Traceback" not in lines


def test_two_distributions_with_one_name(kmr, tmp_path):
    install_toy(tmp_path)
    install(tmp_path, "kmr-toy-too", "toy = other", {"other": COMPLETE})
    (tmp_path / "unknown.bin").write_text("no model")
    said = " ".join(kmr("layers", tmp_path / "unknown.bin", code=2, site=tmp_path).stderr.split())
    assert "the format 'toy' of the distribution kmr-toy-too 1.0 has the name of another distribution's" in said
    assert "Toy archive" in kmr("layers", "plain.toy", site=tmp_path).stdout


def test_one_that_fails_to_look_is_named(kmr, tmp_path):
    install_toy(tmp_path)
    text = COMPLETE + "NAME = 'blind'\ndef matches(path):\n    raise OSError('no eyes')\n"
    install(tmp_path, "kmr-blind", "blind = blind", {"blind": text})
    assert "Toy archive" in kmr("layers", "plain.toy", site=tmp_path).stdout
    (tmp_path / "unknown.bin").write_text("no model")
    said = " ".join(kmr("layers", tmp_path / "unknown.bin", code=2, site=tmp_path).stderr.split())
    assert "the format 'blind' failed to look at it (OSError: no eyes)" in said


def test_built_in_formats_do_not_look_for_others(kmr, tmp_path):
    text = "import os\nos.write(2, b'looked')\n"
    install(tmp_path, "kmr-watch", "watch = watching", {"watching": text})
    assert "looked" not in kmr("layers", HOME / "digits.keras", "--debug", site=tmp_path).stderr
    (tmp_path / "unknown.bin").write_text("no model")
    assert "looked" in kmr("layers", tmp_path / "unknown.bin", "--debug", code=2, site=tmp_path).stderr
