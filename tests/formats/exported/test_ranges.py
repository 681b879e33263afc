"""Sizes that a program was exported for: a check tries no others, and says so no further than that."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.export import Dim
from zoo import exported as zoo

from kmr_cli import open_model
from kmr_cli.batch.synthetic import choose_batch_size, synthesize
from kmr_cli.check.check import check
from kmr_cli.errors import BatchError
from kmr_cli.formats import exported
from kmr_cli.formats.interface import OpenOptions

OPTIONS = OpenOptions()


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """Takes 4 to 16 samples."""
    torch.manual_seed(0)
    batch = {"input": zoo.normal(6, 5)}
    module = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2)).eval()
    example = zoo.Example(module, batch, zoo.tensors(batch), {"input": {0: Dim("batch", min=4, max=16)}})
    return zoo.save(example, tmp_path_factory.mktemp("ranges") / "limited.pt2")


def sizes_of(path, monkeypatch, **options):
    """The report of a check, and every number of samples that was run."""
    from kmr_cli.formats.exported.run.session import ExportedSession

    seen, whole = set(), ExportedSession.capture

    def capture(self, batch, *arguments, **keywords):
        seen.add(len(batch["input"]))
        return whole(self, batch, *arguments, **keywords)

    monkeypatch.setattr(ExportedSession, "capture", capture)
    info = exported.describe(path, OPTIONS)
    session = exported.open(path, OPTIONS)
    report = check(session, info, synthesize(info, choose_batch_size(info), 0, {}), **options)
    session.close()
    return report, seen


def test_no_other_size_is_tried(limited, monkeypatch):
    info = exported.describe(limited, OPTIONS)
    assert info.batch_range == (4, 16)
    report, seen = sizes_of(limited, monkeypatch)
    assert report.verdict == "pass"
    assert len(seen) >= 3
    assert min(seen) >= 4
    assert max(seen) == 16
    assert not any("batch sizes" in line for line in report.not_examined)


def test_without_a_range_sizes_outside_of_it_are(monkeypatch):
    path = zoo.path_of("half")
    report, seen = sizes_of(path, monkeypatch)
    assert (min(seen), max(seen) >= 32) == (1, True)
    assert any("batch sizes above" in line for line in report.not_examined)


def test_a_size_outside_of_it_is_refused(limited):
    with open_model(limited, in_process=True) as model:
        for size in (3, 17):
            with pytest.raises(BatchError, match=f"the model takes 4 to 16 samples at a time, not {size}"):
                model.check_batch_axis(size=size)
        assert len(model.sample("0", 0, np.ones((4, 5), np.float32))) > 0


def test_what_is_made_up_keeps_to_it():
    info = exported.describe(zoo.path_of("length"), OPTIONS)
    assert info.batch_range == (1, 64)
    from dataclasses import replace

    assert choose_batch_size(replace(info, batch_range=(1, 4))) == 4
    assert choose_batch_size(replace(info, batch_range=(20, None))) >= 20
