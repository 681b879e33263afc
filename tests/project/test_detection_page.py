"""`make detection` in pieces: what was checked is kept and not checked again, and the page says what it leaves out."""

import json
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
    assert [json.loads(line)["case"]["name"] for line in keep.read_text().splitlines()] == ["clean", "mean"]


def test_the_page_counts_and_names_what_it_leaves_out(detection, tmp_path):
    module, _ = detection
    keep = tmp_path / "kept.jsonl"
    module.run_part("some", "", keep, until=float("inf"))
    page = module.document(module._kept(keep), 120.0, ["others"])
    assert "Left out this time: others." in page
    assert "2 minutes of one core" in page
    assert "1 models, 1 found by the right rule, in 1 of them the right layer" in page
    assert "| mean |  |  |  |  |  | 1 / 1 / 1 |" in page
    assert "Left out" not in module.document(module._kept(keep), 120.0)
