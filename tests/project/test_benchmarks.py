"""The table of measurements: every row can be measured again, and one that was takes the place of the old one."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    names = ("table", "processes")
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    import processes
    import table

    yield table, processes
    for name in names:
        sys.modules.pop(name, None)


def test_every_row_can_be_measured_again(bench):
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "run.py", "--list"], capture_output=True, text=True, timeout=60, check=True
    )
    known = done.stdout.splitlines()
    rows = list(bench[0].written((BENCHMARKS / "README.md").read_text()))
    assert rows == [what for what in known if what in rows]
    assert rows


def test_a_row_takes_the_place_of_the_one_that_measured_the_same(bench):
    table, processes = bench

    def row(what, ratio, by_cpu=False):
        return table.Row(what, "bare", 1.3, processes.Ratio(ratio, 1.0, ratio, ratio, ratio, by_cpu=by_cpu))

    text = f"above\n{table.BEGIN}\n{table.END}\nbelow\n"
    text = table.merged(text, [row("second", 1.1), row("gone", 1.0)], ["first", "second", "gone"])
    text = table.merged(text, [row("first", 1.2, by_cpu=True), row("second", 1.4)], ["first", "second"])
    first, second = table.written(text).values()
    assert "1.200 (1.200 to 1.200) |" in first
    assert ", CPU time |" in first
    assert "1.400 (1.400 to 1.400) **missed** |" in second
    assert ", CPU time |" not in second
    assert "gone" not in text
    assert (text.startswith("above\n"), text.endswith("\nbelow\n")) == (True, True)


def test_the_readme_of_the_project_shows_what_was_measured(bench):
    """Rows that were measured anew show there too, and a row of which only the time is known does not."""
    table, processes = bench
    text, measured = table.PROJECT.read_text(), table.README.read_text()
    assert table.beside(text, measured) == text
    rows = [line for line in text[text.index(table.BEGIN) : text.index(table.END)].splitlines() if " | " in line][2:]
    assert len(rows) == len(table.BESIDE)
    words, what = table.BESIDE[0]
    row = table.Row(f"{what}, memory", "torch", 1.0, processes.Ratio(1.0, 2.0, 0.504, 0.4, 0.6))
    order = list(table.written(measured))
    assert f"| {words} | `torch.export.load`, print | 0.05 | 0.50 |" in table.beside(
        text, table.merged(measured, [row], order)
    )
    alone = table.merged(measured, [], [one for one in order if one != f"{what}, memory"])
    assert words not in table.beside(text, alone)


def test_a_busy_machine_is_measured_by_cpu_time(bench):
    processes = bench[1]
    idle, busy = processes.Run(1.0, 0.9), processes.Run(5.0, 1.0)
    quick = processes.Run(0.5, 0.5)
    found = processes.alternate(lambda: idle, lambda: quick, pairs=3)
    assert (found.ratio, found.by_cpu, found.pairs) == (2.0, False, 3)
    found = processes.alternate(lambda: busy, lambda: quick, pairs=3)
    assert (found.ratio, found.by_cpu, found.pairs) == (2.0, True, 3)
    sides = iter([busy, idle, idle, idle])
    found = processes.alternate(lambda: next(sides), lambda: quick, pairs=3)
    assert (found.ratio, found.by_cpu, found.pairs) == (2.0, False, 3)


def test_the_share_of_inconclusive_models_is_that_of_those_that_could_pass(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.delitem(sys.modules, "inconclusive", raising=False)
    import inconclusive

    def line(name, verdict, why=(), group=inconclusive.OURS, basis="evidence"):
        return {"group": group, "name": name, "verdict": verdict, "basis": basis, "why": list(why), "seconds": 1.0}

    page = inconclusive.page(
        [
            line("a.pt", "pass", basis="proof"),
            line("b.pt", "pass"),
            line("c.pt", "inconclusive", ["no sample ever showed in it"]),
            line("d.pt", "fail", ["KMR101 at norm"], inconclusive.CORPUS),
            line("e.pt", "error", ["it took longer"], inconclusive.CORPUS),
        ]
    )
    assert "| `sample_models` | 3 | 1 | 1 | 1 | 33.3% | 0 | 0 |" in page
    assert "| third-party architectures | 2 | 0 | 0 | 0 |  | 1 | 1 |" in page
    assert "| **all** | 5 | 1 | 1 | 1 | 33.3% | 1 | 1 |" in page
    assert "- `sample_models`, c.pt: no sample ever showed in it." in page
    assert "- `tests/zoo`, clean ([detection.md](detection.md), " in page
    names = {path.name for _, path, _ in inconclusive.files(None)}
    assert {"digits.onnx", "digits_savedmodel", "windows.pt2"} <= names
    sys.modules.pop("inconclusive", None)
