"""The page for people: self-contained, safe with any name, complete without a script, and small."""

import base64
import hashlib
import re
from dataclasses import replace

import pytest
from zoo.outcomes import ALARMING, CASES, CLEAN, EMPTY, FINDINGS, HOSTILE, INCONCLUSIVE, PATH, PROVEN
from zoo.pages import MARKUP, Page

from kmr_cli.records import (
    BatchIndex,
    Comparison,
    Connection,
    Dependence,
    Difference,
    Finding,
    Grounds,
    LayerInfo,
    MatchedCall,
    ModelInfo,
    OutputAgreement,
    Report,
    ScanReport,
    TapVerdict,
    TensorSpec,
)
from kmr_cli.render.contents import Outcome, Run, of_check, of_comparison, of_scan
from kmr_cli.render.outputs import OUTPUTS, is_own_report, render, save
from kmr_cli.rules import RULES

FAILED = Outcome("check-batch-axis", PATH, "error", error=f"it does not run {MARKUP}", hint="try another")


def outcomes(*reports, **more):
    return [of_check(report, report.path, Run(seconds=1.5), **more) for report in reports]


def page(*reports, **more):
    return Page(render("html", outcomes(*reports, **more)))


def tap(layer, port, kind="separated", sources=(), shape=(4, 2), call=0):
    index = BatchIndex(kind, 0 if kind in ("separated", "merged") else None)
    return TapVerdict(layer, call, port, shape, "float32", index, tuple((*source, "out0") for source in sources))


def wired():
    """``a`` feeds ``box/mix``, which mixes; ``box`` returns what it made, ``b`` and the model take it."""
    leak = Finding("KMR101", "error", "box/mix", 0, "out0", "samples mix", ((0, 1),))
    taps = (
        TapVerdict("a", 0, "in0", (4, 2), "float32", BatchIndex("separated", 0), (("", 0, "in0"),)),
        tap("a", "out0"), tap("box", "in0", sources=[("a", 0)]), tap("box/mix", "in0", sources=[("a", 0)]),
        tap("box/mix", "out0", "mixed"), tap("box", "out0", "mixed", [("box/mix", 0)]),
        tap("b", "in0", "mixed", [("box", 0)]), tap("b", "out0", "mixed"), tap("", "out0", "mixed", [("b", 0)]),
    )  # fmt: skip
    moved = Dependence("out0", ((True, True), (False, True)), "output 'y' (out0)")
    return Report("fail", PATH, "onnx", 9, (2, 1), taps, (leak,), (moved,), ())


@pytest.mark.parametrize("case", CASES)
def test_every_case_is_a_page_that_fetches_nothing(produce, case):
    text, _ = produce(case, "html")
    found = Page(text)
    assert text.startswith("<!doctype html>")
    ids = [given["id"] for _, given, _ in found.elements if "id" in given]
    assert len(ids) == len(set(ids))
    for tag, given, _ in found.elements:
        assert not any(name.startswith("on") or name == "style" for name in given), tag
        assert tag not in ("link", "iframe", "object", "base", "form")
        assert given.get("src", "data:").startswith("data:")
        if "href" in given:
            assert given["href"][0] == "#"
            assert given["href"][1:] in ids
        if "aria-labelledby" in given:
            assert given["aria-labelledby"] in ids
    assert "http:" not in re.sub(r"http://evil\.example|http://www\.w3\.org", "", text.replace("<wbr>", ""))
    assert not re.search(r"url\((?!#)|@import", text)


def test_the_policy_allows_its_own_style_and_script_and_nothing_else():
    found = page(CLEAN)
    (policy,) = (given["content"] for _, given, _ in found.elements if given.get("http-equiv"))
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (text,) = found.of(tag)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


