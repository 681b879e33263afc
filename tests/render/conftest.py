"""What a call leaves on stdout, through the code that the command line uses."""

import pytest
from zoo.outcomes import CASES

from kmr_cli.cli.jobs import Finished
from kmr_cli.cli.options import Messages
from kmr_cli.cli.outcomes import Outcomes, check_outcome
from kmr_cli.render.documents.json import check_document
from kmr_cli.render.screen.report import show_report


@pytest.fixture
def produce(capsys, monkeypatch):
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)

    def run(case, format_):
        """(stdout, exit code); for people also stderr, which holds the errors."""
        with Messages() as messages:
            found = Outcomes(
                "check-batch-axis", format_, None, force=False, strict=False, sources=(),
                several=len(CASES[case]) != 1, messages=messages,
            )  # fmt: skip
            for item in CASES[case]:
                if isinstance(item, tuple):
                    found.add_failure(Finished(item[0], None, item[1], 0.25))
                    continue

                def show(console, report=item):
                    show_report(console, report)

                found.add(check_outcome(item, item.path, 1.5), check_document(item), show)
            code = found.finish()
        shown = capsys.readouterr()
        return shown.out + (shown.err if format_ == "terminal" else ""), code

    return run
