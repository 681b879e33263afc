"""``--jobs``: several models at a time, told apart, in order, and ended together."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from zoo.samples import COMMAND, HOME

from kmr_cli.cli.jobs import run_each
from kmr_cli.cli.options import Messages
from kmr_cli.errors import BatchError

FIRST = HOME / "digits.onnx"
BATCH = HOME / "digits.npz"


@pytest.mark.slow
def test_two_at_a_time_say_what_one_at_a_time_says(kmr, tmp_path):
    broken, last = tmp_path / "broken.onnx", shutil.copy(FIRST, tmp_path / "last.onnx")
    broken.write_bytes(FIRST.read_bytes()[:5000])
    arguments = ("check-batch-axis", FIRST, broken, last, "--input", BATCH, "--format", "json")
    one, two = kmr(*arguments), kmr(*arguments, "--jobs", "2")
    assert (one.code, two.code) == (2, 2)
    documents = [[{**document, "run": None} for document in json.loads(screen.out)] for screen in (one, two)]
    assert documents[0] == documents[1]
    assert [document["verdict"] for document in documents[1]] == ["pass", "error", "pass"]
    said = [[line for line in screen.err.splitlines() if " …" not in line] for screen in (one, two)]  # or progress
    assert sorted(said[0]) == sorted(said[1])
    notes = [line for line in two.err.splitlines() if line.startswith("note: ")]
    assert {str(FIRST) in note or str(last) in note for note in notes} == {True}
    assert sum(line.startswith(f"error: {broken}") for line in two.err.splitlines()) == 1


@pytest.mark.slow
def test_the_order_is_the_one_given(kmr, tmp_path):
    place = tmp_path / "found.xml"
    last = shutil.copy(FIRST, tmp_path / "last.onnx")
    models = [last, FIRST, last, FIRST]
    screen = kmr("check-batch-axis", *models, "--input", BATCH, "--jobs", "4", "--format", "junit", "-o", place)
    assert screen.code == 0, screen.err
    suites = [suite.get("name") for suite in ET.parse(place).getroot()]
    assert suites == [f"check-batch-axis {model}" for model in models]


def children(pid):
    found = []
    for place in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, place.read_text().split())
        except OSError:  # the thread ended
            continue
    return found


def gone(pid):
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="Linux only")
def test_ctrl_c_ends_all_of_them_at_once(tmp_path, slowly):
    arguments, environment = slowly(60)
    models = [HOME / "digits.keras", HOME / "windows.keras", HOME / "digits_savedmodel"]
    command = [
        COMMAND,
        "check-batch-axis",
        *models,
        "--input",
        BATCH,
        "--jobs",
        "2",
        "--format",
        "junit",
        "-o",
        "x.xml",
        *arguments,
    ]
    with subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        start_new_session=True, env={**os.environ, **environment},
    ) as process:  # fmt: skip
        try:
            deadline = time.monotonic() + 30
            while len(running := children(process.pid)) < 2:
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            time.sleep(0.3)  # both load their model now, and would for a minute
            start = time.monotonic()
            os.killpg(process.pid, signal.SIGINT)
            out, err = process.communicate(timeout=20)
            assert time.monotonic() - start < 10
        finally:
            process.kill()
    assert process.returncode == 130
    assert out == ""
    assert [line for line in err.splitlines() if line and not line.startswith("note: ")] == ["interrupted"]
    assert len(running) == 2
    assert all(gone(child) for child in running)
    assert list(tmp_path.iterdir()) == []


class TestRunEach:
    def done(self, work, paths, jobs, capsys):
        with Messages() as messages:
            found = list(run_each(paths, work, jobs=jobs, messages=messages, debug=False))
        return found, capsys.readouterr().err

    @pytest.mark.parametrize("jobs", [1, 3])
    def test_errors_and_notices_name_their_model(self, capsys, jobs):
        def work(path, report, fork):
            assert fork == (jobs == 1)
            report("notice", "something")
            if path == "b":
                raise BatchError("no data", "give some")
            if path == "c":
                raise ZeroDivisionError("a bug")
            return path.upper()

        found, err = self.done(work, ["a", "b", "c", "d"], jobs, capsys)
        assert [(one.path, one.result) for one in found] == [("a", "A"), ("b", None), ("c", None), ("d", "D")]
        assert sorted(err.splitlines()) == sorted(
            [
                *(f"note:  {path}: something" for path in "abcd"),
                "error: b: no data",
                "hint:  give some",
                "error: c: unexpected ZeroDivisionError: a bug",
                "hint:  run again with --debug for the traceback",
            ]
        )

    def test_one_model_is_not_named(self, capsys):
        def work(path, report, fork):
            report("notice", "something")
            raise BatchError("no data")

        (one,), err = self.done(work, ["a"], 4, capsys)
        assert one.error.message == "no data"
        assert err == "note:  something\nerror: no data\n"

    def test_a_bug_in_the_work_on_one_model_is_not_a_result(self, capsys):
        def work(path, report, fork):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            self.done(work, ["a"], 1, capsys)

    def test_no_more_than_jobs_at_a_time(self, capsys):
        import threading

        lock, now, most = threading.Lock(), 0, 0
        together = threading.Barrier(3, timeout=60)

        def work(path, report, fork):
            nonlocal now, most
            with lock:
                now += 1
                most = max(most, now)
            if path in "abc":
                together.wait()  # passes only if three are at work
            time.sleep(0.05)
            with lock:
                now -= 1

        found, _ = self.done(work, list("abcdefg"), 3, capsys)
        assert most == 3
        assert [one.path for one in found] == list("abcdefg")