@pytest.mark.parametrize("name", [HOSTILE, MARKUP])
def test_names_stay_text(name):
    finding = replace(FINDINGS.findings[0], layer=name, message=name, remedy=name)
    dependence = (replace(CLEAN.dependence[0], title=name),)
    taps = tuple(replace(one, layer=one.layer and name, dtype=name) for one in CLEAN.taps)
    hostile = replace(
        ALARMING, path=name, findings=(finding,), inconclusive=(name,), dependence=dependence, taps=taps
    )  # fmt: skip
    layers = (LayerInfo(name, name, outputs=(TensorSpec(name, (None,), symbols=(name,)),), untappable=name),)
    info = ModelInfo(name, "keras", name, (), (), layers, None)
    text = render("html", [*outcomes(hostile, info=info), replace(FAILED, path=name, error=name, hint=name)])
    tags = {tag for tag, _, _ in Page(text).elements}
    plain = {tag for tag, _, _ in Page(render("html", [*outcomes(FINDINGS, CLEAN), FAILED])).elements}
    assert tags <= plain | {"figure", "figcaption"}
    assert "onerror" not in {key for _, given, _ in Page(text).elements for key in given}
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e\udc80]", text)
    text.encode()


def test_the_verdict_comes_first_and_says_what_it_rests_on():
    found = page(PROVEN)
    assert found.of("h1") == ["models/scores.onnx"]
    assert found.of("p", "said")[0].startswith("pass proven: samples never mix, for every input")
    assert found.text.index("rests on") < found.text.index("Dependence between samples") < found.text.index("Layers")
    assert "the graph of the model, for every input; no pass disagrees" in found.text
    assert "training mode" in found.of("dd")
    assert "what the passes showed" in page(CLEAN).text


def test_rules_that_were_left_out_are_not_passed_over():
    assert "no error among the rules that --select and --ignore leave" in page(PROVEN, some_rules=True).text
    assert "proven: samples" not in page(PROVEN, some_rules=True).text


def test_findings_with_their_reason_and_remedy():
    found = page(FINDINGS)
    assert len(found.of("article", "finding")) == 5  # notes that say the same are one
    first = found.of("article", "finding")[0]
    for words in ("error", "KMR101 cross-sample-leak", "blocks/0", RULES["KMR101"].why, RULES["KMR101"].remedy):
        assert words in first
    assert "0 depends on 1, 1 on 0" in first
    assert found.of("h2")[0] == "Findings 2 errors, 1 warning, 2 notes, 1 allowed"
    (allowed,) = (text for text in found.of("article", "finding") if "error, allowed" in text)
    assert "Allowed: by design." in allowed
    assert "Fix" not in allowed


def test_what_says_nothing_is_never_green():
    for unchecked in (outcomes(EMPTY), [FAILED]):
        found = Page(render("html", unchecked))
        assert found.of("span", "badge") == ["not checked"]
        assert "is-good" not in {word for _, given, _ in found.elements for word in given.get("class", "").split()}
        assert found.of("h2") == []
    assert "nothing was checked" in Page(render("html", [])).of("h1")[0]
    assert "Not verified" in page(INCONCLUSIVE).of("h2")[0]
    assert page(INCONCLUSIVE).of("span", "badge")[0] == "inconclusive"


def test_several_models_have_a_summary_that_leads_to_each():
    found = Page(render("html", [*outcomes(CLEAN, FINDINGS), FAILED]))
    assert found.of("h1")[0].startswith("3 models: 1 pass, 1 fail, 1 not checked")
    assert len(found.of("h1")) == 4


def states(found):
    return {given["data-path"]: given["data-state"] for tag, given, _ in found.elements if "data-path" in given}


def test_layers_and_what_is_known_of_each():
    infos = (
        LayerInfo("a", "Dense", outputs=(TensorSpec("out0", (None, 2)),)), LayerInfo("box", "Block"),
        LayerInfo("box/mix", "Softmax"), LayerInfo("box/cell", "LSTMCell", untappable="inside of a loop"),
        LayerInfo("list", "ModuleList", calls=0), LayerInfo("b", "Dense"),
    )  # fmt: skip
    found = page(wired(), info=ModelInfo(PATH, "onnx", "", (), (), infos, 10))
    assert states(found) == {
        "a": "separated", "box": "mixed", "box/mix": "error begins here", "box/cell": "not looked at",
        "list": "holds others", "b": "mixed",
    }  # fmt: skip
    assert "(batch, 2)" in found.of("span", "shape")
    assert "inside of a loop" in found.text
    assert {"✕ error begins here 1", "≠ mixed 2"} <= set(found.of("button"))
    allowed = replace(wired(), verdict="pass", findings=(replace(wired().findings[0], allowed=True),))
    assert states(page(allowed))["box/mix"] == "mixed"
    silent = replace(wired(), taps=(tap("dead", "out0", "inconclusive"), tap("", "out0")), findings=())
    assert states(page(silent)) == {"dead": "inconclusive"}
    rounded = BatchIndex("mixed", max_ulp=1)
    bits = replace(wired(), taps=(replace(tap("bits", "out0"), index=rounded), tap("", "out0")), findings=())
    assert states(page(bits)) == {"bits": "apart, but last bits"}


