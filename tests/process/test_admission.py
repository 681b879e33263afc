"""What could do harm is refused before a framework sees it, and what was scanned is what is loaded."""

import os

import pytest
from bad_files import SAMPLES, keras_files, onnx_files, savedmodels, torch_files

from kmr_cli import check_batch_axis, open_model
from kmr_cli.errors import KmrError, ModelFileError, UnsafeModelError
from kmr_cli.formats import exported, load_format
from kmr_cli.formats.files import Seen
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.process.admission import admit
from kmr_cli.process.prove import prove
from kmr_cli.process.sessions import Sessions

BAD = {case.name: case for home in (keras_files, savedmodels, torch_files, onnx_files) for case in home.CASES}


def silent(_kind, _text):
    pass


def test_a_link_to_itself_is_explained(tmp_path):
    (tmp_path / "model.keras").symlink_to(tmp_path / "model.keras")
    with pytest.raises(ModelFileError, match="Too many levels of symbolic links"):
        open_model(tmp_path / "model.keras")


class LoadedError(Exception):
    """A format was asked to load a file."""


@pytest.fixture
def loading(monkeypatch):
    """Every format says when it would load."""

    def load(*_):
        raise LoadedError

    for name in ("keras", "h5", "savedmodel", "torchscript", "pt2", "onnx"):
        monkeypatch.setattr(load_format(name), "open", load)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("lambda_layer", "KMR501"), ("get_file", "KMR503"), ("lambda_in_hdf5", "KMR501"), ("main_WriteFile", "KMR502"),
        ("uncalled_PyFunc", "KMR501"), ("script_saves", "KMR502"), ("script_twice", "KMR505"),
        ("pt2_size_import", "KMR501"), ("onnx_python_operator", "KMR501"), ("onnx_absurd_weight", "KMR504"),
    ],
)  # fmt: skip
def test_unsafe_files_are_refused_before_they_are_loaded(name, rule, tmp_path, loading):
    path = BAD[name].build(tmp_path)
    with pytest.raises(UnsafeModelError, match=rule) as refused:
        Sessions(reopens=True).get(str(path), OpenOptions(), silent)
    assert f"kmr-inspect scan {path}" in refused.value.hint
    assert "--trust" in refused.value.hint
    with pytest.raises(LoadedError):
        Sessions(reopens=True).get(str(path), OpenOptions(trust=True), silent)


@pytest.mark.parametrize("name", ["custom_class", "onnx_custom_operator", "script_custom_operator"])
def test_code_that_the_file_only_names_is_no_attack(name, tmp_path, loading):
    with pytest.raises(LoadedError):
        Sessions(reopens=True).get(str(BAD[name].build(tmp_path)), OpenOptions(), silent)


def test_what_is_trusted_is_told_with_the_worst_of_it(tmp_path):
    told = []
    path = BAD["script_saves"].build(tmp_path)
    admit(path, lambda kind, text: told.append((kind, text)), trust=True)
    ((kind, text),) = told
    assert kind == "notice"
    assert text.startswith("model.pt: loaded because you trust it, though ")
    assert "KMR502" in text
    admit(SAMPLES / "windows.pt", lambda *_: told.append(_), trust=True)
    assert len(told) == 1


def test_the_worst_comes_first(tmp_path):
    def change(model):
        onnx_files._size(-5)(model)
        onnx_files._node("ai.onnx.contrib", "PyOp")(model)

    with pytest.raises(UnsafeModelError, match=r"KMR501, and 1 more"):
        admit(onnx_files.changed(tmp_path, change), silent, trust=False)


def test_a_graph_that_keras_would_have_to_trace_is_refused_too(tmp_path, loading):
    with pytest.raises(UnsafeModelError):
        prove(path=str(BAD["lambda_layer"].build(tmp_path)), options=OpenOptions(), report=silent)


def test_a_format_that_cannot_be_scanned_is_told(tmp_path, monkeypatch):
    monkeypatch.delattr(exported, "scan")
    told = []
    admit(SAMPLES / "digits.pt2", lambda *what: told.append(what), trust=False)
    assert told == [("notice", "digits.pt2: a .pt2 file cannot be scanned before it is loaded")]


# -- the bytes that were scanned are the bytes that are loaded


def test_a_file_swapped_after_the_scan_is_not_loaded(tmp_path, loading):
    path = tmp_path / "model.onnx"
    path.write_bytes((SAMPLES / "digits.onnx").read_bytes())
    sessions = Sessions(reopens=True)
    sessions.admit(str(path), OpenOptions(), silent)
    other = tmp_path / "other"
    other.write_bytes(path.read_bytes())
    was = path.stat()
    os.utime(other, ns=(was.st_atime_ns, was.st_mtime_ns))
    other.replace(path)
    with pytest.raises(ModelFileError, match="the file changed while it was read"):
        sessions.get(str(path), OpenOptions(), silent)


def test_a_file_swapped_while_it_is_loaded_is_not_run(tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    path.write_bytes((SAMPLES / "digits.onnx").read_bytes())
    monkeypatch.setattr(load_format("onnx"), "open", lambda *_: path.write_bytes(b"other"))
    with pytest.raises(ModelFileError, match="changed"):
        Sessions(reopens=True).get(str(path), OpenOptions(), silent)


def test_a_file_swapped_while_the_model_runs_gives_no_answer(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes((SAMPLES / "digits.onnx").read_bytes())
    with open_model(path, in_process=True) as model:
        assert model.prove().separate
        path.write_bytes((SAMPLES / "digits.onnx").read_bytes())
        with pytest.raises(ModelFileError, match="changed"):
            model.prove()
        path.write_bytes(b"other")
        with pytest.raises(ModelFileError, match="changed"):
            model.prove()


def test_files_of_a_folder_and_beside_one_are_watched(tmp_path):
    (tmp_path / "a").write_text("1")
    folder, file = Seen(tmp_path), Seen(tmp_path / "a", ["weights"])
    folder.refuse_changed()
    file.refuse_changed()
    (tmp_path / "weights").write_text("2")
    with pytest.raises(ModelFileError, match=r"changed while it was read \('weights'\)"):
        folder.refuse_changed()
    with pytest.raises(ModelFileError, match=r"\('weights'\)"):
        file.refuse_changed()


# -- in Python


def test_python_refuses_and_trusts(tmp_path):
    path = BAD["pt2_compiled"].build(tmp_path)
    told = []
    with open_model(path, in_process=True) as model, pytest.raises(UnsafeModelError, match="KMR501") as refused:
        model.sample("conv1", 0)
    assert "add trust=True" in str(refused.value)
    with open_model(path, in_process=True, trust=True) as model:
        model._opened.report = lambda *what: told.append(what)
        model.sample("conv1", 0)
        assert model.check_batch_axis().grounds.trusted == ("model",)
    assert [text for kind, text in told if kind == "notice" and "because you trust it" in text]
    with open_model(SAMPLES / "digits.pt2", in_process=True) as model:
        assert model.check_by_proof().grounds.trusted == ()


def test_a_live_model_has_no_file_to_trust():
    torch = pytest.importorskip("torch")
    with pytest.raises(KmrError, match="trust are for model files"):
        check_batch_axis(torch.nn.Linear(2, 2), trust=True)


@pytest.mark.parametrize("trust", [True, False])
def test_a_snapshot_tells_of_trust(trust):
    with open_model(SAMPLES / "digits.onnx", trust=trust) as model:
        assert model.snapshot(size=2).trusted == trust
