"""Exported programs, run: equal to the eager model bit for bit, and what each layer gets and returns."""

import numpy as np
import pytest
import torch
from torch import nn
from zoo import exported as zoo

from kmr_cli.errors import ModelFileError, ModelLoadError
from kmr_cli.formats import exported
from kmr_cli.formats.common.plain_values import plain_values
from kmr_cli.formats.interface import OpenOptions, Taps

OPTIONS = OpenOptions()


def run(path, batch, **chosen):
    """(values by tap, outputs) of a fresh session."""
    info = exported.describe(path, OPTIONS)
    session = exported.open(path, OPTIONS)
    seen = {}
    taps = Taps(**{"layers": tuple(layer.path for layer in info.layers if not layer.untappable), **chosen})
    try:
        outputs = session.capture(batch, taps, lambda *tap: seen.update({tap[:3]: tap[3].copy()}))
    finally:
        session.close()
    return seen, outputs


def bits(arrays):
    return [(array.dtype.name, array.shape, array.tobytes()) for array in arrays]


@pytest.mark.parametrize("name", sorted(zoo.FAST_PATH))
def test_the_fused_kernel_of_transformers_rounds_otherwise(name):
    """The only exception, and its size: export does not record the fused kernel."""
    model = zoo.example(name)
    _, outputs = run(zoo.path_of(name), model.batch)
    for ours, theirs in zip(outputs.values(), model.bare(), strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-6)


def spy(name):
    return run(zoo.path_of(name), zoo.example(name).batch)


def test_what_a_module_gets_and_returns_though_it_is_written_over():
    """The in-place ReLU changes its input: what the convolution returned is what was there before."""
    model = zoo.example("in_place")
    seen, _ = spy("in_place")
    with torch.no_grad():
        conv = model.module.conv(model.arguments["x"])
    np.testing.assert_array_equal(seen["conv", 0, "out0"], conv.numpy())
    np.testing.assert_array_equal(seen["relu", 0, "in0"], conv.numpy())
    np.testing.assert_array_equal(seen["relu", 0, "out0"], conv.relu().numpy())
    assert (conv < 0).any()


def test_a_module_that_fills_what_it_returns():
    """The value that leaves is the filled tensor, not the zeros that it was made as."""
    seen, outputs = spy("filling")
    np.testing.assert_array_equal(seen["filled", 0, "out0"] * 2, outputs["out0"])
    assert seen["filled", 0, "out0"].any()


def test_every_tap_equals_what_forward_hooks_see():
    model = zoo.example("ResNet")
    expected = {}

    def hook(path):
        def note(module, given, result):
            call = len([key for key in expected if key[0] == path and key[2] == "out0"])
            expected[path, call, "out0"] = result.clone()

        return note

    handles = [module.register_forward_hook(hook(path)) for path, module in model.module.named_modules() if path]
    model.bare()
    for handle in handles:
        handle.remove()
    seen, _ = spy("ResNet")
    outs = {tap: value for tap, value in seen.items() if tap[2] == "out0"}
    assert outs.keys() == expected.keys()
    # A later in-place operation has changed what some hooks kept: they see the same memory that the module returned.
    for tap, value in outs.items():
        np.testing.assert_array_equal(value, expected[tap].numpy(), err_msg=str(tap))


def test_state_is_kept_from_pass_to_pass():
    """As in the model itself: what depends on it is for the check to report (KMR302)."""
    for name in zoo.STATEFUL:
        batch = zoo.example(name).batch
        session = exported.open(zoo.path_of(name), OPTIONS)
        first, second = (session.capture(batch, Taps(()))["out0"] for _ in range(2))
        np.testing.assert_allclose(second - first, 1, atol=1e-6)


def test_stopping_runs_nothing_after_the_last_value(monkeypatch):
    from kmr_cli.formats.exported.run.steps import Step

    ran = []
    whole = Step.run
    monkeypatch.setattr(Step, "run", lambda self, values: (ran.append(self.node.target), whole(self, values)))
    session = exported.open(zoo.path_of("ResNet"), OPTIONS)
    batch = zoo.example("ResNet").batch
    assert session.capture(batch, Taps(("stem.0",)), lambda *tap: None, stop=True) is None
    assert ran == ["torch.ops.aten.conv2d.default"]
    assert set(session._weights._loaded) == {"p_stem_0_weight", "p_stem_0_bias"}  # the others were not read


