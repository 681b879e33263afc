"""`make detection` in pieces: what was checked is kept and not checked again, and the page says what it leaves out."""

import sys
from pathlib import Path
from types import ModuleType

import pytest
from zoo import cases

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def outcome(verdict="pass", found=False, named=()):
    return cases.Outcome(found, bool(named), (), named, verdict, (), 60.0)


@pytest.fixture
def detection(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.delitem(sys.modules, "detection", raising=False)
    import detection

    some = ModuleType("some_cases")
    some.cases = lambda: [
        cases.Case("clean", "onnx", lambda folder: folder),
        cases.Case("mean", "onnx", lambda folder: folder, "mean", ("KMR101",), "fault"),
    ]
    monkeypatch.setitem(sys.modules, "some_cases", some)
    monkeypatch.setattr(detection, "PARTS", {"some": ("some_cases",), "others": ("no_such_module",)})
    judged = []

    def judge(case):
        judged.append(case.name)
        return outcome() if case.name == "clean" else outcome("fail", found=True, named=("fault",))

    monkeypatch.setattr(cases, "judge", judge)
    yield detection, judged
    sys.modules.pop("detection", None)


def test_what_is_kept_is_not_checked_again(detection, tmp_path):
    module, judged = detection
    keep = tmp_path / "kept.jsonl"
    with pytest.raises(SystemExit) as over:
        module.run_part("some", "", keep, until=0.0)
    assert over.value.code == module.CONTINUES
    module.run_part("some", "clean", keep, until=float("inf"))
    assert judged == ["clean"]
    module.run_part("some", "", keep, until=float("inf"))
    assert judged == ["clean", "mean"]
    kept, missing = module.gather(["some"], "", keep)
    assert ([line["case"]["name"] for line in kept], missing) == (["clean", "mean"], 0)
    module.forget(keep, "onnx/mean")
    assert module.gather(["some"], "", keep)[1] == 1
    module.run_part("some", "", keep, until=float("inf"))
    assert judged == ["clean", "mean", "mean"]


def test_an_outcome_of_a_model_that_another_layer_was_expected_of_is_not_used(detection, tmp_path):
    module, judged = detection
    keep = tmp_path / "kept.jsonl"
    module.run_part("some", "", keep, until=float("inf"))
    keep.write_text(keep.read_text().replace('"layer": "fault"', '"layer": "elsewhere"'))
    module.run_part("some", "", keep, until=float("inf"))
    assert judged == ["clean", "mean", "mean"]
    kept, missing = module.gather(["some"], "", keep)
    assert ([line["case"]["layer"] for line in kept], missing) == (["", "fault"], 0)


def test_a_part_is_what_it_was_when_it_was_run_last(detection, tmp_path):
    module, _ = detection
    keep = tmp_path / "kept.jsonl"
    two = sys.modules["some_cases"].cases()
    for cases_of_a_day in (two[:1], two, two[:1]):
        sys.modules["some_cases"].cases = lambda cases=cases_of_a_day: cases
        module.run_part("some", "", keep, until=float("inf"))
    assert [line["case"]["name"] for line in module.gather(["some"], "", keep)[0]] == ["clean"]


def test_a_part_that_was_never_begun_is_missing(detection, tmp_path):
    module, _ = detection
    keep = tmp_path / "kept.jsonl"
    module.run_part("some", "", keep, until=float("inf"))
    assert module.gather(["some", "others"], "", keep)[1] == 1


def test_the_page_counts_and_names_what_it_leaves_out(detection, tmp_path, monkeypatch):
    module, _ = detection
    keep = tmp_path / "kept.jsonl"
    monkeypatch.setattr(module, "_commit", lambda: "abc")
    module.run_part("some", "", keep, until=float("inf"))
    outcomes, _ = module.gather(["some"], "", keep)
    page = module.document(outcomes, 120.0, ["others"])
    assert "Left out this time: others." in page
    assert "2 minutes of one core" in page
    assert "Checked at commit `abc` (2 models)." in page
    assert "1 models, 1 found by the right rule, in 1 of them the right layer" in page
    assert "| mean |  |  |  |  |  | 1 / 1 / 1 |" in page
    assert "The scan would refuse 0 of all 2 files." in page
    assert "Left out" not in module.document(outcomes, 120.0)
    refused = module.document([{**outcomes[0], "refused": ["KMR501"]}, outcomes[1]], 120.0)
    assert "The scan would refuse 1 of all 2 files." in refused
    assert "- onnx/clean: KMR501." in refused
