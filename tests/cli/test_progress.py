"""Progress: a bar on stderr once the work takes longer than a second, on a terminal only, wiped at the end."""

import os
import pty
import re
import subprocess
import sys
import time

import pytest
from zoo.samples import COMMAND, HOME, PROGRESS

from kmr_cli.cli import messages

START = "import sys, time; from kmr_cli.cli.options import Messages\n"


def on_a_terminal(command, **environment):
    """Exit code, stdout and what a terminal at stderr received."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, **environment}
    ) as process:
        os.close(theirs)
        received = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            received += part
            if not part:
                break
        out = process.stdout.read()
    os.close(ours)
    return process.returncode, out.decode(), received.decode()


def reported(code, **environment):
    """What a terminal receives of messages."""
    returncode, out, err = on_a_terminal([sys.executable, "-c", START + code], **environment)
    assert returncode == 0, err
    assert out == ""
    return err


def left_standing(err):
    """The last line on the terminal, after all that was written over it."""
    line = ""
    for part in err.split("\r"):
        line = part + line[len(part) :]
    return line.rstrip()


def test_a_check_shows_a_bar(slowly):
    arguments, environment = slowly(1)
    command = [COMMAND, "check-batch-axis", HOME / "digits.onnx", "--input", HOME / "digits.npz", *arguments]
    code, out, err = on_a_terminal(command, **environment)
    assert code == 0, err
    bars = re.findall(r"(━*)┈* +(\d+)/(\d+)  (\w[\w ]*) …", err)
    assert len(bars) > 5
    assert any(text.startswith("replacing sample") for *_, text in bars)
    steps = [(int(done), len(bar)) for bar, done, _, _ in bars]
    assert steps == sorted(steps)
    assert len({total for *_, total, _ in bars}) <= 2  # planned, and corrected once
    assert all(int(done) <= int(total) for _, done, total, _ in bars)
    assert left_standing(err.split("\n")[-1]) == ""
    assert "━" not in out
    assert "pass" in out


def test_no_bar_is_drawn_where_stderr_is_not_a_terminal(kmr):
    screen = kmr("check-batch-axis", HOME / "digits.onnx", "--input", HOME / "digits.npz")
    lines = [line for line in screen.err.splitlines() if " …" not in line]  # as they come every ten seconds
    assert [line[:7] for line in lines] == ["note:  ", "note:  "]
    assert not re.search(r"\r|━", screen.err + screen.out)


def test_nothing_is_drawn_within_a_second():
    stopped = "time.monotonic = lambda: 0.0\n"  # the clock, so that a busy machine changes nothing
    steps = "report('progress', '1/3 looking'); report('progress', '2/3 on')"
    assert reported(f"{stopped}with Messages() as report: {steps}") == ""


def test_a_single_long_step_is_shown_without_another_report():
    err = reported("with Messages() as report:\n  report('progress', 'loading'); time.sleep(1.5)")
    assert err.startswith("loading …")
    assert left_standing(err) == ""


def test_a_log_tells_for_how_long(capsys, monkeypatch):
    """Every ten seconds a line, of which one would be like the other."""
    monkeypatch.setattr(messages, "_BETWEEN", 0.05)
    with messages.Messages() as report:
        report("progress", "loading the model")
        time.sleep(0.4)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 1
    assert all(re.fullmatch(r"loading the model …  \d+ s", line) and PROGRESS.search(line) for line in lines)


def test_a_bar_where_steps_are_counted():
    err = reported("report = Messages(); time.sleep(1)\nreport('progress', '13/25 replacing'); report.clear()")
    assert err.startswith("━" * 12 + "┈" * 12 + " 13/25  replacing …")


def test_a_notice_stands_on_a_line_of_its_own():
    shown = "report('progress', '1/2 looking'); report('notice', 'well'); report.clear()"
    err = reported(f"report = Messages(); time.sleep(1)\n{shown}")
    assert [left_standing(line) for line in err.split("\r\n")][1:] == [""]
    assert re.sub(r"\x1b\[\d*m", "", left_standing(err.split("\r\n")[0])).startswith("note:  well")


def test_a_narrow_terminal_and_one_without_unicode():
    code = "import shutil; shutil.get_terminal_size = lambda: __import__('os').terminal_size((30, 9))\n"
    code += "report = Messages(); time.sleep(1)\nreport('progress', '1/2 ' + 60 * 'x'); report.clear()"
    err = reported(code, PYTHONIOENCODING="ascii:replace")
    assert max(map(len, err.split("\r"))) == 29
    assert err.startswith("." * 24 + " 1/2")


@pytest.mark.parametrize("module", ["rich", "numpy"])
def test_progress_imports_nothing_heavy(module):
    shown = "report = Messages(); time.sleep(1)\nreport('progress', '1/2 x'); report.clear()"
    assert "1/2" in reported(f"{shown}\nassert '{module}' not in sys.modules")


@pytest.fixture
def clock(monkeypatch):
    from kmr_cli.cli import messages

    now = [0.0]
    monkeypatch.setattr(messages.time, "monotonic", lambda: now[0])
    return now


def test_elapsed_and_remaining_time_stand_behind_what_is_done(clock):
    from kmr_cli.cli.messages import Messages

    report = Messages()
    for step in range(1, 5):
        report("progress", f"{step}/11 replacing sample {step}")
        clock[0] += 2
    report("progress", "5/11 looking")
    assert report._line() == " 5/11  looking …  8 s, about 14 s left"
    assert report._line(bar=True).endswith(" 5/11  looking …  8 s, about 14 s left")
    report.clear()


def test_without_a_terminal_a_line_comes_every_ten_seconds(clock, capsys, monkeypatch):
    from kmr_cli.cli import messages

    monkeypatch.setattr(messages, "_BETWEEN", 0.01)
    with messages.Messages() as report:
        report("progress", "3/9 running a batch of 5")
        report._timer.join(5)
        first = report._timer
    assert "3/9  running a batch of 5 …  0 s\n" in capsys.readouterr().err
    first.join(5)
    capsys.readouterr()
    report("notice", "all done")
    assert capsys.readouterr().err == "note:  all done\n"


def test_of_long_work_the_expected_time_is_said_once_when_it_has_shown(clock, capsys):
    from kmr_cli.cli.messages import Messages

    with Messages() as report:
        for step in range(1, 8):
            report("progress", f"{step}/21 looking")
            clock[0] += 6
    assert capsys.readouterr().err == "note:  about 114 s to go: 19 more passes\n".replace("114 s", "2 min")
    with Messages() as report:
        for step in range(1, 8):
            report("progress", f"{step}/21 looking")
            clock[0] += 1
    assert capsys.readouterr().err == ""


def expected(clock, capsys, *seconds):
    """What is said of 41 steps, of which the first ones take so long."""
    from kmr_cli.cli.messages import Messages

    with Messages() as report:
        for step, each in enumerate(seconds, 1):
            report("progress", f"{step}/41 looking")
            report("progress", f"{step}/41 looking closer")
            clock[0] += each
    return capsys.readouterr().err.splitlines()


def test_the_expected_time_is_said_anew_where_loops_were_compiled_meanwhile(clock, capsys):
    early = "note:  about 78 s to go: 39 more passes"
    assert expected(clock, capsys, 2, 2, 3, 0.11, 0.11, 0.11, 0.11, 0.11) == [
        early,
        "note:  about 4 s to go after all: 35 more passes",
    ]
    assert expected(clock, capsys, 2, 2, 3, 2, 2, 2, 2, 2) == [early]
    assert expected(clock, capsys, 2, 2, 2, 8, 8, 8, 8, 8)[1:] == ["note:  about 5 min to go after all: 35 more passes"]


def test_the_time_left_is_that_of_the_later_steps_and_shrinks_while_one_runs(clock):
    from kmr_cli.cli.messages import Messages

    report = Messages()
    for step, each in enumerate((9, 9, 2, 2), 1):
        report("progress", f"{step}/10 looking")
        clock[0] += each
    report("progress", "5/10 looking")
    assert report._left(5, 10) == 12
    clock[0] += 1
    assert report._left(5, 10) == 11
    clock[0] += 10
    assert report._left(5, 10) == 10
    report.clear()


@pytest.mark.parametrize(("seconds", "text"), [(8, "8 s"), (99, "99 s"), (180, "3 min"), (7200, "2 h")])
def test_durations_are_short(seconds, text):
    from kmr_cli.cli.messages import _duration

    assert _duration(seconds) == text


@pytest.mark.parametrize(("setting", "bold"), [("1", False), ("", True)])
def test_no_color_means_no_bold_either(setting, bold):
    code = "from kmr_cli.cli.complaint import complain; complain('gone', 'look'); Messages()('notice', 'so')"
    assert ("\x1b[" in reported(code, NO_COLOR=setting, TERM="xterm")) == bold
