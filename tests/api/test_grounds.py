"""What a verdict rests on: the files that were read, the data, versions, rules, masks and what the policy decided."""

import hashlib
import os
import threading

import numpy as np
import pytest
from onnx import helper
from zoo import onnx_models

from kmr_cli import compare_models, compare_with_snapshot, open_model, write_snapshot
from kmr_cli.api.grounds import Digests
from kmr_cli.config.policy import Policy, rules_of
from kmr_cli.errors import ModelRunError
from kmr_cli.records import FileDigest
from kmr_cli.version import __version__

X = np.linspace(-1, 1, 40, dtype=np.float32).reshape(10, 4)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def saved(path, *, leak=False, loss=False, external=False, batch="batch"):
    """A dense layer and, if asked for, a mean over the batch and an output without samples."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"], "dense")]
    last, outputs = "h", ["y"]
    if leak:
        nodes.append(helper.make_node("ReduceMean", ["h", "axes"], ["m"], "mean", keepdims=1))
        nodes.append(helper.make_node("Sub", ["h", "m"], ["c"], "centre"))
        last = "c"
    nodes.append(helper.make_node("Relu", [last], ["y"], "relu"))
    if loss:
        nodes.append(helper.make_node("Identity", ["bias"], ["loss"], "loss"))
        outputs.append("loss")
    given = [onnx_models.weights("w", 4, 3), onnx_models.constant("axes", [0]), onnx_models.weights("bias", 1)]
    declared = [onnx_models.tensor(name, [batch, 3] if name == "y" else [1]) for name in outputs]
    model = onnx_models.model(nodes, [onnx_models.tensor("x", [batch, 4])], declared, given)
    if external:
        import onnx

        onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    else:
        onnx_models.save(model, path)
    return path


@pytest.fixture
def model(tmp_path):
    with open_model(saved(tmp_path / "model.onnx"), in_process=True) as opened:
        yield opened


def test_of_synthetic_data_the_seed_is_reported(model):
    grounds = model.check_batch_axis(seed=7).grounds
    assert grounds.model == (FileDigest("model.onnx", sha256(model._opened.file)),)
    assert (grounds.data.kind, grounds.data.files, grounds.data.seed) == ("synthetic", (), 7)
    assert grounds.baseline == ()


def test_of_files_the_digests_are_reported_and_of_arrays_that_there_were_some(model, tmp_path):
    np.save(tmp_path / "x.npy", X)
    named = model.check_batch_axis([f"x={tmp_path / 'x.npy'}"]).grounds.data
    assert named.kind == "files"
    assert named.files == (FileDigest(str(tmp_path / "x.npy"), sha256(tmp_path / "x.npy")),)
    assert model.check_batch_axis(X).grounds.data.kind == "arrays"


def test_versions_are_those_of_this_program_python_and_the_framework(model):
    versions = model.check_batch_axis(X).grounds.versions
    assert versions.keys() == {"kmr_inspect", "python", "numpy", "onnxruntime"}
    assert versions["numpy"] == np.__version__


def test_weights_that_lie_beside_a_model_belong_to_it(tmp_path):
    path = saved(tmp_path / "model.onnx", external=True)
    with open_model(path, in_process=True) as model:
        found = model.check_batch_axis(X).grounds.model
    assert found == tuple(FileDigest(name, sha256(tmp_path / name)) for name in ("model.onnx", "weights.bin"))


def test_every_rule_of_the_check_was_looked_at_or_says_why_not(model):
    grounds = model.check_batch_axis(X, policy=Policy(ignore=("KMR30",))).grounds
    skipped = {one.rule: one.why for one in grounds.skipped}
    assert sorted([*grounds.rules, *skipped]) == sorted(rules_of("check-batch-axis"))
    assert {rule for rule, why in skipped.items() if "ignore" in why} == {"KMR301", "KMR302", "KMR303", "KMR304"}
    assert {rule for rule, why in skipped.items() if "mask" in why} == {"KMR201", "KMR202", "KMR203"}
    assert len(skipped) == 7


def test_a_fixed_batch_leaves_no_rule_of_other_sizes(tmp_path):
    with open_model(saved(tmp_path / "fixed.onnx", batch=5), in_process=True) as model:
        skipped = {one.rule: one.why for one in model.check_batch_axis(X[:5]).grounds.skipped}
    assert skipped["KMR102"] == skipped["KMR103"] == "the model takes only batches of 5"


def test_integers_take_no_nan(tmp_path):
    nodes = [helper.make_node("Gather", ["table", "ids"], ["y"], "words")]
    ids = onnx_models.tensor("ids", ["batch", 3], onnx_models.TensorProto.INT64)
    made = onnx_models.model(
        nodes, [ids], [onnx_models.tensor("y", ["batch", 3, 2])], [onnx_models.weights("table", 9, 2)]
    )
    onnx_models.save(made, tmp_path / "ids.onnx")
    with open_model(tmp_path / "ids.onnx", in_process=True) as model:
        report = model.check_batch_axis(policy=Policy(masks=("ids=0",)))
    assert "NaN" in {one.rule: one.why for one in report.grounds.skipped}["KMR108"]
    assert report.grounds.masks == ("ids=0",)
    assert {"KMR201", "KMR202", "KMR203"} <= set(report.grounds.rules)


def test_only_what_made_a_difference_stands_among_the_policy(tmp_path):
    policy = Policy(allow=("mean", "nowhere"), allow_outputs=("loss", "gone"), ignore=("KMR303",))
    with open_model(saved(tmp_path / "leaky.onnx", leak=True, loss=True), in_process=True) as model:
        report = model.check_batch_axis(X, policy=policy)
    assert report.grounds.policy == ("ignore KMR303", "allow mean", "allow-output loss")
    assert report.grounds.methods == ()


def test_a_comparison_names_both_sides(tmp_path):
    first, second = saved(tmp_path / "new.onnx"), saved(tmp_path / "old.onnx", leak=True)
    np.save(tmp_path / "x.npy", X)
    with open_model(first, in_process=True) as new, open_model(second, in_process=True) as old:
        grounds = compare_models(new, old, tmp_path / "x.npy").grounds
        assert grounds.model == (FileDigest("new.onnx", sha256(first)),)
        assert grounds.baseline == (FileDigest("old.onnx", sha256(second)),)
        assert grounds.data.files == (FileDigest(str(tmp_path / "x.npy"), sha256(tmp_path / "x.npy")),)
        assert grounds.rules == rules_of("compare")
        assert grounds.versions["onnxruntime"]
        write_snapshot(tmp_path / "new.kmr.json", new.snapshot(X))
        compared, _ = compare_with_snapshot(new, tmp_path / "new.kmr.json", X)
    assert compared.grounds.baseline == (FileDigest("new.kmr.json", sha256(tmp_path / "new.kmr.json")),)


class TestDigests:
    def test_every_file_of_a_folder_once_links_followed(self, tmp_path, monkeypatch):
        from kmr_cli.api.grounds import files_of

        (tmp_path / "sm" / "variables").mkdir(parents=True)
        (tmp_path / "sm" / "saved_model.pb").write_bytes(b"graph")
        (tmp_path / "blob").write_bytes(b"weights")
        (tmp_path / "sm" / "variables" / "data").symlink_to(tmp_path / "blob")
        (tmp_path / "sm" / "loop").symlink_to(tmp_path / "sm")

        class Opened:
            file = tmp_path / "sm"

        files = files_of(Opened())
        assert list(files) == ["saved_model.pb", "variables/data"]
        with Digests({"model": files}) as digests:
            found = digests.of("model")
        assert found[1] == FileDigest("variables/data", hashlib.sha256(b"weights").hexdigest())

    def test_of_images_in_folders_the_folders_count(self, tmp_path):
        for name in ("cats", "dogs"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "0.png").write_bytes(b"an image")
        images = [tmp_path / name / "0.png" for name in ("cats", "dogs")]
        line = hashlib.sha256(b"an image").hexdigest()
        with Digests({"data": {"photos": images}}) as digests:
            (found,) = digests.of("data")
        told = f"{line}  cats/0.png\n{line}  dogs/0.png\n"
        assert found == FileDigest("photos", hashlib.sha256(told.encode()).hexdigest())

    def test_what_is_not_a_file_or_cannot_be_read_has_none(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        places = {name: tmp_path / name for name in ("pipe", "gone")}
        with Digests({"data": places}) as digests:
            assert digests.of("data") == (FileDigest("pipe", None), FileDigest("gone", None))
            assert digests.of("model") == ()

    def test_nobody_waits_for_them_where_the_check_failed(self, tmp_path, monkeypatch):
        (tmp_path / "large").write_bytes(b"0" * 4096)
        monkeypatch.setattr("kmr_cli.api.grounds._PIECE", 1)
        before = threading.active_count()
        digests = Digests({"model": {"large": tmp_path / "large"}})
        digests._left.set()
        with pytest.raises(ModelRunError), digests:
            raise ModelRunError("the model does not run")
        assert digests.of("model") == (FileDigest("large", None),)
        assert threading.active_count() == before


def test_the_version_is_that_of_the_package_that_runs(model):
    assert model.check_batch_axis(X).grounds.versions["kmr_inspect"] == __version__
