"""The data of dumps: rows, arrays, and every kind of value on its way through a model into a file."""

import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto, helper
from zoo.dumps import attributes, contents, dense, rows, same
from zoo.onnx_models import model as onnx_model
from zoo.onnx_models import save, tensor

from kmr_cli import InputFiles, open_model
from kmr_cli.api.model import Model
from kmr_cli.errors import BatchError, KmrError, OutputError
from kmr_cli.formats.interface import OpenOptions


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    np.save(place / "x.npy", rows())
    dense(place / "dense.onnx")
    return place


@pytest.fixture(scope="module")
def model(folder):
    with open_model(folder / "dense.onnx") as opened:
        yield opened


@pytest.fixture(scope="module")
def data(folder):
    return folder / "x.npy"


@pytest.fixture(scope="module", params=[".zarr", ".h5"])
def whole(request, model, data, tmp_path_factory):
    """A dump that nothing disturbed."""
    place = tmp_path_factory.mktemp("whole") / f"whole{request.param}"
    model.dump("*", data, place, size=4)
    return place


def test_rows_of_a_file(model, data, tmp_path):
    model.dump("first", InputFiles(data, rows="5:14"), tmp_path / "out.zarr", size=4)
    held = contents(tmp_path / "out.zarr")
    assert held["index"].tolist() == list(range(5, 14))
    model.dump("first", data, tmp_path / "all.zarr", size=4)
    assert np.allclose(held["first#0/out0"], contents(tmp_path / "all.zarr")["first#0/out0"][5:14], atol=1e-6)


def test_arrays(model, whole, tmp_path):
    model.dump("*", {"x": rows()}, tmp_path / f"out{whole.suffix}", size=4)
    same(tmp_path / f"out{whole.suffix}", whole)


def test_there_must_be_some(model, tmp_path):
    with pytest.raises(BatchError, match="no data"):
        model.dump("*", None, tmp_path / "out.zarr")


def test_less_than_a_batch(model, tmp_path):
    found = model.dump("*", rows(3), tmp_path / "out.zarr")
    assert (found.batch_size, found.batches) == (3, 1)


def test_jobs_and_live_models(model, data, tmp_path):
    with pytest.raises(KmrError, match="jobs must be 1 or more"):
        model.dump("*", data, tmp_path / "out.zarr", jobs=0)
    with pytest.raises(OutputError, match="several machines"):
        model.dump("*", data, tmp_path / "out.h5", scheduler="tcp://127.0.0.1:1")


def test_what_is_told_while_it_runs(folder, data, tmp_path):
    """Counted, so that the command line can tell the time that is left; what an earlier run did is counted too."""
    told = []
    with Model(folder / "dense.onnx", OpenOptions(), report=lambda kind, text: told.append((kind, text))) as opened:
        opened.dump("*", data, tmp_path / "out.zarr", size=4)
        counted = [text for kind, text in told if kind == "progress" and "batches" in text]
        assert counted == [f"{number}/6 batches of 4 samples" for number in range(1, 7)]
        for number in (2, 5):
            (tmp_path / "out.zarr" / "index" / f"c.{number}").unlink()
        told.clear()
        assert opened.dump("*", data, tmp_path / "out.zarr", size=4).before == 4
    counted = [text for kind, text in told if kind == "progress" and "batches" in text]
    assert counted == ["5/6 batches of 4 samples", "6/6 batches of 4 samples"]
    assert ("notice", f"{tmp_path / 'out.zarr'}: 4 batches are there already, 2 to go") in told


KINDS = {
    "half": (TensorProto.FLOAT16, np.float16),
    "brain": (TensorProto.BFLOAT16, ml_dtypes.bfloat16),
    "whole": (TensorProto.INT64, np.int64),
    "flag": (TensorProto.BOOL, np.bool_),
}


@pytest.mark.parametrize("suffix", [".zarr", ".h5"])
def test_values_keep_their_bits_on_their_way(tmp_path, suffix):
    """NaN, infinities and zeros of both signs among them."""
    nodes = [helper.make_node("Relu", ["x"], ["r"], "/plain/Relu")]
    for name, (kind, _) in KINDS.items():
        last = name == "flag"
        nodes.append(helper.make_node("Cast", ["x"], [f"{name}_"], f"/{name}/Cast", to=kind))
        nodes.append(
            helper.make_node("Not", ["flag_"], ["flag"], "/flag/Not")
            if last
            else helper.make_node("Identity", [f"{name}_"], [name], f"/{name}/Identity")
        )
    outputs = [tensor("r", ["batch", 4]), *(tensor(name, ["batch", 4], kind) for name, (kind, _) in KINDS.items())]
    path = save(onnx_model(nodes, [tensor("x", ["batch", 4])], outputs), tmp_path / "kinds.onnx")
    values = rows(11)
    values[3] = [np.nan, np.inf, -np.inf, -0.0]
    values[10, 0] = np.nan
    with open_model(path) as opened:
        found = opened.dump("*", values, tmp_path / f"out{suffix}", size=4, side="both")
    held = contents(tmp_path / f"out{suffix}")
    assert held["plain#0/in0"].tobytes() == values.tobytes()
    assert np.isnan(held["plain#0/out0"]).sum() == 2
    assert held["half#0/out0"].tobytes() == values.astype(np.float16).tobytes()
    brain = values.astype(ml_dtypes.bfloat16)
    if suffix == ".zarr":
        assert held["brain#0/out0"].view(ml_dtypes.bfloat16).tobytes() == brain.tobytes()
    else:
        assert np.array_equal(held["brain#0/out0"], brain.astype(np.float32), equal_nan=True)
    assert attributes(tmp_path / f"out{suffix}", "brain#0/out0")["dtype"] == "bfloat16"
    finite = np.isfinite(values)
    assert np.array_equal(held["whole#0/out0"][finite], values[finite].astype(np.int64))
    assert np.array_equal(held["flag#0/out0"], values == 0)
    assert {value.layer for value in found.values} == {"plain", *KINDS}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_text_on_its_way(tmp_path):
    nodes = [
        helper.make_node("StringConcat", ["x", "x"], ["n"], "/twice/StringConcat"),
        helper.make_node("Identity", ["n"], ["y"], "/twice/Identity"),
    ]
    made = onnx_model(
        nodes, [tensor("x", ["batch"], TensorProto.STRING)], [tensor("y", ["batch"], TensorProto.STRING)]
    )  # fmt: skip
    text = np.array([f"word {number} \u00e9" for number in range(7)])
    with open_model(save(made, tmp_path / "text.onnx")) as opened:
        found = opened.dump("twice", text, tmp_path / "out.zarr", size=3)
        with pytest.raises(OutputError, match="holds text"):
            opened.dump("twice", text, tmp_path / "out.h5", size=3)
    assert found.nbytes == 0
    assert not (tmp_path / "out.h5").exists()
    held = contents(tmp_path / "out.zarr")["twice#0/out0"]
    assert list(held) == [(word + word).encode() for word in text]
