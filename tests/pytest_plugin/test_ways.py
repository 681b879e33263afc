"""Other ways into a model, and constant arguments, asked of the pytest plugin."""

import pytest
import torch
from torch import Tensor, nn
from zoo import torchscript as zoo

from kmr_cli.pytest_plugin import guarded, items  # noqa: F401  (loaded once, not by every run inside this process)
from kmr_cli.pytest_plugin.asked import asked_of

pytest_plugins = ["pytester"]


class Ways(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Linear(6, 3)

    def forward(self, x: Tensor, scale: int) -> Tensor:
        return self.enc(x) * scale

    @torch.jit.export
    def encode(self, x: Tensor, scale: int) -> Tensor:
        z = self.enc(x) * scale
        return z - z.mean(0)


class CentredInTraining(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0) if self.training else x * 2


@pytest.fixture
def project(pytester):
    zoo.save(zoo.script(Ways()), pytester.path / "ways.pt")
    return pytester


ASKED = ("--kmr-model", "ways.pt", "--kmr-shape", "6", "-k", "KMR101", "--kmr-constant", "scale=2")


def test_constants_and_methods(project):
    project.runpytest(*ASKED).assert_outcomes(passed=2, deselected=22)
    leaky = project.runpytest(*ASKED, "--kmr-method", "encode")
    leaky.assert_outcomes(passed=1, failed=1, deselected=22)
    leaky.stdout.fnmatch_lines(["*look: kmr-inspect sample ways.pt * --method encode --constant scale=2"])


def test_all_methods_and_the_ini_file(project):
    project.makeini("[pytest]\nkmr_all_methods = true\nkmr_constants = scale=2\nkmr_batch_size = 5\n")
    result = project.runpytest(*ASKED[:-2], "-v")
    result.stdout.fnmatch_lines(
        ["ways.pt::enc::KMR101 PASSED*", "ways.pt::(method encode)::(model)::KMR101 FAILED*"], consecutive=False
    )
    assert result.parseoutcomes()["failed"] == 1


class OtherInputs(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2

    @torch.jit.export
    def scores(self, left: Tensor, k: int) -> Tensor:
        return torch.topk(left - left.mean(0), k, dim=1)[0]


def test_each_way_is_given_what_it_takes(pytester):
    zoo.save(zoo.script(OtherInputs()), pytester.path / "ways.pt")
    words = ("--kmr-shape", "x=6", "--kmr-shape", "left=6", "--kmr-constant", "k=2", "-k", "KMR101", "-v")
    result = pytester.runpytest("--kmr-model", "ways.pt", "--kmr-all-methods", *words)
    result.stdout.fnmatch_lines(
        ["ways.pt::(model)::KMR101 PASSED*", "ways.pt::(method scores)::mean::KMR101 FAILED*"], consecutive=False
    )
    result.stdout.fnmatch_lines(["*look: kmr-inspect sample ways.pt * --shape left=6 --method scores --constant k=2"])


def test_errors_speak_of_the_options_of_pytest_or_of_arguments(project):
    result = project.runpytest("--kmr-model", "ways.pt", "-k", "KMR101", "--kmr-constant", "scale=2")
    result.stdout.fnmatch_lines(["*hint:  *--kmr-shape x=*"])
    project.makepyfile(
        """
        import pytest

        @pytest.mark.kmr_model("ways.pt", constants={"scale": 2})
        def test_forward(kmr_model):
            kmr_model.assert_batch_independent(shapes={"x": (6,)})

        @pytest.mark.kmr_model("ways.pt", method="encode", constants={"scale": 2})
        def test_encode(kmr_model):
            with pytest.raises(AssertionError, match="KMR101"):
                kmr_model.assert_batch_independent(shapes={"x": (6,)})

        @pytest.mark.kmr_model("ways.pt")
        def test_no_constant(kmr_model):
            kmr_model.assert_batch_independent(shapes={"x": (6,)})
        """
    )
    result = project.runpytest()
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*constants={'scale': VALUE} gives it*"])


def test_a_batch_size_that_is_none(project):
    project.makeini("[pytest]\nkmr_batch_size = many\n")
    result = project.runpytest(*ASKED)
    result.stderr.fnmatch_lines(["*kmr_batch_size = many: isn't a whole number*"])


def test_training(project):
    zoo.save(zoo.script(CentredInTraining()), project.path / "centred.pt")
    asked = ("--kmr-model", "centred.pt", "--kmr-shape", "6", "-k", "KMR101")
    assert "failed" not in project.runpytest(*asked).parseoutcomes()
    assert project.runpytest(*asked, "--kmr-training").parseoutcomes()["failed"] == 1


def test_what_is_asked_of_a_check(pytester):
    typed = asked_of(pytester.parseconfig("--kmr-seed", "3", "--kmr-no-proof"))
    assert (typed.seed, typed.training, typed.proof) == (3, False, False)
    pytester.makeini("[pytest]\nkmr_seed = 4\nkmr_training = true\n")
    said = asked_of(pytester.parseconfig())
    assert (said.seed, said.training, said.proof) == (4, True, True)
    pytester.makeini("[pytest]\nkmr_seed = four\n")
    with pytest.raises(pytest.UsageError, match="kmr_seed = four: isn't a whole number"):
        asked_of(pytester.parseconfig())
