"""Layers that a check neither blames nor clears aren't passed tests."""

from dataclasses import replace
from xml.etree import ElementTree as ET

from zoo.outcomes import PATH

from kmr_cli.records import BatchIndex, Finding, Report, TapVerdict
from kmr_cli.render.contents import Run, of_check
from kmr_cli.render.documents import junit


def tapped(layer, kind, port="out0", **more):
    return TapVerdict(layer, 0, port, (4, 2), "float32", BatchIndex(kind, 0, **more))


MIX = Finding("KMR101", "error", "mix", 0, "out0", "samples mix")
REPORT = Report(
    "fail", PATH, "keras", 9, (4,),
    (
        tapped("enc", "separated"), tapped("mix", "separated", "in0"), tapped("mix", "mixed"),
        tapped("torn", "interleaved"), tapped("dead", "inconclusive", evidence="nothing reacted"),
        tapped("bits", "mixed", max_ulp=1), tapped("head", "mixed"), tapped("", "mixed"),
    ),
    (MIX,), (), (),
)  # fmt: skip


def cases(report):
    root = ET.fromstring(junit.render([of_check(report, PATH, Run())]))
    return {case.get("name"): [child.tag for child in case] for case in root.iter("testcase")}, root


def test_a_layer_behind_the_one_that_mixes_does_not_pass():
    found, root = cases(REPORT)
    assert found["mix"] == ["failure"]
    assert found["enc"] == found["bits"] == []
    assert found["head"] == found["torn"] == found["dead"] == ["skipped"]
    messages = {case.get("name"): case.find("skipped").get("message") for case in root.iter("testcase") if "head" in
                case.get("name") or "dead" in case.get("name")}  # fmt: skip
    assert messages == {"head": "its samples are mixed, which begins at another layer", "dead": "nothing reacted"}
    assert root.find("testsuite").get("skipped") == "3"


def test_what_is_allowed_behind_it_is_no_pass_either():
    found, _ = cases(replace(REPORT, verdict="inconclusive", findings=(replace(MIX, allowed=True),)))
    assert found["mix"] == ["system-out"]
    assert found["head"] == ["skipped"]


def test_a_note_does_not_clear_a_layer():
    note = Finding("KMR107", "note", "head", 0, "out0", "moved")
    assert "head" in replace(REPORT, findings=(MIX, note)).unjudged
    assert "mix" not in REPORT.unjudged
    assert "" not in REPORT.unjudged


def test_a_proof_speaks_of_layers_in_which_nothing_reacted():
    assert replace(REPORT, basis="proof").unjudged == {}
