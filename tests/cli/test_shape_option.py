"""``--shape NAME=N,N:DTYPE`` on the commands that run a model on synthetic data."""

import json

import pytest
import torch
from torch import nn
from zoo import torchscript as zoo

from kmr_cli import open_model

GIVEN = ("--shape", "x=5,3", "--shape", "keep=5:bool", "--shape", "ids=2:int64")


class Where(nn.Module):
    """Its file tells neither that ``keep`` is boolean nor that ``ids`` are numbers of rows."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 4)
        self.register_buffer("table", torch.randn(8, 2))

    def forward(self, x, keep, ids):
        hidden = torch.where(keep.unsqueeze(2), self.head(x), torch.zeros(4))
        return hidden.sum(1), torch.index_select(self.table, 0, ids[:, 0])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    zoo.seed()
    return zoo.save(zoo.script(Where()), tmp_path_factory.mktemp("where") / "where.pt")


@pytest.mark.slow
def test_every_command_takes_a_dtype(kmr, model, tmp_path):
    screen = kmr("check-batch-axis", model, *GIVEN, "--format", "json")
    assert (screen.code, json.loads(screen.out)["verdict"]) == (0, "pass"), screen.err + screen.out
    screen = kmr("sample", model, "-l", "head", "-i", "0", "--side", "out", *GIVEN)
    assert screen.code == 0, screen.err
    taken = tmp_path / "where.kmr.json"
    screen = kmr("snapshot", model, *GIVEN, "-o", taken)
    assert screen.code == 0, screen.err
    assert json.loads(taken.read_text())["batch"]["shapes"] == [
        ["x", [5, 3]],
        ["keep", [5, "bool"]],
        ["ids", [2, "int64"]],
    ]
    screen = kmr("compare", model, taken)  # makes the same data again
    assert screen.code == 0, screen.err + screen.out
    screen = kmr("compare", model, model, *GIVEN)
    assert screen.code == 0, screen.err + screen.out


def test_python_takes_a_dtype(model):
    with open_model(model, in_process=True) as opened:
        shapes = {"x": (5, 3), "keep": (5, "bool"), "ids": (2, "int64")}
        (record,) = opened.sample("head", 0, shapes=shapes, side="out")
    assert record.value.shape == (5, 4)


def test_the_hint_of_a_failed_run_goes_on_from_what_was_given(kmr, model):
    screen = kmr("check-batch-axis", model, "--shape", "x=5,3", "--shape", "keep=5:bool", "--shape", "ids=2")
    assert screen.code == 2
    hint = screen.err.splitlines()[-1]
    assert "give the dtype with --shape x=5,3 --shape keep=5:bool --shape ids=2:int64" in hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("keep=5:boolean", "has an unknown dtype (did you mean bool?); known are bool, int8, int16, "),
        ("x=5,3:int64", "--shape x=5,3:int64 does not fit: the model declares dtype float32"),
    ],
)
def test_a_dtype_that_is_none_or_does_not_fit(kmr, model, text, message):
    others = [part for part in GIVEN if part != "--shape" and part.partition("=")[0] != text.partition("=")[0]]
    arguments = [part for other in (text, *others) for part in ("--shape", other)]
    screen = kmr("sample", model, "-l", "head", "-i", "0", *arguments)
    assert screen.code == 2
    assert message in screen.err
    assert len(screen.err.splitlines()) <= 3


def test_a_layer_class_refuses_a_dtype_that_is_none(kmr):
    screen = kmr("check-batch-axis", "--layer-class", "torch.nn:ReLU", "--shape", "5:floot32")
    assert screen.code == 2
    assert "did you mean float32?" in screen.err


@pytest.mark.parametrize("command", ["check-batch-axis", "sample", "snapshot", "compare"])
def test_help_shows_the_form(kmr, command):
    assert "[NAME=]N,N,…[:DTYPE]" in kmr(command, "--help").out
