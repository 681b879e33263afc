"""Certificates: what they say, what becomes of them where anything is changed, and files that are none."""

from __future__ import annotations

import base64
import copy
import json
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest
from zoo.onnx_models import EXPORTED
from zoo.samples import HOME

from kmr_cli import open_model
from kmr_cli.api import certificate as api
from kmr_cli.api.certificate import Again, verify
from kmr_cli.api.certificate_file import read_certificate
from kmr_cli.errors import CertificateError, LimitError, UnsafeModelError
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.render.contents import Run
from kmr_cli.render.documents import certificate as document

SCHEMA = Path(__file__).parents[2] / "docs" / "certificate.schema.json"
RUN = Run("2026-01-02T03:04:05Z", 1.5, "Linux 6.1.0 x86_64")
DATA = str(HOME / "digits.npz")


def written(path, place, batch=None, **how):
    with open_model(path, in_process=True) as opened:
        report = opened.check_batch_axis(batch, **how)
    place.write_text(document.render(report, str(path), OpenOptions(), RUN))
    return place


@pytest.fixture(scope="module")
def proven(tmp_path_factory):
    """(a proven model in a folder of its own, its certificate)."""
    folder = tmp_path_factory.mktemp("proven")
    model = folder / "digits.onnx"
    model.write_bytes((HOME / "digits.onnx").read_bytes())
    return model, written(model, folder / "certificate.json", DATA)


def lines(certificate, model, again=None):
    return [(line.standing, line.text) for line in verify(read_certificate(certificate), model, again=again)]


def standings(certificate, model, again=None):
    return [standing for standing, _ in lines(certificate, model, again)]


def changed(proven, place, change):
    content = json.loads(proven[1].read_text())
    change(content)
    place.write_text(json.dumps(content))
    return place


# -- what it says


def test_it_fits_its_schema(proven):
    content = json.loads(proven[1].read_text())
    jsonschema.validate(content, json.loads(SCHEMA.read_text()))
    assert content["_type"] == "https://in-toto.io/Statement/v1"
    assert [one["name"] for one in content["subject"]] == ["digits.onnx"]
    said = content["predicate"]
    assert (said["verdict"], said["basis"], said["proof"]["separate"]) == ("pass", "proof", True)
    assert said["evidence"]["data"]["files"][0]["sha256"]
    assert said["proof"]["assumptions"]
    assert str(proven[0].parent) not in proven[1].read_text()


def test_one_of_a_model_that_fails_fits_it_too(tmp_path):
    place = written(EXPORTED / "dynamic.onnx", tmp_path / "c.json")
    content = json.loads(place.read_text())
    jsonschema.validate(content, json.loads(SCHEMA.read_text()))
    assert (content["predicate"]["verdict"], content["predicate"]["basis"]) == ("fail", "evidence")
    assert "differs" not in standings(place, EXPORTED / "dynamic.onnx")


def test_one_without_passes_and_one_without_a_proof(tmp_path):
    with open_model(HOME / "digits.onnx", in_process=True) as opened:
        alone, bare = opened.check_by_proof(), opened.check_batch_axis(DATA, proof=False)
    for report in (alone, bare):
        place = tmp_path / "c.json"
        place.write_text(document.render(report, "digits.onnx", OpenOptions(), RUN))
        jsonschema.validate(json.loads(place.read_text()), json.loads(SCHEMA.read_text()))
        assert "differs" not in standings(place, HOME / "digits.onnx")
    assert ("stated", "no proof: the verdict rests on passes alone") in lines(place, HOME / "digits.onnx")


# -- held against its model


def test_what_is_recomputed_and_what_is_only_stated(proven):
    found = lines(proven[1], proven[0])
    assert [standing for standing, _ in found] == ["recomputed", "recomputed", "recomputed", "stated", "unsigned"]
    assert "samples never mix, for every input, at every batch size" in found[1][1]
    passes = json.loads(proven[1].read_text())["predicate"]["evidence"]["forward_passes"]
    assert f"what {passes} forward passes, up to a batch of 33" in found[3][1]
    assert "2026-01-02T03:04:05Z" in found[4][1]


def test_one_byte_is_another_model(proven, tmp_path):
    content = bytearray(proven[0].read_bytes())
    content[-1] ^= 1
    other = tmp_path / "digits.onnx"
    other.write_bytes(content)
    assert lines(proven[1], other) == [("differs", "digits.onnx: changed")]


def test_a_renamed_model_is_the_same(proven, tmp_path):
    other = tmp_path / "other.onnx"
    other.write_bytes(proven[0].read_bytes())
    found = lines(proven[1], other)
    assert ("note", "the certificate calls it 'digits.onnx'") in found
    assert "differs" not in [standing for standing, _ in found]


