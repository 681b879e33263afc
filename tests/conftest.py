"""Puts tests/ on the path, so that tests share the builders of zoo/, and lets Ctrl-C reach what they start."""

import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell starts background jobs with SIGINT ignored, which every process started from here would inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)
