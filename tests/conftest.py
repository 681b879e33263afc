"""Puts tests/ on the path, so that tests share the builders of zoo/, and lets Ctrl-C reach what they start."""

import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell starts background jobs with SIGINT ignored, which every process started from here would inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(params=["kept", "digests"])
def tensors(request, monkeypatch):
    """The tensors of tests are small, and small ones are kept: once as it is, once as if all of them were large."""
    from kmr_cli.evidence import reach

    if request.param == "digests":
        monkeypatch.setattr(reach, "_ROW", 1)
