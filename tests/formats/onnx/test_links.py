"""Models in the cache of Hugging Face, where the model's name and those of its weights are links into one folder."""

import numpy as np
import onnx
import pytest
from onnx import helper
from zoo import onnx_models as zoo

from kmr_cli import open_model
from kmr_cli.errors import ModelFileError
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.scan.scan import scan

X = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)


@pytest.fixture
def plain(tmp_path):
    """Weights in another file: of the graph, of a branch, and of a function."""
    made = zoo.loop()
    body = next(one.g for node in made.graph.node for one in node.attribute if one.name == "body")
    body.initializer.append(zoo.weights("inner", 4, 4))
    body.node[0].input[1] = "inner"
    made.graph.node.add(name="first", op_type="MatMul", input=["x", "w"], output=["begun"])
    made.graph.node.insert(0, made.graph.node.pop())
    made.graph.node[1].input[0] = "begun"
    value = helper.make_node("Constant", [], ["held"], value=zoo.weights("held", 4, 4))
    product = helper.make_node("MatMul", ["a", "held"], ["b"])
    made.functions.append(helper.make_function("mine", "Turn", ["a"], ["b"], [value, product], made.opset_import))
    made.opset_import.add(domain="mine", version=1)
    made.graph.node.add(name="turn", op_type="Turn", domain="mine", input=["y"], output=["turned"])
    made.graph.output[0].name = "turned"
    path = tmp_path / "plain" / "model.onnx"
    path.parent.mkdir()
    onnx.save(
        made, path, save_as_external_data=True, location="model.onnx_data", size_threshold=40, convert_attribute=True
    )
    return path


def linked(path, folder):
    """The same as the cache keeps it."""
    home = folder / "models--somebody--net"
    snapshot = home / "snapshots" / "1f2e" / "onnx"
    snapshot.mkdir(parents=True)
    (home / "blobs").mkdir()
    for number, name in enumerate(("model.onnx", "model.onnx_data")):
        (path.parent / name).rename(home / "blobs" / f"{number}e5")
        (snapshot / name).symlink_to(f"../../../blobs/{number}e5")
    return snapshot / "model.onnx"


def test_weights_are_found_behind_links(plain, tmp_path):
    with open_model(plain) as model:
        expected = model.sample("*", 0, {"x": X})
    path = linked(plain, tmp_path)
    assert scan(path).verdict == "pass"
    with open_model(path, sandbox="offered") as model:
        found = model.sample("*", 0, {"x": X})
    assert len(expected) > 6
    assert [(one.layer, one.value.tobytes()) for one in found] == [(one.layer, one.value.tobytes()) for one in expected]


@pytest.mark.parametrize("where", ["outside", "the folder of another model"])
def test_no_other_link_is_followed(plain, tmp_path, where):
    path = linked(plain, tmp_path)
    other = tmp_path / ("models--somebody--other/blobs" if "model" in where else "elsewhere")
    other.mkdir(parents=True)
    data = path.parent / "model.onnx_data"
    data.resolve().rename(other / "data")
    data.unlink()
    data.symlink_to(other / "data")
    assert {finding.rule for finding in scan(path).findings} == {"KMR502"}
    with pytest.raises(ModelFileError, match="outside the model's folder"), open_model(path):
        pass
    with pytest.raises(ModelFileError, match="outside the model's folder"):
        detect(path).describe(path, OpenOptions())
