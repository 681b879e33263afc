"""What a call leaves on stdout, through the code that the command line uses."""

import pytest
from zoo.outcomes import CASES

from kmr_cli.cli.jobs import Finished
from kmr_cli.cli.options import Messages
from kmr_cli.cli.outcomes import Outcomes
from kmr_cli.cli.target import Target
from kmr_cli.render.contents import Run, of_check
from kmr_cli.render.screen.report import show_report


def run_of(seconds):
    return Run("2026-01-02T03:04:05Z", seconds, "Linux 6.1.0 x86_64")


@pytest.fixture
def produce(capsys, monkeypatch):
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)

    def run(case, format_):
        """(stdout, exit code); for people also stderr, which holds the errors."""
        with Messages() as messages:
            goal = Target(None if format_ == "terminal" else format_, None, force=False)
            several = len(CASES[case]) != 1
            found = Outcomes("check-batch-axis", goal, strict=False, several=several, messages=messages)
            for item in CASES[case]:
                if isinstance(item, tuple):
                    found.add_failure(Finished(item[0], None, item[1], run_of(0.25)))
                    continue

                def show(console, report=item):
                    show_report(console, report)

                allowed = "allow-inconclusive" in item.grounds.policy
                found.add(of_check(item, item.path, run_of(1.5), inconclusive_allowed=allowed), show)
            code = found.finish()
        shown = capsys.readouterr()
        return shown.out + (shown.err if format_ == "terminal" else ""), code

    return run
