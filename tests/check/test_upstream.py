"""What shows at one output of several is put to the layers that this output was made from, and to none beside it."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from kmr_cli import open_model  # noqa: E402
from kmr_cli.check.remedies import REMEDIES  # noqa: E402


class Centre(nn.Module):
    def forward(self, x):
        return x - x.mean(0)


class Shares(nn.Module):
    def forward(self, x):
        return torch.softmax(x, 0)


class Heads(nn.Module):
    """Four heads, of which two mix, one of them twice, and one is always the same."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.centre, self.shares = nn.Linear(5, 4), nn.Linear(5, 4), Centre(), Shares()

    def forward(self, x):
        first, second = self.one(x), self.two(x)
        return self.centre(first), self.shares(second), self.centre(second), second, torch.ones(3)


class OwnCode(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(5, 4)

    def forward(self, x):
        values = self.fc(x)
        centred = values - values.mean(0)
        return centred, torch.softmax(values, 0), 2 * centred


def findings(module, path):
    module = module.eval()
    if path.suffix == ".pt":
        torch.jit.script(module).save(str(path))
    else:
        free = {0: torch.export.Dim("batch")}
        torch.export.save(torch.export.export(module, (torch.randn(4, 5),), dynamic_shapes=(free,)), str(path))
    with open_model(path) as model:
        shapes = {"x": (5,)} if path.suffix == ".pt" else None
        return model.check_batch_axis(shapes=shapes).findings


@pytest.mark.parametrize("suffix", [".pt", ".pt2"])
def test_every_mix_is_seen_at_the_output_that_it_reaches(tmp_path, suffix):
    found = findings(Heads(), tmp_path / f"model{suffix}")
    seen = {
        (one.layer, one.call): one.message.partition("seen at output ")[2]
        for one in found if one.rule == "KMR101" and one.severity == "error"
    }  # fmt: skip
    assert list(seen) == [("centre", 0), ("shares", 0), ("centre", 1)]
    for (layer, call), output, operator in zip(
        seen, ("out0", "out1", "out2"), ("mean", "softmax", "mean_1"), strict=True
    ):
        assert seen[layer, call].startswith(f"{output};"), seen
        assert seen[layer, call].count("by the graph") == 1, seen
        assert f"operator {operator!r}" in seen[layer, call], seen


@pytest.mark.parametrize("suffix", [".pt", ".pt2"])
def test_an_output_that_no_sample_moves_is_not_put_to_an_operator_of_another(tmp_path, suffix):
    found = findings(Heads(), tmp_path / f"model{suffix}")
    (constant,) = [one for one in found if one.rule == "KMR104"]
    assert "out4" in constant.message
    assert "operator" not in constant.message


class Labelled(nn.Module):
    """Scores, the numbers of their classes, and how many samples there are."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(5, 4)

    def forward(self, x):
        return self.fc(x), torch.arange(4), torch.full((2,), x.shape[0])


@pytest.mark.parametrize("suffix", [".pt", ".pt2"])
def test_a_constant_is_told_from_the_graph(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    findings(Labelled(), path)
    with open_model(path) as model:
        report = model.check_batch_axis(shapes={"x": (5,)} if suffix == ".pt" else None)
    lines = [line for line in report.inconclusive if "out1" in line]
    assert lines
    assert all("by the graph it is made of nothing that samples hold; --allow-output out1" in one for one in lines)


def test_two_mixes_in_the_models_own_code_are_two_findings(tmp_path):
    found = findings(OwnCode(), tmp_path / "model.pt")
    messages = [one.message for one in found if one.rule == "KMR101" and one.severity == "error"]
    assert ["operator 'mean'" in messages[0], "operator 'softmax'" in messages[1], len(messages)] == [True, True, 2]
    assert ["at output out0" in messages[0], "at output out1" in messages[1]] == [True, True]


class Mean(nn.Module):
    """Named after what it doesn't do."""

    def forward(self, x):
        return x @ x.t() @ x


class SelfAttention(nn.Module):
    def forward(self, x):
        return torch.softmax(x, 0) * x


class Chain(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.before, self.layer, self.after = nn.Linear(5, 4), layer, nn.Linear(4, 3)

    def forward(self, x):
        return self.after(self.layer(self.before(x)))


class Steps(nn.Module):
    """One whose steps are the batch: what stands in it doesn't matter, where the samples are does."""

    def __init__(self):
        super().__init__()
        self.inner = nn.MultiheadAttention(4, 2)

    def forward(self, x):
        x = x.unsqueeze(1)
        return self.inner(x, x, x)[0].squeeze(1)


@pytest.mark.parametrize(
    ("layer", "remedy"),
    [(Mean(), "samples with samples"), (SelfAttention(), "softmax"), (Steps(), "attention")],
    ids=["Mean", "SelfAttention", "MultiheadAttention"],
)
def test_the_operator_says_what_to_change_rather_than_the_name_of_a_class(tmp_path, layer, remedy):
    (error,) = [one for one in findings(Chain(layer), tmp_path / "model.pt2") if one.severity == "error"]
    assert (error.layer.startswith("layer"), error.remedy) == (True, REMEDIES[remedy])
