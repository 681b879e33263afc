"""``--rows``, ``--scale``, ``--input-from`` and the rest at the command, in Python, in pytest, in a project."""

import gzip
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from onnx import helper
from PIL import Image
from zoo.onnx_models import model, save, tensor
from zoo.samples import HOME, command, python

MODEL, DATA = HOME / "digits.onnx", HOME / "digits.npz"
SCHEMA = json.loads((HOME.parent / "docs" / "check-batch-axis.schema.json").read_text())
PROJECT = f'[tool.kmr-inspect.models."{MODEL}"]\n'


@pytest.fixture(scope="module")
def images():
    with np.load(DATA) as archive:
        return archive["image"]


@pytest.fixture
def folder(tmp_path, images):
    place = tmp_path / "images"
    place.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(np.uint8(image[..., 0] * 255)).save(place / f"{number:02}.png")
    return place


def sampled(tmp_path, *options, layer="conv2", index=0):
    place = tmp_path / "value.npy"
    place.unlink(missing_ok=True)
    run = command(
        ["sample", MODEL, "--layer", layer, "--index", index, "--side", "in", "--no-verify", *options, "-o", place],
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stderr
    return np.load(place), run.stderr


def data_of(tmp_path, *options):
    few = ["--no-proof", "--batch-sizes", 2, "--select", "KMR101", "--allow-inconclusive"]
    run = command(["check-batch-axis", MODEL, "--format", "json", *few, *options], cwd=tmp_path)
    document = json.loads(run.stdout)
    jsonschema.validate(document, SCHEMA)
    return document["grounds"]["data"], document


def test_rows_are_the_samples(tmp_path):
    whole, _ = sampled(tmp_path, "--input", DATA, index=5)
    part, _ = sampled(tmp_path, "--input", f"{DATA}:image", "--rows", "4:8", index=1)
    assert np.array_equal(whole, part)


def test_a_report_names_the_rows_and_the_digest_of_their_values(tmp_path):
    found, _ = data_of(tmp_path, "--input", DATA, "--rows", "2:6")
    assert found["options"] == ["--rows 2:6"]
    assert [file["sha256"] for file in found["files"]] == [None]  # it isn't read as a whole
    again, _ = data_of(tmp_path, "--input", f"{DATA}:image", "--rows", "2:6")
    other, _ = data_of(tmp_path, "--input", DATA, "--rows", "3:7")
    assert found["values_sha256"] == again["values_sha256"] != other["values_sha256"]


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="there is no sha256sum")
def test_a_report_names_images_by_what_sha256sum_prints(tmp_path, folder):
    found, _ = data_of(tmp_path, "--input", folder, "--scale", "0:1")
    said = subprocess.run(["sha256sum", *sorted(one.name for one in folder.iterdir())], cwd=folder, capture_output=True)
    assert found["files"] == [{"file": str(folder), "sha256": hashlib.sha256(said.stdout).hexdigest()}]
    assert found["options"] == ["--scale 0:1"]


def test_what_a_function_gives(tmp_path, images):
    (tmp_path / "my_data.py").write_text(
        f"import numpy as np\ndef batch():\n    print('made')\n    return np.load({str(DATA)!r})['image']\n"
    )
    found, report = data_of(tmp_path, "--input-from", "my_data:batch")
    assert (found["source"], found["function"], report["verdict"]) == ("function", "my_data:batch", "pass")
    assert np.array_equal(sampled(tmp_path, "--input-from", "my_data:batch")[0], sampled(tmp_path, "--input", DATA)[0])