def test_a_file_more_or_less_in_a_folder_is_another_model(proven, tmp_path):
    folder = tmp_path / "saved"
    (folder / "assets").mkdir(parents=True)
    (folder / "digits.onnx").write_bytes(proven[0].read_bytes())
    (folder / "assets" / "words.txt").write_text("a")
    assert lines(proven[1], folder) == [("differs", "assets/words.txt: not in the certificate")]
    add = {"name": "assets/gone.txt", "digest": {"sha256": "0" * 64}}
    (folder / "assets" / "words.txt").unlink()
    two = changed(proven, tmp_path / "two.json", lambda content: content["subject"].append(add))
    assert lines(two, folder) == [("differs", "assets/gone.txt: missing, or not readable")]


def test_weights_beside_the_model_count(proven, tmp_path):
    beside = tmp_path / "digits.onnx"
    beside.write_bytes(proven[0].read_bytes())
    add = {"name": "weights.bin", "digest": {"sha256": "0" * 64}}
    two = changed(proven, tmp_path / "two.json", lambda content: content["subject"].append(add))
    (tmp_path / "weights.bin").write_bytes(b"others")
    assert lines(two, beside) == [("differs", "weights.bin: changed")]


def test_other_rules_that_prove_it_again_are_a_note(proven, tmp_path):
    def change(content):
        content["predicate"]["proof"]["rules"] = "0123456789abcdef"

    found = lines(changed(proven, tmp_path / "c.json", change), proven[0])
    (note,) = [text for standing, text in found if standing == "note"]
    assert "0123456789abcdef" in note
    assert "prove it again" in note
    assert "differs" not in [standing for standing, _ in found]


def _claims_more(content):
    content["predicate"]["proof"]["outputs"].append({**content["predicate"]["proof"]["outputs"][0], "name": "more"})


def _claims_less(content):
    content["predicate"]["proof"]["outputs"] = []


def _claims_sizes(content):
    content["predicate"]["proof"]["batch_sizes"] = [2, 8]


def _drops_the_proof(content):
    content["predicate"]["proof"] = None


def _calls_it_a_failure(content):
    content["predicate"]["verdict"] = "fail"


def _hides_an_open_end(content):
    content["predicate"]["inconclusive"] = ["something"]


@pytest.mark.parametrize(
    "change",
    [_claims_more, _claims_less, _claims_sizes, _drops_the_proof, _calls_it_a_failure, _hides_an_open_end],
)
def test_what_it_does_not_bear_out_differs(proven, tmp_path, change):
    assert "differs" in standings(changed(proven, tmp_path / "c.json", change), proven[0])


def test_a_proof_that_the_rules_no_longer_make_differs(proven, monkeypatch):
    def prove(_self):
        raise api.KmrError("no graph")

    monkeypatch.setattr(api.Model, "prove", prove)
    assert ("differs", "the proof can't be repeated: no graph") in lines(proven[1], proven[0])


# -- the passes again


@pytest.fixture
def here(monkeypatch):
    """Models are run in this process: it saves a child's start."""
    real = api.Model

    def in_process(path, options, **_more):
        return real(path, options, in_process=True)

    monkeypatch.setattr(api, "Model", in_process)


def test_the_passes_are_run_again(proven, here):
    found = lines(proven[1], proven[0], Again((DATA,)))
    assert any(one == "recomputed" and text.startswith("the passes: pass again, after") for one, text in found)
    assert "differs" not in [standing for standing, _ in found]


def test_other_data_is_a_note(proven, here):
    found = lines(proven[1], proven[0], Again())
    assert ("note", "the passes were run on other data than the certificate's") in found


def test_a_verdict_that_the_passes_do_not_bear_out_differs(tmp_path, here):
    place = written(EXPORTED / "dynamic.onnx", tmp_path / "c.json")
    content = json.loads(place.read_text())
    content["predicate"].update(verdict="pass", findings=[])
    place.write_text(json.dumps(content))
    found = lines(place, EXPORTED / "dynamic.onnx", Again())
    assert ("differs", "the passes give fail here, pass there") in found


# -- envelopes, and files that are none


@pytest.mark.parametrize("bundle", [False, True])
def test_the_envelope_of_a_signature_is_opened(proven, tmp_path, bundle):
    envelope = {
        "payloadType": "application/vnd.in-toto+json",
        "payload": base64.b64encode(proven[1].read_bytes()).decode(),
        "signatures": [],
    }
    place = tmp_path / "signed.json"
    place.write_text(json.dumps({"dsseEnvelope": envelope} if bundle else envelope))
    assert read_certificate(place).enveloped
    assert "differs" not in standings(place, proven[0])


