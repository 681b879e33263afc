"""What a SavedModel directory can lack or have too much of, as the command line says it."""

import numpy as np
import pytest
from zoo import savedmodel as zoo
from zoo.samples import HOME

pytestmark = pytest.mark.slow


def error_of(screen):
    assert screen.code == 2, screen
    assert screen.out == ""
    error, *hint = [line for line in screen.err.splitlines() if not line.startswith("note: ") and " …" not in line]
    assert error.startswith("error: ")
    assert "Traceback" not in screen.err
    return error, "\n".join(hint)


def test_without_signatures(kmr, tmp_path):
    error, _ = error_of(kmr("layers", zoo.module_without_signature(tmp_path / "m")))
    assert "signature" in error


def test_with_several(kmr, tmp_path):
    path = zoo.module_signatures(tmp_path / "m")
    error, hint = error_of(kmr("layers", path))
    assert "encode" in error + hint
    assert "--signature" in hint
    assert kmr("layers", path, "--signature", "encode").code == 0
    error, hint = error_of(kmr("layers", path, "--signature", "encod"))
    assert "encode" in error + hint


def test_with_another_tag_set(kmr, tmp_path):
    path = zoo.tf1_tags(tmp_path / "m", tag_sets=(("train",), ("serve", "gpu")))
    error, hint = error_of(kmr("layers", path))
    assert "--tag" in hint
    assert kmr("layers", path, "--tag", "train").code == 0
    assert kmr("layers", path, "--tag", "gpu", "--tag", "serve").code == 0
    error, hint = error_of(kmr("layers", path, "--tag", "tpu"))
    assert "tpu" in error


def test_with_an_op_that_is_not_registered(kmr, tmp_path):
    def rename(message):
        for operation in message.meta_graphs[0].meta_info_def.stripped_op_list.op:
            if operation.name == "Relu":
                operation.name = "MyVeryOwnOp"
        for node in zoo.all_nodes(message):
            if node.op == "Relu":
                node.op = "MyVeryOwnOp"

    path = zoo.edit(zoo.module_plain(tmp_path / "m"), rename)
    assert kmr("layers", path).code == 0
    error, hint = error_of(kmr("sample", path, "-l", "*", "-i", "0"))
    assert "MyVeryOwnOp" in error
    assert "--import" in hint


def test_with_weights_missing(kmr, tmp_path):
    path = zoo.module_plain(tmp_path / "m")
    for shard in (path / "variables").glob("*.data*"):
        shard.unlink()
    error, _ = error_of(kmr("sample", path, "-l", "*", "-i", "0"))
    assert "variables" in error


def test_a_pickled_state_dict_is_not_torchscript(kmr, tmp_path):
    import torch

    torch.save({"weight": torch.zeros(3)}, tmp_path / "weights.pt")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for name in ("weights.pt", "old.pt"):
        error, hint = error_of(kmr("layers", tmp_path / name))
        assert "pickle" in error
        assert "torch.export.save" in hint


def test_a_file_of_arrays_for_another_signature(kmr, tmp_path):
    np.savez(tmp_path / "b.npz", picture=np.zeros((3, 8, 8, 1), np.float32), other=np.zeros(3))
    error, hint = error_of(
        kmr("sample", HOME / "digits_savedmodel", "-l", "conv1", "-i", "0", "--input", tmp_path / "b.npz")
    )
    assert "no data for input 'image'" in error
    assert "image" in hint