def test_a_finding_is_drawn_among_its_neighbours():
    found = page(wired())
    captions = found.of("figcaption")
    assert "What enters comes from a; what leaves goes to b." in captions
    (drawn,) = found.of("svg", "flow")
    for name in ("the model's inputs", "a", "box/mix", "b", "the model's outputs"):
        assert name in drawn
    lines = [given for tag, given, _ in found.elements if tag == "path" and "marker-end" in given]
    assert len(lines) == 4
    outputs = replace(wired(), findings=(replace(wired().findings[0], layer=""),))
    assert "What enters comes from b." in page(outputs).of("figcaption")
    unwired = replace(wired(), taps=tuple(replace(one, sources=()) for one in wired().taps))
    assert page(unwired).of("svg") == []


def test_matrices_say_the_same_in_words():
    found = page(wired())
    assert "Replacing sample 0 changed sample 1." in found.text
    assert [text for text in found.of("td") if text in ("●changed", "✕changed", "did not change")] == [
        "●changed", "✕changed", "did not change", "●changed",
    ]  # fmt: skip
    down = Dependence("out0", ((True, False), (True, True)), "y")
    assert "Replacing sample 1 changed sample 0." in page(replace(wired(), dependence=(down,))).text
    own = Dependence("out0", ((True, False), (False, False)), "y")
    still = page(replace(wired(), dependence=(own,))).text
    assert "No sample changed another one. Its own part stayed as it was for sample 1." in still
    every = Dependence("out0", ((True, True), (True, True)), "y")
    assert "Every sample changed every other one." in page(replace(wired(), dependence=(every,))).text


def test_of_many_outputs_the_mixed_ones_come_first_and_most_are_closed():
    outputs = tuple(tap("", f"out{number}") for number in range(20))
    pictures = tuple(
        Dependence(f"out{number}", ((True, number in (7, 15)), (False, True)), f"output {number}")
        for number in range(20)
    )
    found = page(replace(wired(), taps=outputs, findings=(), dependence=pictures))
    assert found.of("figcaption")[:3] == ["output 7", "output 15", "output 0"]
    assert len(found.of("table", "matrix")) == 20
    assert "8 more outputs, none of them mixed" in found.of("summary")
    every = tuple(replace(one, moved=((True, True), (False, True))) for one in pictures)
    found = page(replace(wired(), taps=outputs, findings=(), dependence=every))
    assert "8 more outputs, 8 of them mixed" in found.of("summary")