def test_the_folder_of_a_function_is_not_where_a_model_looks_for_modules(tmp_path):
    (tmp_path / "my_data.py").write_text("import numpy as np\ndef batch(): return np.ones((2, 8, 8, 1), np.float32)\n")
    script = (
        "import sys; sys.path[:] = before = [place for place in sys.path if place]\n"
        "from kmr_cli import InputFunction, open_model\n"
        f"with open_model({str(MODEL)!r}) as model: model.trace(InputFunction('my_data:batch'))\n"
        "assert sys.path == before, sys.path"
    )
    run = python("-c", script, cwd=tmp_path)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("def other(): pass", "module 'my_data' has no attribute 'batch'"),
        ("def batch(): raise ValueError('no disk')", "ValueError: no disk"),
        ("def batch(): return None", "gave NoneType, not data"),
        ("def batch(size): pass", "needs arguments"),
        ("batch = range", "TypeError: range expected"),
        ("import numpy.nothing", "it needs numpy.nothing"),
        ("import numpy; numpy.nothing", "AttributeError: module 'numpy' has no attribute 'nothing'"),
        ("batch = 3", "of type int, not a function"),
    ],
)
def test_functions_that_give_nothing(tmp_path, body, problem):
    (tmp_path / "my_data.py").write_text(body)
    run = command(["trace", MODEL, "--input-from", "my_data:batch"], cwd=tmp_path)
    assert run.returncode == 2
    assert problem in run.stderr
    assert len(run.stderr.splitlines()) <= 2


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--rows", "1:2"], "give --input FILE too"),
        (["--rows", "a", "--input", DATA], "'a' is not START:STOP"),
        (["--input-from", "a:b", "--input", DATA], "leave out --input"),
        (["--input", "none.csv"], "no such file"),
    ],
)
def test_options_that_do_not_go_together(tmp_path, options, problem):
    run = command(["trace", MODEL, *options], cwd=tmp_path)
    assert run.returncode == 2
    assert problem in run.stderr


def test_a_project_says_how_its_images_are_read(tmp_path, folder):
    (tmp_path / "pyproject.toml").write_text(f'{PROJECT}input = "{folder.name}"\nrows = "2:6"\nscale = "0:1"\n')
    typed = ["--input", folder, "--rows", "2:6", "--scale", "0:1"]
    assert np.array_equal(sampled(tmp_path)[0], sampled(tmp_path, *typed)[0])
    one, said = sampled(tmp_path, "--input", folder / "02.png")  # scaled as the project says; the rows are of its files
    assert np.array_equal(one, sampled(tmp_path)[0])
    assert "as stored" not in said


def test_nothing_is_written_over_what_is_read(tmp_path):
    np.savez(tmp_path / "a.npz", image=np.zeros((2, 8, 8, 1), np.float32))
    run = command(
        ["sample", MODEL, "-l", "conv2", "-i", 0, "--input", "a.npz:image", "-o", "a.npz", "--force"], cwd=tmp_path
    )
    assert run.returncode == 2
    assert "what it is run on" in run.stderr