def test_other_batch_sizes_and_lengths():
    model = zoo.example("length")
    session = exported.open(zoo.path_of("length"), OPTIONS)
    batch = {"ids": zoo.tokens(5, 9, limit=13), "mask": np.ones((5, 9), bool)}
    with torch.no_grad():
        expected = model.module(**zoo.tensors(batch)).numpy()
    np.testing.assert_array_equal(session.capture(batch, Taps(()))["out0"], expected)


def test_older_layout_gives_the_same_bits(tmp_path):
    for name in ("tied", "sides", "phases"):
        path = zoo.as_before_2_8(zoo.example(name), tmp_path / f"{name}.pt2")
        _, outputs = run(path, zoo.example(name).batch)
        assert bits(outputs.values()) == bits(zoo.arrays(zoo.example(name).bare()))


def test_tied_weights_share_memory():
    session = exported.open(zoo.path_of("tied"), OPTIONS)
    one, other = session._weights["p_embed_weight"], session._weights["p_head_weight"]
    assert one.data_ptr() == other.data_ptr()


def test_a_program_that_torch_cannot_load(tmp_path):
    """Its arguments are of a class that this process has not registered, as in most exports of transformers."""

    def change(document):
        root = document["graph_module"]["module_call_graph"][0]["signature"]
        root["in_spec"] = root["in_spec"].replace("zoo.Pair", "nobody.knows.Pair")
        root["out_spec"] = root["out_spec"].replace("builtins.dict", "nobody.knows.Output")

    path = zoo.with_program(zoo.path_of("structures"), tmp_path / "m.pt2", change)
    with zoo.quiet(), pytest.raises(RuntimeError, match="deserializing"):
        torch.export.load(path)
    model = zoo.example("structures")
    numbers = {"pair.image": "pair.0", "pair.extra": "pair.1"}  # nobody tells the fields of that class
    _, outputs = run(path, {numbers.get(name, name): values for name, values in model.batch.items()})
    assert bits(outputs.values()) == bits(zoo.arrays(model.bare()))


def test_another_number_than_in_the_export():
    model = zoo.example("sides")
    session = exported.open(zoo.path_of("sides"), OpenOptions(constants=(("times", 3),)))
    with torch.no_grad():
        expected = model.module(**{**model.arguments, "times": 3})
    np.testing.assert_array_equal(session.capture(model.batch, Taps(()))["out0"], expected.numpy())
    session.close()
    for name, message in (("time", "no argument 'time' that is a number"), ("x", "no argument 'x'")):
        with pytest.raises(ModelLoadError, match=message) as caught:
            exported.open(zoo.path_of("sides"), OpenOptions(constants=((name, 3),)))
        assert caught.value.hint == "numbers are 'times'"


def test_one_of_several_programs(tmp_path):
    from torch.export.pt2_archive import _package

    path, batch = tmp_path / "m.pt2", {"input": zoo.normal(3, 4)}
    torch.manual_seed(0)
    modules = {name: torch.nn.Linear(4, width) for name, width in (("wide", 6), ("narrow", 2))}
    with zoo.quiet():
        given = (torch.ones(3, 4),)
        _package.package_pt2(
            path, exported_programs={name: torch.export.export(module, given) for name, module in modules.items()}
        )
    assert exported.describe(path, OPTIONS).notes == ("program narrow; also in the file: wide (--signature NAME)",)
    for name, module in modules.items():
        session = exported.open(path, OpenOptions(signature=name))
        with torch.no_grad():
            expected = module(torch.from_numpy(batch["input"])).numpy()
        np.testing.assert_array_equal(session.capture(batch, Taps(()))["out0"], expected)
    with pytest.raises(ModelFileError, match="no program 'other'") as caught:
        exported.describe(path, OpenOptions(signature="other"))
    assert caught.value.hint == "it holds narrow, wide"


class Counted(nn.Module):
    """Numbers beside tensors, one of them further inside."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, float, dict[str, tuple[torch.Tensor, float]]]:
        return x.tanh(), x.sum().item(), {"best": (x.amax(1), x.amax().item())}


def test_numbers_have_the_names_that_they_have_outside_of_a_file():
    module, x = Counted(), np.random.default_rng(0).standard_normal((5, 4)).astype("float32")
    _, outputs = run(zoo.saved(module, {"x": x}), {"x": x})
    wanted = {name: array for name, array, _ in plain_values(module(torch.from_numpy(x)), 0)}
    assert list(wanted) == ["value1", "value2.best.value1"]
    assert {name: outputs[name] for name in wanted} == wanted