def refused(content, place):
    place.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(CertificateError) as caught:
        read_certificate(place)
    assert caught.value.hint
    return caught.value.message


def test_files_that_are_none_are_refused(tmp_path):
    place = tmp_path / "c.json"
    assert "isn't JSON" in refused(b"\x00\xff", place)
    assert "isn't JSON" in refused(b"[" * 100_000, place)
    assert "_type" in refused([], place)
    assert "_type" in refused({"_type": "https://in-toto.io/Statement/v0.1"}, place)
    assert "predicateType" in refused({"_type": "https://in-toto.io/Statement/v1", "predicateType": "x"}, place)
    assert "envelope" in refused({"payload": "%%%"}, place)
    with pytest.raises(CertificateError, match="no such file"):
        read_certificate(tmp_path / "none.json")
    with pytest.raises(CertificateError, match="isn't a file"):
        read_certificate(tmp_path)


READ = [
    ("schema",), ("model",), ("model", "opened_with"), ("verdict",), ("basis",), ("proof",), ("proof", "outputs"),
    ("proof", "batch_sizes"), ("evidence",), ("evidence", "batch_sizes"), ("evidence", "data"), ("findings",),
    ("inconclusive",), ("policy",), ("versions",), ("run",), ("run", "date"),
]  # fmt: skip


@pytest.mark.parametrize("path", READ, ids=".".join)
@pytest.mark.parametrize("value", [..., 7, ["x", {}], {"x": []}], ids=["gone", "number", "list", "object"])
def test_damaged_certificates_are_refused_and_never_believed(proven, tmp_path, path, value):
    content = copy.deepcopy(json.loads(proven[1].read_text()))
    parent = content["predicate"]
    for name in path[:-1]:
        parent = parent[name]
    if value is ...:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    place = tmp_path / "c.json"
    place.write_text(json.dumps(content))
    with pytest.raises(CertificateError):
        read_certificate(place)


@pytest.mark.parametrize("name", ["../digits.onnx", "/etc/passwd", "", "a//b", "a\\b", "./a", "a\0b"])
def test_a_subject_stays_in_the_folder_of_the_model(proven, tmp_path, name):
    place = changed(proven, tmp_path / "c.json", lambda content: content["subject"][0].update(name=name))
    with pytest.raises(CertificateError, match="subject"):
        read_certificate(place)


def test_what_a_certificate_names_is_not_imported(proven, tmp_path):
    def change(content):
        content["predicate"]["model"]["opened_with"]["imports"] = ["this_is_no_module"]

    certificate = read_certificate(changed(proven, tmp_path / "c.json", change))
    assert api.opening_of(certificate, ()).imports == ()


@pytest.mark.parametrize("error", [UnsafeModelError, LimitError])
def test_a_model_that_is_refused_is_no_difference(error):
    class Refused:
        def prove(self):
            raise error("m.keras: not loaded")

    said = SimpleNamespace(predicate={"proof": {"outputs": []}})
    with pytest.raises(error):
        list(api._proof(said, Refused(), ()))


@pytest.fixture(scope="module")
def scripted(tmp_path_factory):
    """(a TorchScript file in a folder of its own, its certificate)."""
    folder = tmp_path_factory.mktemp("scripted")
    model = folder / "digits_traced.pt"
    model.write_bytes((HOME / "digits_traced.pt").read_bytes())
    return model, written(model, folder / "certificate.json", DATA)


def test_a_proof_that_takes_data_is_made_again_with_it_and_stated_without(scripted):
    model, certificate = scripted
    said = json.loads(certificate.read_text())["predicate"]["proof"]
    assert (said["separate"], said["shapes"]) == (True, ["image (batch, 8, 8, 1)"])
    assert {standing for standing, text in lines(certificate, model) if "proof" in text} == {"stated"}
    again = lines(certificate, model, Again((DATA,)))
    told = "the proof: samples never mix, for every input of shape image (batch, 8, 8, 1), at every batch size"
    assert ("recomputed", told) in again
    assert "differs" not in {standing for standing, _ in again}


def test_other_inputs_than_the_proof_holds_for_differ(scripted, tmp_path):
    place = changed(scripted, tmp_path / "c.json", lambda content: content["predicate"]["proof"].update(shapes=[]))
    wrong = [text for standing, text in lines(place, scripted[0], Again((DATA,))) if standing == "differs"]
    assert wrong == ["the inputs that the proof holds for; here for every input of shape image (batch, 8, 8, 1)"]
