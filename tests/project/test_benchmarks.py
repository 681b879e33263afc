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
