"""The same tests on the torch backend. Keras takes one backend per process, so they run in another one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
OTHERS = sorted(str(path) for path in HERE.glob("test_*.py") if path != Path(__file__))


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("KERAS_BACKEND") == "torch", reason="this is the torch run")
def test_on_torch():
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *OTHERS],
        capture_output=True,
        text=True,
        timeout=900,
        cwd=HERE.parents[1],
        env={**os.environ, "KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1", "PYTEST_ADDOPTS": ""},
    )
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-1000:]
    (passed,) = re.findall(r"(\d+) passed", run.stdout)
    assert int(passed) > 600
