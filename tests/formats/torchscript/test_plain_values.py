"""Numbers and text that a model returns beside tensors: samples meet in them as they do in tensors."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from zoo import torchscript as zoo

from kmr_cli import open_model
from kmr_cli.batch.words import dtype_name
from kmr_cli.formats.common.plain_values import plain_values
from kmr_cli.formats.torchscript.run.outputs import name_tensors

BATCH = {"x": np.random.default_rng(0).standard_normal((5, 8)).astype("float32")}


class Scores(nn.Module):
    """What is returned besides is about each sample, or about all of them.

    Args:
        alone: of each sample by itself.
    """

    def __init__(self, alone: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.alone, self.linear = alone, nn.Linear(8, 3)

    def scores(self, x: Tensor) -> Tensor:
        return self.linear(x)

    def judged(self, x: Tensor) -> Tensor:
        scores = self.linear(x)
        return scores if self.alone else scores - scores.mean(0)


class Means(Scores):
    def forward(self, x: Tensor) -> tuple[Tensor, list[float]]:
        means: list[float] = self.judged(x).amax(1).tolist()
        return self.scores(x), means


class Named(Scores):
    def forward(self, x: Tensor) -> list[str]:
        places: list[int] = self.judged(3 * x).argmax(1).tolist()
        return [["cat", "dog", "owl"][place] for place in places]


class Found(Scores):
    """As many steps of each sample as it has scores above zero: lists of no common length."""

    def forward(self, x: Tensor) -> tuple[Tensor, list[list[int]]]:
        found: list[list[int]] = []
        for row in self.judged(x):
            places: list[int] = (row > 0).nonzero().flatten().tolist()
            found.append(places)
        return self.scores(x), found


class Mean(Scores):
    def forward(self, x: Tensor) -> tuple[Tensor, float]:
        return self.scores(x), float(self.judged(x).amax().item())


class Judgement(Scores):
    """One text for the whole batch, which a batch of one sample can change."""

    def forward(self, x: Tensor) -> tuple[Tensor, str]:
        return self.scores(x), "high" if bool(self.judged(x)[:, 0].mean() > 0) else "low"


class Size(Scores):
    def forward(self, x: Tensor) -> tuple[int, Tensor]:
        return x.shape[0], self.scores(x)


def checked(module, tmp_path, batch=BATCH):
    path = tmp_path / "model.pt"
    zoo.quietly(torch.jit.script(module.eval()).save, str(path))
    with open_model(path) as model:
        return model.check_batch_axis(batch)


def errors(report):
    return {finding.rule for finding in report.findings if finding.severity == "error"}


@pytest.mark.parametrize("kind", [Means, Found])
def test_values_of_each_sample_and_values_of_all(tmp_path, kind):
    assert errors(checked(kind(alone=False), tmp_path)) & {"KMR101", "KMR104"}
    report = checked(kind(alone=True), tmp_path)
    assert errors(report) == set()
    assert report.verdict == ("pass" if kind is Means else "inconclusive")  # other data may lead to the same places


@pytest.mark.parametrize("alone", [True, False])
def test_text_alone_is_what_the_model_returns(tmp_path, alone):
    report = checked(Named(alone), tmp_path)
    assert (report.verdict == "fail") != alone
    assert {tap.dtype for tap in report.taps if not tap.layer} == {"string"}


def test_one_number_for_all(tmp_path):
    report = checked(Mean(alone=False), tmp_path)
    assert report.verdict == "fail"
    assert errors(report) & {"KMR101", "KMR104"}


def test_one_text_for_all_that_another_batch_size_changes(tmp_path):
    module = Judgement(alone=True)
    high = module.linear.weight[0].detach().numpy()
    report = checked(module, tmp_path, {"x": np.stack([-9 * high, *4 * [9 * high]])})
    assert errors(report) & {"KMR102", "KMR104"}


def test_the_number_of_samples_is_no_answer_of_one(tmp_path):
    report = checked(Size(alone=True), tmp_path)
    assert report.verdict != "pass"
    (tap,) = [tap for tap in report.taps if not tap.layer and tap.index.axis == 0]
    assert tap.port == "out0"  # tensors come first, whatever stands before them


class Various(Scores):
    def forward(self, x: Tensor) -> tuple[list[float], Tensor, str, tuple[int, Tensor, bool]]:
        return [0.5, 2.0], self.scores(x), "name", (3, x, True)


@pytest.mark.parametrize("kind", [Various, Mean, Size, Named])
def test_the_file_tells_the_outputs_of_a_run(tmp_path, kind):
    path = tmp_path / "model.pt"
    zoo.quietly(torch.jit.script(kind(alone=True)).save, str(path))
    with open_model(path, in_process=True) as model:
        told = [(spec.name, spec.dtype) for spec in model.info.outputs]
    result = torch.jit.load(path)(torch.zeros(2, 8))
    tensors = [(name, None) for name, _ in name_tensors(result)]
    plain = [(name, dtype_name(array.dtype)) for name, array, _ in plain_values(result, 2)]
    assert told == [*tensors, *plain]


def test_names_arrays_and_owners():
    scores = torch.zeros(2)
    boxes = [{"boxes": scores, "labels": [1, 2, 3]}, {"labels": [4]}]
    result = (scores, 3, [True, False], "text", boxes, None, (1, 2.5), [[], [7]], [])
    found = {name: (array.dtype.kind, array.tolist(), owner) for name, array, owner in plain_values(result, 2)}
    assert found == {
        "value1": ("i", 3, None),
        "value2": ("b", [True, False], None),
        "value3": ("O", b"text", None),
        "value4.value0.labels": ("i", [1, 2, 3], 0),
        "value4.value1.labels": ("i", [4], 1),
        "value6.value0": ("i", 1, None),
        "value6.value1": ("f", 2.5, None),
        "value7.value0": ("i", [], 0),
        "value7.value1": ("i", [7], 1),
    }
    assert [name for name, _, _ in plain_values({"a": 1, "b": scores, "c": (2, scores)}, 2)] == ["a", "c.value0"]
    assert next(plain_values(2**70, 2))[1].dtype == "float64"
    assert not list(plain_values([], 2))
