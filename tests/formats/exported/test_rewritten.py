"""What torch rewrites while it exports: mapped axes, scans, and operators that write to their arguments."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from zoo import exported as zoo

from kmr_cli.errors import ModelLoadError, ModelRunError
from kmr_cli.formats import exported
from kmr_cli.formats.interface import OpenOptions, Taps

OPTIONS = OpenOptions()


def run(path, batch, *layers, **chosen):
    """(values by tap, outputs) of a fresh session."""
    session, seen = exported.open(path, OPTIONS), {}
    outputs = session.capture(batch, Taps(layers), lambda *tap: seen.update({tap[:3]: tap[3].copy()}), **chosen)
    session.close()
    return seen, outputs


@pytest.mark.parametrize("name", ["vectorized", "associative"])
def test_values_are_the_eager_models(name):
    model = zoo.example(name)
    _, outputs = run(zoo.path_of(name), model.batch)
    (expected,) = model.bare()
    np.testing.assert_array_equal(outputs["out0"], expected.numpy())


@torch.no_grad()
def test_a_value_in_a_mapping_is_handed_over_whole():
    """With the mapped axes in front, the outer one first."""
    model = zoo.example("vectorized")
    seen, _ = run(zoo.path_of("vectorized"), model.batch, "fc")
    (given,) = (torch.from_numpy(values) for values in model.batch.values())
    np.testing.assert_array_equal(seen["fc", 0, "in0"], given.numpy())
    expected = model.module.fc(given).numpy()
    np.testing.assert_allclose(seen["fc", 0, "out0"], expected, atol=1e-6)


def test_a_pass_that_ends_inside_leaves_no_mapping_behind():
    class EnoughError(Exception):
        pass

    def stop(*_):
        raise EnoughError

    batch = zoo.example("vectorized").batch
    session = exported.open(zoo.path_of("vectorized"), OPTIONS)
    with pytest.raises(EnoughError):
        session.capture(batch, Taps(("fc",)), stop)
    assert session.capture(batch, Taps(("fc",)), lambda *_: None, stop=True) is None
    session.close()
    assert torch._C._functorch.peek_interpreter_stack() is None
    np.testing.assert_array_equal(torch.ones(2).add(1).numpy(), [2, 2])


# -- operators that write to their arguments ----------------------------------------------------------------------

LIBRARY = torch.library.Library("kmr_rewritten", "DEF")
LIBRARY.define("shift(Tensor(a!) x, float by) -> Tensor")
LIBRARY.impl("shift", lambda x, by: x.add_(by).sum(-1), "CompositeExplicitAutograd")
LIBRARY.impl("shift", lambda x, by: x.sum(-1), "Meta")


class Shifting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x)
        total = torch.ops.kmr_rewritten.shift(y[:, 1:], 1.5)
        return y + total[:, None]


@pytest.fixture(scope="module")
def shifting():
    torch.manual_seed(0)
    model = zoo.plain(Shifting(), {"x": zoo.normal(3, 4)}, decomposed=True)
    return model, zoo.saved(model.module, model.batch, decomposed=True)


def test_a_custom_operator_that_writes(shifting):
    model, path = shifting
    for _ in range(2):
        _, outputs = run(path, model.batch)
        np.testing.assert_array_equal(outputs["out0"], model.bare()[0].numpy())


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("torch.ops.aten.set_.source_Tensor", "aten::set_, which is not supported here"),
        ("torch.ops.kmr_nobody.shift.default", "kmr_nobody::shift, which is not registered"),
        ("os.system", "needs 'os.system', which no exported program uses"),
    ],
)
def test_the_operator_is_held_to_the_list(shifting, tmp_path, target, message):
    def change(document):
        for node in document["graph_module"]["graph"]["nodes"]:
            for one in node["inputs"]:
                if one["arg"].get("as_operator"):
                    one["arg"]["as_operator"] = target

    model, path = shifting
    with pytest.raises((ModelLoadError, ModelRunError), match=message):
        run(zoo.with_program(path, tmp_path / "m.pt2", change), model.batch)
