"""``python -m kmr_cli`` and the ``kmr-inspect`` command."""

from __future__ import annotations

import os
import sys

# NumPy's OpenBLAS starts threads when it is imported, and forking a process with threads is unsafe (and warned of
# from Python 3.12 on), so that job.can_fork refuses it. The frameworks bring their own thread pools and do not look
# at this. Where the user has set another number, the child is a fresh interpreter, which takes a little longer.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main() -> None:
    """Run the command line and leave with its exit code."""
    from kmr_cli.cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
