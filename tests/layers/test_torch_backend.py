"""The same tests on the torch backend. Keras takes one backend per process, so they run in another one."""

import os
import re
from pathlib import Path

import pytest
from zoo.samples import python

HERE = Path(__file__).parent
OTHERS = sorted(str(path) for path in HERE.glob("test_*.py") if path != Path(__file__))


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("KERAS_BACKEND") == "torch", reason="this is the torch run")
def test_on_torch():
    arguments = ("pytest", "-q", "-p", "no:cacheprovider", *OTHERS)
    run = python("-m", *arguments, cwd=HERE.parents[1], timeout=900, KERAS_BACKEND="torch", PYTEST_ADDOPTS="")
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-1000:]
    (passed,) = re.findall(r"(\d+) passed", run.stdout)
    assert int(passed) > 600