def test_a_comparison():
    difference = Difference(
        "KMR406", "error", "head", 0, "out0", "off by at most 1", where=(0, 2), size=1.0, tolerance=0.1, exact=True
    )
    result = Comparison(
        "fail", PATH, "keras", "before.keras", "keras", True, 2, 2, 0, (difference,),
        (OutputAgreement("scores", False, 1.0, 0.1),), ("conv", "head"), ("output 'b' has no counterpart",),
        not_examined=("training mode",), grounds=Grounds(rules=("KMR406",)),
    )  # fmt: skip
    noted = replace(difference, severity="note", layer="norm")
    gone = Difference("KMR401", "note", "only/before", 0, "out0", "no counterpart: 'only/before'")
    findings, layers = (difference, noted, gone), ("conv", "norm", "head")
    result = replace(result, findings=findings, layers=(*layers, "tail"), differing_calls=(("head", 0), ("tail", 0)))
    infos = tuple(LayerInfo(path, "Dense") for path in ("conv", "norm", "head", "tail", "drop"))
    info = ModelInfo(PATH, "keras", "", (), (), infos, 10)
    found = Page(render("html", [of_comparison(result, PATH, Run(), info)]))
    assert found.of("h1") == [f"{PATH} against before.keras"]
    assert found.of("p", "said") == ["fail the model differs from the baseline"]
    assert states(found) == {
        "conv": "agrees", "norm": "differs, noted", "head": "differs", "tail": "differs too", "drop": "not compared",
    }  # fmt: skip
    inside = replace(result, verdict="pass", findings=(noted,))
    assert states(Page(render("html", [of_comparison(inside, PATH, Run(), info)])))["tail"] == "differs, noted"
    assert "at only/before" in found.text
    assert "output 'scores' differs: off by at most 1, tolerance 0.1" in found.text
    assert "Samples: 0, 2" in found.text
    assert "Not compared" in found.text
    assert found.of("table", "plain") == []  # nothing is known of what was matched


def test_what_is_around_a_difference_goes_by_what_feeds_what():
    """Not by the order of the run, in which another branch stands between."""
    run = ("stem", "left", "right", "join", "head")
    difference = Difference("KMR406", "error", "join", 0, "out0", "off by at most 1", exact=True)
    feeds = [("left", "stem"), ("right", "stem"), ("join", "left"), ("head", "join"), ("", "head")]
    connections = [Connection(layer, 0, "in0", ((source, 0, "out0"),)) for layer, source in feeds]
    connections += [
        Connection("stem", 0, "in0", (("", 0, "in0"),)),
        Connection("join", 0, "in1", (("stem", 0, "out0"),)),
    ]
    connections = [replace(one, port="out0") if not one.layer else one for one in connections]
    layers = tuple(run)
    result = Comparison(
        "fail", PATH, "onnx", "b.onnx", "onnx", True, 9, 8, 1, (difference,), (), layers,
        matched=tuple(MatchedCall(layer, 0, layer, 0) for layer in run), differing_calls=(("join", 0), ("head", 0)),
        connections=tuple(connections), connected_by="graph",
    )  # fmt: skip
    info = ModelInfo(PATH, "onnx", "", (), (), tuple(LayerInfo(path, "Dense") for path in run), 10)
    found = Page(render("html", [of_comparison(result, PATH, Run(), info)]))
    said = "By the graph in the file. What enters comes from left, stem; what leaves goes to head."
    assert found.of("figcaption") == [said]
    assert found.of("table", "plain") == []
    (picture,) = found.of("svg", "flow")
    assert [one for one in run if one in picture.removeprefix(said)] == ["stem", "left", "join", "head"]
    by_values = replace(result, connected_by="values")
    assert "By the values of this run." in Page(render("html", [of_comparison(by_values, PATH, Run(), info)])).text


def test_each_call_of_a_layer_has_a_state_of_its_own():
    """Of the layer that is the worst of them; the picture and the table beside a finding show the call's."""
    difference = Difference("KMR406", "error", "tail", 0, "out0", "off by at most 1", exact=True)
    run = (("relu", 0), ("conv", 0), ("relu", 1), ("tail", 0))
    matched = [MatchedCall(*call, *call) for call in run]
    result = Comparison(
        "fail", PATH, "onnx", "b.onnx", "onnx", True, 4, 3, 0, (difference,), (), ("relu", "conv", "tail"),
        matched=tuple(matched), differing_calls=(("tail", 0), ("relu", 1)), connected_by="graph",
        connections=(Connection("tail", 0, "in0", (("relu", 1, "out0"),)),
                     Connection("relu", 1, "in0", (("relu", 0, "out0"),))),
    )  # fmt: skip
    info = ModelInfo(PATH, "onnx", "", (), (), tuple(LayerInfo(one, "") for one in ("relu", "conv", "tail")), 10)
    found = Page(render("html", [of_comparison(result, PATH, Run(), info)]))
    assert states(found) == {"relu": "differs too", "conv": "agrees", "tail": "differs"}
    assert found.of("table", "plain") == ["callbeside the baseline0✓agrees1≠differs too"]
    (picture,) = found.of("svg", "flow")
    assert ["relu: agrees" in picture, "relu call 1: differs too" in picture] == [True, True]

    matched[2] = MatchedCall("relu", 1, "act", 2)
    beside = replace(result, matched=tuple(matched), connections=(), connected_by="")
    tables = Page(render("html", [of_comparison(beside, PATH, Run(), info)])).of("table", "plain")
    assert tables == [
        "What ran before and after it; what feeds what is not known"
        "layerin the baselinebeside the baselinereluthe same✓agreesconvthe same✓agrees"
        "relu call 1act≠differs tootailthe same≠differs",
        "callin the baselinebeside the baseline0the same✓agrees1act call 2 by order and shape≠differs too",
    ]


