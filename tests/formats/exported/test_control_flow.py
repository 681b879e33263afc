"""Branches and loops: tapped as a whole, and modules with weights of their own inside them, call by call."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from zoo import exported as zoo

from kmr_cli.errors import LayerError, ModelRunError
from kmr_cli.formats import exported
from kmr_cli.formats.interface import OpenOptions, Taps

OPTIONS = OpenOptions()


def seen(path, batch, *layers, **chosen):
    """What is handed over, in order, by tap."""
    session, found = exported.open(path, OPTIONS), {}
    stop = chosen.pop("stop", False)
    outputs = session.capture(batch, Taps(layers, **chosen), lambda *tap: found.update({tap[:3]: tap[3].copy()}),
                              stop=stop)  # fmt: skip
    session.close()
    assert (outputs is None) == stop
    return found


def of(name, *layers, **chosen):
    return seen(zoo.path_of(name), zoo.example(name).batch, *layers, **chosen)


def rounds(name):
    """What ``fc`` gets in every round, by the eager network."""
    model, x = zoo.example(name).module, next(iter(zoo.example(name).arguments.values()))
    given = []
    if name == "looping":
        for _ in range(3):
            given.append(x)
            x = model.fc(x)
    elif name == "mapping":
        given = list(x)
    else:
        kept = torch.zeros_like(x[:, 0])
        for step in x.transpose(0, 1):
            given.append(kept)
            kept = model.fc(kept) + step
    return given, [model.fc(one) for one in given]


@pytest.mark.parametrize("name", ["looping", "mapping", "scanning"])
@torch.no_grad()
def test_a_module_in_a_loop_call_by_call(name):
    given, made = rounds(name)
    found = of(name, "fc")
    assert list(found) == [("fc", call, port) for call in range(len(given)) for port in ("in0", "out0")]
    for call, (before, after) in enumerate(zip(given, made, strict=True)):
        np.testing.assert_array_equal(found["fc", call, "in0"], before.numpy())
        np.testing.assert_array_equal(found["fc", call, "out0"], after.numpy())


@pytest.mark.parametrize("stop", [False, True])
def test_chosen_calls_and_sides(stop):
    every = of("looping", "fc")
    found = of("looping", "fc", calls=(1,), sides=("out",), stop=stop)
    assert list(found) == [("fc", 1, "out0")]
    np.testing.assert_array_equal(found["fc", 1, "out0"], every["fc", 1, "out0"])


def test_the_branch_that_is_taken():
    model = zoo.example("branching")
    found = of("branching", "first", "second", "cond")
    assert list(found) == [
        ("first", 0, "in0"), ("first", 0, "out0"), ("cond", 0, "in0"), ("cond", 0, "in1"), ("second", 0, "in0"),
        ("second", 0, "out0"), ("cond", 0, "out0"),
    ]  # fmt: skip
    with torch.no_grad():
        expected = model.module.second(model.module.first(model.arguments["x"]))
    for tap in (("second", 0, "out0"), ("cond", 0, "out0")):
        np.testing.assert_array_equal(found[tap], expected.numpy())


def test_loops_are_layers_too():
    assert [layer.path for layer in exported.describe(zoo.path_of("scanning"), OPTIONS).layers] == ["fc", "out", "scan"]
    found = of("mapping", "map")
    assert set(found) == {("map", 0, "in0"), ("map", 0, "out0")}
    _, made = rounds("mapping")
    np.testing.assert_array_equal(found["map", 0, "out0"], torch.stack(made).relu().detach().numpy())


class Alone(nn.Module):
    """Nothing but a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        from torch._higher_order_ops import while_loop

        return while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, self.step(y).tanh()), (torch.tensor(0), x))[1]


@torch.no_grad()
def test_a_model_all_of_whose_modules_are_inside_a_loop():
    model = Alone().eval()
    batch = {"x": zoo.normal(3, 4)}
    path = zoo.saved(model, batch)
    assert [layer.path for layer in exported.describe(path, OPTIONS).layers] == ["step", "while_loop"]
    found, expected = seen(path, batch, "step", sides=("out",)), torch.from_numpy(batch["x"])
    assert list(found) == [("step", call, "out0") for call in range(3)]
    for value in found.values():
        expected = model.step(expected)
        np.testing.assert_array_equal(value, expected.numpy())
        expected = expected.tanh()


class Halving(nn.Module):
    """Takes as many rounds as the largest value asks for; of infinity, all there are."""

    def forward(self, x: Tensor) -> Tensor:
        from torch._higher_order_ops import while_loop

        return while_loop(lambda y: y.abs().max() > 0.02, lambda y: (y * 0.998,), (x,))[0]


def test_a_loop_that_never_ends_is_an_error():
    batch = {"x": zoo.normal(3, 4)}
    path = zoo.saved(Halving().eval(), batch)
    rounds = seen(path, batch, "while_loop", sides=("out",))  # more than two thousand rounds, and then it ends
    assert np.abs(rounds["while_loop", 0, "out0"]).max() <= 0.02
    batch["x"][:] = 0  # what halving leaves at once: other numbers take 50,000 rounds until they stay what they are
    batch["x"][1, 2] = np.inf
    with pytest.raises(ModelRunError, match="a loop that never ends on this batch"):
        seen(path, batch, "while_loop")


class Everywhere(nn.Module):
    """One layer before, inside and behind a loop whose rounds hold a branch; one branch stays out."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Linear(4, 4)
        self.left = nn.Linear(4, 4)
        self.block = nn.Sequential(nn.Linear(4, 4), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        from torch._higher_order_ops import while_loop

        def body(i: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            y = torch.cond(i == 1, lambda y: self.shared(y), lambda y: self.block(y), (y,))
            return i + 1, torch.cond(i > 9, lambda y: self.left(y), lambda y: y * 2, (y,))

        return self.shared(while_loop(lambda i, y: i < 3, body, (torch.tensor(0), self.shared(x)))[1])


@pytest.fixture(scope="module")
def everywhere():
    torch.manual_seed(0)
    model = Everywhere().eval()
    batch = {"x": zoo.normal(3, 4)}
    return model, batch, zoo.saved(model, batch)


@torch.no_grad()
def test_calls_are_numbered_as_they_run(everywhere):
    model, batch, path = everywhere
    found = seen(path, batch, "shared", "left", "block.0", sides=("out",))
    assert list(found) == [
        ("shared", 0, "out0"), ("block.0", 0, "out0"), ("shared", 1, "out0"), ("block.0", 1, "out0"),
        ("shared", 2, "out0"),
    ]  # fmt: skip
    x = model.shared(torch.from_numpy(batch["x"]))
    for call, step in enumerate((model.block, model.shared, model.block)):
        x = step(x)
        if call == 1:
            np.testing.assert_array_equal(found["shared", 1, "out0"], x.numpy())
        x = x * 2
    np.testing.assert_array_equal(found["shared", 2, "out0"], model.shared(x).numpy())


def test_what_is_reported_of_them(everywhere):
    _, _, path = everywhere
    info = exported.describe(path, OPTIONS)
    told = {layer.path: layer for layer in info.layers}
    assert (told["shared"].calls, told["block.0"].calls, told["while_loop"].calls) == (None, None, 1)
    assert told["block.0"].outputs[0].shape == (None, 4)
    assert "no weights by which" in told["block"].untappable
    assert "only modules with weights of their own can be tapped" in info.notes[-1]
    with pytest.raises(LayerError, match="'block' cannot be tapped: runs inside a branch or a loop"):
        seen(path, {"x": zoo.normal(3, 4)}, "block")
