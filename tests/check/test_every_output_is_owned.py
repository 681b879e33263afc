"""The invariant of a pass, over the models that the rest of the zoo is made of: every output is some sample's.

`zoo.cases.judge` holds it for the faulty and the clean models, in the tests of detection and in `make detection`: for
all architectures and all files of ONNX among them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from zoo import cases, exported, onnx_models, torchscript
from zoo.arrays import ArraySession, unowned

from kmr_cli.check.check import check
from kmr_cli.errors import BatchError, ModelRunError
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.records import BatchIndex, ModelInfo

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


def report_of(path: Path, batch):
    options = OpenOptions()
    form = detect(path)
    info = form.describe(path, options)
    session = form.open(path, options)
    try:
        named = dict(zip([spec.name for spec in session.inputs], batch.values(), strict=False))
        return check(session, info, {name: np.asarray(values) for name, values in named.items()})
    except (BatchError, ModelRunError):
        return None  # it takes no batch: nothing is claimed
    finally:
        session.close()


SCRIPTS = [name for name in torchscript.MODELS if name not in ("complex_model", "structured_inputs")]


@pytest.mark.parametrize("name", SCRIPTS)
def test_of_torchscript(name, tmp_path):
    made = torchscript.MODELS[name]()
    report = report_of(torchscript.save(made.module, tmp_path / "model.pt"), made.batch)
    assert report is None or unowned(report) == []


PROGRAMS = [name for name in (*exported.BUILDERS, *exported.STATEFUL) if name[0].islower()]


@pytest.mark.parametrize("name", PROGRAMS)
def test_of_exported_programs(name):
    report = report_of(exported.path_of(name), exported.example(name).batch)
    assert report is None or unowned(report) == []


def test_the_invariant_can_fail(monkeypatch):
    session = ArraySession([("tanh", np.tanh)], (None, 4))
    info = ModelInfo("m", "torchscript", "", session.inputs, (), session.layers, 0)
    report = check(session, info, {"x": np.random.default_rng(0).standard_normal((5, 4))})
    assert (report.verdict, unowned(report)) == ("pass", [])
    silent = tuple(tap if tap.layer else replace(tap, index=BatchIndex("constant", evidence="")) for tap in report.taps)
    broken = replace(report, taps=silent)
    assert unowned(broken) == ["out0"]
    monkeypatch.setattr(cases, "report_on", lambda case, path: broken)
    with pytest.raises(AssertionError, match="out0"):
        cases.judge(cases.Case("broken", "onnx", lambda folder: onnx_models.EXPORTED / "mlp-new.onnx"))
