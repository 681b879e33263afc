"""Batches of sizes at which a model does something else."""

import numpy as np
import pytest
import torch
from zoo.arrays import ArraySession
from zoo.torchscript import save, script

from kmr_cli import open_model
from kmr_cli.check.check import Policy, check
from kmr_cli.check.probes import turns
from kmr_cli.check.probes.turns import in_words
from kmr_cli.formats import torchscript
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.records import ModelInfo

pytestmark = pytest.mark.usefixtures("tensors")
KNOWN = tuple(range(1, 201))


class Asking(ArraySession):
    """Tells at which sizes its one layer does something else."""

    def __init__(self, otherwise, *kinds):
        def layer(x):
            return otherwise(x) if len(x) in kinds[-1] else np.tanh(x)

        super().__init__([("layer", layer)])
        self.kinds, self.sizes = kinds, []

    def kinds_of_sizes(self, batch, sizes):
        return self.kinds

    def capture(self, batch, *arguments, **options):
        self.sizes.append(len(batch["x"]))
        return super().capture(batch, *arguments, **options)


def report(session, **policy):
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    batch = {"x": np.random.default_rng(1).standard_normal((5, 3))}
    return check(session, info, batch, policy=Policy(**policy))


def mean(x):
    return np.tanh(x) - x.mean(0)


@pytest.mark.parametrize("kind", [range(91, 201), (12, 24, 48), (4,), (9,), range(14, 200, 14)])
def test_a_leak_at_sizes_that_nobody_would_try_is_found_at_its_layer(kind):
    session = Asking(mean, [size for size in KNOWN if size not in kind], list(kind))
    found = report(session)
    assert {(one.rule, one.layer) for one in found.findings if one.severity == "error"} <= {
        ("KMR101", "layer"), ("KMR102", "layer")
    }  # fmt: skip
    assert found.verdict == "fail"
    assert set(kind) & set(session.sizes)


def test_a_size_that_servers_form_is_preferred_and_one_that_was_run_is_not_run_again():
    session = Asking(np.tanh, list(KNOWN[:90]), list(KNOWN[90:]))
    assert report(session).verdict == "pass"
    assert max(session.sizes) == 91
    again = Asking(np.tanh, [size for size in KNOWN if size % 2], [size for size in KNOWN if not size % 2])
    assert report(again).verdict == "pass"
    assert max(again.sizes) == 32


def test_what_takes_too_much_memory_is_no_pass(monkeypatch):
    monkeypatch.setattr(turns, "MOST_BYTES", 1000)
    session = Asking(mean, list(KNOWN[:90]), list(KNOWN[90:]))
    found = report(session)
    assert found.verdict == "inconclusive"
    assert "treats batches of 91 samples or more in another way" in found.inconclusive[0]
    assert "--batch-sizes 91" in found.inconclusive[0]
    assert max(session.sizes) < 91


def test_sizes_that_the_user_chose_are_kept_and_the_rest_is_named():
    session = Asking(mean, list(KNOWN[:90]), list(KNOWN[90:]))
    found = report(session, batch_sizes=(1, 8, 32))
    assert found.verdict == "pass"
    assert "batches of 91 samples or more, which the model treats in another way" in found.not_examined


def test_no_more_than_so_many_kinds_are_run():
    session = Asking(np.tanh, *([size] for size in range(40, 60)), list(KNOWN[60:]))
    found = report(session)
    assert found.verdict == "pass"
    assert len([size for size in set(session.sizes) if size > 32]) == turns.MOST
    assert any("another way" in line for line in found.not_examined)


@pytest.mark.parametrize(("kind", "words"), [
    ((1,), "1 sample"),
    ((12,), "12 samples"),
    (tuple(range(41, 81)), "41 to 80 samples"),
    (tuple(range(91, 201)), "91 samples or more"),
    ((7, 14, 21, 28), "7, 14, 21, … samples"),
])  # fmt: skip
def test_sizes_in_words(kind, words):
    rest = tuple(size for size in KNOWN if size not in kind)
    assert in_words(kind, [rest, kind]) == words


class Asks(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.size(0) > 90:
            if x.size(0) % 8 == 0:
                return x + 1
            return x + 2
        if int(float(x.size(0)) / 2.0) >= 30:
            return x + 3
        return x + 4


class AsksNothing(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(x.size(0)):
            x = torch.tanh(x)
        return x if x.size(1) > 2 else x * 2


@pytest.mark.parametrize(("module", "firsts"), [(Asks, {1, 60, 91, 96}), (AsksNothing, {1, 2, 3})])
def test_torchscript_tells_what_its_code_asks_behind_other_questions_too(tmp_path, module, firsts):
    path = save(script(module()), tmp_path / "model.pt")
    session = torchscript.open(path, OpenOptions())
    kinds = session.kinds_of_sizes({"x": np.ones((5, 3), np.float32)}, ())
    assert firsts <= {kind[0] for kind in kinds}
    assert sum(map(len, kinds)) == len({size for kind in kinds for size in kind})


LIMIT = 24


def centred_when_full(x):
    return x - x.mean(0) if len(x) % LIMIT == 0 else x


class Helped(torch.nn.Module):
    """Its own code asks nothing: what it calls does."""

    def __init__(self, by="a function"):
        super().__init__()
        self.by, self.twice = by, centred_when_full

    def forward(self, x):
        return {"a function": centred_when_full, "a method": self.inner, "an attribute": self.twice}[self.by](x) * 2

    def inner(self, x):
        return x - x.mean(0) if len(x) % 40 == 0 else x


@pytest.mark.parametrize(("by", "size"), [("a function", 24), ("a method", 40), ("an attribute", 24)])
def test_sizes_that_functions_outside_of_a_layer_ask_for_are_run(by, size):
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    with open_model(Helped(by).eval(), in_process=True) as model:
        found = model.check_batch_axis({"x": x})
    assert (found.verdict, size in found.batch_sizes) == ("fail", True)
    assert any(f"on a batch of {size}" in one.message for one in found.findings if one.severity == "error")


def test_sizes_that_a_function_beside_a_keras_layer_asks_for_are_run(tmp_path):
    keras = pytest.importorskip("keras")

    def fixed(x):
        return x - keras.ops.mean(x, axis=0, keepdims=True) if len(x) % LIMIT == 0 else x

    given = keras.Input((3,))
    made = keras.layers.Activation(fixed, name="fixed")(keras.layers.Dense(3)(given))
    with open_model(keras.Model(given, made), in_process=True) as model:
        found = model.check_batch_axis(size=5)
    (error,) = [one for one in found.findings if one.severity == "error"]
    assert (error.layer, "on a batch of 24" in error.message) == ("fixed", True)