def test_a_difference_has_the_layers_beside_it():
    calls = [MatchedCall(f"l{number}", 0, f"l{number}", 0) for number in range(9)]
    calls[6] = MatchedCall("l6", 1, "theirs/l6", 0)
    difference = Difference("KMR406", "error", "l4", 0, "out0", "off by at most 1", exact=True)
    layers = tuple(one.layer for one in calls)
    result = Comparison(
        "fail", PATH, "keras", "b.keras", "keras", True, 9, 8, 1, (difference,), (), layers, matched=tuple(calls),
        differing_calls=tuple((one.layer, one.call) for one in calls[4:]),
    )  # fmt: skip
    info = ModelInfo(PATH, "keras", "", (), (), tuple(LayerInfo(path, "Dense") for path in layers), 10)
    (table,) = Page(render("html", [of_comparison(result, PATH, Run(), info)])).of("table", "plain")
    assert table == (
        "What ran before and after it; what feeds what is not known"
        "layerin the baselinebeside the baselinel1the same✓agreesl2the same✓agrees"
        "l3the same✓agreesl4the same≠differsl5the same≠differs tool6 call 1theirs/l6≠differs tool7the same≠differs too"
    )
    elsewhere = replace(result, findings=(replace(difference, call=3),))
    assert "What ran before" not in Page(render("html", [of_comparison(elsewhere, PATH, Run(), info)])).text


@pytest.mark.parametrize("rule", ["KMR501", "KMR502"])
def test_a_scan_says_what_the_terminal_says(rule):
    severity = RULES[rule].severity
    found = (Finding(rule, severity, "pickle", 0, "", "it names os.system"),)
    report = ScanReport("fail" if severity == "error" else "inconclusive", PATH, "keras", ("pickle",), found)
    shown = Page(render("html", [of_scan(report, PATH, Run())]))
    said = str(report).splitlines()[1].replace(": ", " ", 1)
    assert shown.of("p", "said") == [said]


def test_two_hundred_layers_stay_small():
    layers = [f"encoder/block_{number}/attention/dense" for number in range(200)]
    taps = [
        tap(layer, port, sources=[(layers[number - 1], 0)] if number and port == "in0" else (), shape=(32, 128, 768))
        for number, layer in enumerate(layers) for port in ("in0", "out0")
    ]  # fmt: skip
    leaks = tuple(Finding("KMR101", "error", layer, 0, "out0", "samples mix " * 20, ((0, 1),) * 40) for layer in layers)
    pictures = tuple(Dependence(f"out{number}", ((True,) * 8,) * 8) for number in range(60))
    report = replace(wired(), taps=(*taps, tap("", "out0")), findings=leaks, dependence=pictures)
    text = render("html", outcomes(report))
    assert len(text.encode()) < 2_000_000
    assert len(states(Page(text))) == 200


def test_an_older_page_may_be_replaced_and_nothing_else(tmp_path):
    place, other = tmp_path / "found.html", tmp_path / "other.html"
    save("html", outcomes(ALARMING), place, overwrite=False)
    other.write_text('<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>mine</title>')
    assert is_own_report("html", place)
    assert not is_own_report("html", other)
    assert OUTPUTS["html"].suffixes == (".html",)
