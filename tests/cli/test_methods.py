"""``--method``, ``--all-methods`` and ``--constant``: which way into a model is taken, and with what."""

import enum
import json

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from zoo import torchscript as zoo
from zoo.samples import HOME

from kmr_cli.cli import run
from kmr_cli.config.constants import constants_of, parse_constants
from kmr_cli.errors import BatchError


class Ways(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Linear(6, 3)

    def forward(self, x: Tensor, scale: int) -> Tensor:
        return self.enc(x) * scale

    @torch.jit.export
    def encode(self, x: Tensor) -> Tensor:
        z = self.enc(x)
        return z - z.mean(0)


@pytest.fixture
def model(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((5, 6)).astype(np.float32))
    return zoo.save(zoo.script(Ways()), tmp_path / "model.pt")


def test_constants_as_typed():
    texts = ["sr=16000", "s=0.5", "flip=true", "none=None", "size=[4,4]", "mode=a=b", "one=", "two=(1, 2)", "half=(1"]
    found = dict(parse_constants(texts))
    assert found == {"sr": 16000, "s": 0.5, "flip": True, "none": None, "size": (4, 4), "mode": "a=b", "one": "",
                     "two": (1, 2), "half": "(1"}  # fmt: skip
    assert constants_of({"a": np.float32(0.5), "b": [np.int64(1)]}) == (("a", 0.5), ("b", (1,)))
    for texts in (["sr"], ["=1"], ["sr=1", "sr=2"]):
        with pytest.raises(BatchError):
            parse_constants(texts)
    with pytest.raises(BatchError, match="'a' is a set"):
        constants_of({"a": {1}})


def test_what_was_not_examined_is_named(kmr, model):
    screen = kmr("check-batch-axis", model, "--input", model.with_name("x.npy"), "--constant", "scale=2")
    assert screen.code == 0
    assert "not examined: method 'encode'; --method encode" in screen.err


def test_one_method(kmr, model):
    screen = kmr("check-batch-axis", model, "--input", model.with_name("x.npy"), "--method", "encode")
    assert screen.code == 1
    assert "KMR101" in screen.out
    wrong = kmr("check-batch-axis", model, "--constant", "scale")
    assert wrong.code == 2
    assert "not NAME=VALUE" in wrong.err


def test_all_methods_have_a_report_each(kmr, model):
    words = ("--all-methods", "--input", model.with_name("x.npy"), "--format", "json")
    # The constant is an argument of forward alone, so that encode cannot be run with it.
    screen = kmr("check-batch-axis", model, *words)
    assert "forward's argument 'scale' (int) cannot be fed" in screen.err
    reports = json.loads(screen.out)
    assert screen.code == 2
    assert "(--method encode)" in json.dumps(reports)


def test_a_constant_goes_to_the_methods_that_have_it(kmr, model):
    words = ("check-batch-axis", model, "--all-methods", "--input", model.with_name("x.npy"), "--format", "json")
    screen = kmr(*words, "--constant", "scale=2")
    forward, encode = json.loads(screen.out)
    assert (forward["verdict"], encode["verdict"], screen.code) == ("pass", "fail", 1)
    screen = kmr(*words, "--constant", "scal=2")
    assert "forward has no argument 'scal'" in screen.err
    assert screen.code == 2


class ManyWays(nn.Module):
    """Methods of other inputs, and some that take no batch."""

    def __init__(self):
        super().__init__()
        self.enc = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.enc(x)

    @torch.jit.export
    def scores(self, left: Tensor, right: Tensor, k: int) -> Tensor:
        return torch.topk(self.enc(left) * self.enc(right), k, dim=1)[0]

    @torch.jit.export
    def similar(self, left: Tensor, right: Tensor) -> Tensor:
        return self.enc(left) @ self.enc(right).t()

    @torch.jit.export
    def reset(self) -> None:
        pass

    @torch.jit.export
    def scaled(self, by: float) -> float:
        return 2 * by


def test_each_method_is_given_what_it_takes(kmr, tmp_path):
    x = np.random.default_rng(0).standard_normal((5, 6)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    path, data = zoo.save(zoo.script(ManyWays()), tmp_path / "model.pt"), tmp_path / "x.npy"
    inputs = [word for name in ("x", "left", "right") for word in ("--input", f"{name}={data}")]
    screen = kmr("check-batch-axis", path, *inputs, "--constant", "k=2", "--all-methods", "--format", "json")
    assert screen.code == 1, screen.err
    verdicts = {report["grounds"]["methods"][0]: report["verdict"] for report in json.loads(screen.out)}
    assert verdicts == {"forward": "pass", "scores": "pass", "similar": "fail"}
    screen = kmr("check-batch-axis", path, *inputs, "--input", f"lift={data}", "--all-methods", "--constant", "k=2")
    assert (screen.code, "has no input 'lift'" in screen.err) == (2, True)
    shapes = [word for name in ("x", "left", "right") for word in ("--shape", f"{name}=6")]
    screen = kmr("check-batch-axis", path, *shapes, "--constant", "k=2", "--all-methods", "--format", "json")
    assert [report["verdict"] for report in json.loads(screen.out)] == ["pass", "pass", "fail"], screen.err


class Color(enum.Enum):
    RED = 1


class TakesWhatNoBatchHolds(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Linear(6, 3)

    def forward(self, x: Tensor, pair: tuple[int, int], names: list[str] | None = None) -> Tensor:
        return self.enc(x) * pair[0] + pair[1]

    @torch.jit.export
    def listed(self, batch: list[dict[str, Tensor]]) -> list[Tensor]:
        return [self.enc(one["x"]) for one in batch]

    @torch.jit.export
    def colored(self, x: Tensor, color: Color) -> Tensor:
        return self.enc(x) if color == Color.RED else x


@pytest.mark.parametrize(
    ("options", "code", "line"),
    [
        (["--constant", "pair=(1,2)"], 0, ""),
        ([], 2, "hint:  --constant pair=VALUE gives it"),
        (["--constant", "pair=1,2"], 2, "hint:  --constant 'pair=[2, 2]' gives one"),
        (
            ["--constant", "pair=[1,2]", "--constant", "names=a"],
            2,
            """hint:  --constant 'names=["2", "2"]' gives one""",
        ),
        (["--method", "listed"], 2, "listed takes no tensor, but 'batch' (List[Dict[str, Tensor]])"),
        (["--method", "colored"], 2, "hint:  save a module around it whose forward takes tensors"),
    ],
)
def test_what_no_batch_holds_says_what_to_type(kmr, tmp_path, options, code, line):
    path = zoo.save(zoo.script(TakesWhatNoBatchHolds()), tmp_path / "model.pt")
    screen = kmr("check-batch-axis", path, "--shape", "6", *options)
    assert (screen.code, line in screen.err) == (code, True), screen.err
    if not code:
        assert "values of forward's optional argument 'names', left out here" in " ".join(screen.out.split())


def test_methods_without_a_batch_are_not_named_as_unexamined(kmr, tmp_path):
    path = zoo.save(zoo.script(ManyWays()), tmp_path / "model.pt")
    screen = kmr("check-batch-axis", path, "--shape", "6")
    assert "not examined: method 'scores', method 'similar'; --method" in screen.err
    assert "reset" not in screen.err + screen.out


def test_ways_that_could_not_be_listed_stay_named(model, monkeypatch, capsys):
    def fail(*_, **__):
        raise BatchError("no description")

    monkeypatch.setattr("kmr_cli.process.place.describe", fail)
    words = ["--all-methods", "--constant", "scale=2", "--input", str(model.with_name("x.npy"))]
    assert run(["check-batch-axis", str(model), *words]) == 0
    assert "method 'encode'" in " ".join(capsys.readouterr().out.split())


def test_an_option_that_is_for_another_format(kmr):
    screen = kmr("layers", HOME / "digits.keras", "--method", "encode", "--constant", "a=1")
    assert screen.code == 2
    assert "leave out --method, --constant" in screen.err
