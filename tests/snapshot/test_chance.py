"""Models that draw random numbers: a snapshot says so, and an unchanged model is never accused."""

import numpy as np
import pytest
from zoo.arrays import ArraySession

from kmr_cli import open_model
from kmr_cli.api.compare import compare_with_snapshot
from kmr_cli.api.opened import Opened
from kmr_cli.snapshot.take import take
from kmr_cli.snapshot.write import dump

BATCH = {"x": np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)}


def noise_on_the_first():
    """Noise that leaves all samples but one as they are: which sample is looked at decides whether it is seen."""
    rng = np.random.default_rng(5)
    return lambda x: x + np.eye(len(x), 1, dtype=x.dtype) * rng.standard_normal(x.shape).astype(x.dtype)


def random_taps(*steps, repeat):
    session = ArraySession([(f"step{n}", step) for n, step in enumerate(steps)], (None, 4))
    taps, _ = take(session, BATCH, repeat=repeat)
    return [tap.layer for tap in taps if tap.random]


@pytest.mark.parametrize("repeat", [False, True])
def test_chance_is_looked_for_in_all_samples_on_request(repeat):
    assert random_taps(np.tanh, noise_on_the_first(), repeat=repeat) == (["step1", ""] if repeat else [])
    assert random_taps(np.tanh, np.cos, repeat=repeat) == []


def test_a_decision_after_chance_is_chance_though_it_came_out_the_same():
    def decide(x):
        return np.argmax(x + np.arange(4) * 1e6, axis=1)

    assert random_taps(np.tanh, noise_on_the_first(), decide, repeat=True) == ["step1", "step2", ""]
    assert random_taps(np.tanh, decide, repeat=True) == []


@pytest.fixture
def noisy(tmp_path):
    """A model with noise in a layer, for the first sample alone, and decisions behind it."""
    import torch
    from torch import Tensor, nn

    class Noise(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.randn(x.size(1)) * (torch.arange(x.size(0)) == 0).unsqueeze(1)

    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.noise = Noise()

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            x = self.noise(x)
            return x, x.argmax(1)

    path = tmp_path / "noisy.pt"
    torch.jit.script(Noisy()).save(path)
    return path


def test_an_unchanged_model_is_never_accused(noisy, tmp_path, monkeypatch):
    repeats = []
    inner = Opened.run

    def run(self, task, arguments):
        if "repeat" in arguments:  # what is a pass, and not a look at the graph
            repeats.append(arguments["repeat"])
        return inner(self, task, arguments)

    monkeypatch.setattr(Opened, "run", run)
    path = tmp_path / "noisy.kmr.json"
    with open_model(noisy, in_process=True) as model:
        path.write_text(dump(model.snapshot(BATCH)))
        found = [compare_with_snapshot(model, path, BATCH)[0].verdict for _ in range(5)]
        assert found == ["inconclusive"] * 5
        assert repeats == [True] + [False] * 5  # the snapshot knows already what is random
        unaware = path.read_text().replace(',"random":true', "")
        path.write_text(unaware)
        result, now = compare_with_snapshot(model, path, BATCH)
    assert repeats[6:] == [False, True]  # nobody is accused before the batch was run again
    assert [tap.layer for tap in now.taps if tap.random] == ["noise", "", ""]
    assert result.verdict == "fail"