def test_a_library_that_is_missing_is_named_with_the_extra(tmp_path, folder):
    (tmp_path / "a.csv").write_text("image\n1\n")
    (tmp_path / "a.safetensors").write_bytes(b"")
    script = (
        "import sys\nfrom kmr_cli.cli import run\n"
        "class Gone:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name.split('.')[0] in ('pyarrow', 'PIL', 'safetensors'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Gone())\n"
        "for name in [name for name in sys.modules if name.split('.')[0] in ('pyarrow', 'PIL', 'safetensors')]:\n"
        "    del sys.modules[name]\n"
        "for file in ('a.csv', 'images', 'a.safetensors'):\n"
        f"    assert run(['trace', {str(MODEL)!r}, '--input', file]) == 2\n"
    )
    run = python("-c", script, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stderr.splitlines()[::2] == [
        "error: a.csv: cannot be read: pyarrow is not installed",
        "error: images/00.png: cannot be read: Pillow is not installed",
        "error: a.safetensors: cannot be read: safetensors is not installed",
    ]
    assert all("[data]'" in hint for hint in run.stderr.splitlines()[1::2])


def test_in_python(tmp_path, folder):
    script = (
        "import sys; from kmr_cli import InputFiles, BatchError, check_batch_axis\n"
        f"report = check_batch_axis({str(MODEL)!r}, InputFiles({str(folder)!r}, rows='0:4', scale='0:1'))\n"
        "print(report.verdict, report.grounds.data.options)\n"
        f"try: check_batch_axis({str(MODEL)!r}, InputFiles({str(folder / '00.png')!r}, resize='4x4'))\n"
        "except BatchError as exc: print(exc)\n"
    )
    lines = python("-c", script, cwd=tmp_path).stdout.splitlines()
    assert lines[0] == "pass ('--rows 0:4', '--scale 0:1')"
    assert lines[-1] == "hint:  resize='8x8'"


def test_a_failing_test_says_how_to_look_at_it(tmp_path):
    mixing = [helper.make_node("Softmax", ["x"], ["y"], axis=0)]
    save(model(mixing, [tensor("x", ["batch", 3])], [tensor("y", ["batch", 3])]), tmp_path / "m.onnx")
    np.savetxt(tmp_path / "x.csv", np.random.default_rng(0).normal(size=(9, 3)), delimiter=",")
    options = ["--rootdir", tmp_path, "--kmr-input", "x.csv", "--kmr-rows", "0:4"]
    run = python("-m", "pytest", "-p", "no:cacheprovider", "--kmr-model", "m.onnx", *options, cwd=tmp_path)
    assert run.returncode == 1
    assert "look: kmr-inspect sample m.onnx" in run.stdout
    assert "--input x.csv --rows 0:4" in run.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--kmr-rows=0:4", "--kmr-rows says how --kmr-input is read\nhint:  give --kmr-input FILE too"),
        ("--kmr-input-from=a:b --kmr-scale=0:1", "--kmr-input-from gives the batch\nhint:  leave out --kmr-scale"),
    ],
)
def test_in_pytest_no_option_is_without_effect(tmp_path, options, said):
    run = python("-m", "pytest", "-p", "no:cacheprovider", "--kmr-model", MODEL, *options.split(), cwd=tmp_path)
    assert run.returncode == 4
    assert said in run.stderr


def test_in_pytest(tmp_path, folder):
    options = ["--kmr-input", folder, "--kmr-rows", "0:4", "--kmr-scale", "0:1"]
    run = python("-m", "pytest", "-p", "no:cacheprovider", "--kmr-model", MODEL, *options, cwd=tmp_path)
    assert run.returncode == 0, run.stdout
    assert "images --rows 0:4 --scale 0:1" in run.stdout
    (tmp_path / "test_it.py").write_text(
        "import pytest\nfrom kmr_cli import InputFiles\n"
        f"@pytest.mark.kmr_model({str(MODEL)!r})\n"
        "def test_it(kmr_model):\n"
        "    report = kmr_model.assert_batch_independent(InputFiles('images', rows='0:4', scale='0:1'))\n"
        "    assert report.grounds.data.options == ('--rows 0:4', '--scale 0:1')\n"
    )
    run = python("-m", "pytest", "-p", "no:cacheprovider", "-q", "test_it.py", cwd=tmp_path)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize(
    ("place", "with_", "problem"),
    [
        (6383, b"\0\0", "reading it took too long"),
        (5025, b"\xff", "the library that reads it crashed"),
    ],
)
def test_damage_that_libhdf5_does_not_survive_ends_a_child_alone(tmp_path, place, with_, problem):
    # Written by h5py 3.14: twelve groups, each with a compressed data set. A later release may read what this damages.
    content = bytearray(gzip.decompress((Path(__file__).parent / "chunked.h5.gz").read_bytes()))
    content[place : place + len(with_)] = with_
    (tmp_path / "data.h5").write_bytes(content)
    run = command(
        ["sample", MODEL, "--layer", "conv2", "--index", 0, "--input", tmp_path / "data.h5", "--timeout", 2],
        cwd=tmp_path,
    )
    assert run.returncode in (2, 4)
    assert f"error: {tmp_path / 'data.h5'}" in run.stderr
    assert any(words in run.stderr for words in (problem, "cannot be read", "damaged", "holds")), run.stderr
    assert "Traceback" not in run.stderr
