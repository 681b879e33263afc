"""Puts tests/ on the path, so that tests share the builders of zoo/, and lets Ctrl-C reach what they start."""

import gc
import os
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
gc.disable()  # until all tests are imported, which makes no garbage worth looking for

if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    # As many threads as this worker has cores: with more, the frameworks of the workers wait for each other.
    threads = max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, str(threads))

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell starts background jobs with SIGINT ignored, which every process started from here would inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)


_MANY = 200  # modules, as a framework has


@pytest.fixture(autouse=True, scope="module")
def frameworks_are_no_garbage():
    """What frameworks hold stays to the end; a look through all of it at each collection costs a fifth of a second."""
    before = len(sys.modules)
    yield
    if len(sys.modules) > before + _MANY:
        gc.collect()
        gc.freeze()


def pytest_collection_finish():
    """The tests themselves stay to the end, too."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(params=["kept", "digests"])
def tensors(request, monkeypatch):
    """The tensors of tests are small, and small ones are kept: once as it is, once as if all of them were large."""
    from kmr_cli.evidence import reach

    if request.param == "digests":
        monkeypatch.setattr(reach, "_ROW", 1)


@pytest.fixture(autouse=True, scope="session")
def cold_spawn():
    """Children that would be fresh interpreters start warm (``zoo/warm.py``). Gives what starts a fresh interpreter."""
    from zoo import warm

    from kmr_cli.process import child

    cold = child.Child._spawn

    def spawn(self, there):
        around = {**os.environ, **self._homes()}
        server = None if self._debug else warm.server(around)
        if server is None:
            cold(self, there)
            return
        self._process = server.child(there.fileno(), self._chatter.fileno(), list(sys.path), around)
        self._pid = self._process.pid

    child.Child._spawn = spawn
    yield cold
    child.Child._spawn = cold
    warm.close()
