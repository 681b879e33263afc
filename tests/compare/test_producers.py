"""The layer that makes a difference is named, and not the one that takes what it made."""

import numpy as np
import pytest
from zoo.snapshots import Run, normal

from kmr_cli import open_model
from kmr_cli.api.compare import compare_models
from kmr_cli.compare.compare import compare
from kmr_cli.records import InputSketch

X, A, B, C, Y = normal(4, 3), normal(4, 5, seed=1), normal(4, 6, seed=2), normal(4, 7, seed=3), normal(4, 2, seed=4)


class Network(Run):
    """A run with what enters and what leaves each layer."""

    def layer(self, name, taken, value, *more):
        """A layer that takes a tensor, or several, and returns one, or several."""
        for number, array in enumerate(taken if isinstance(taken, tuple) else (taken,)):
            self.add(name, array, port=f"in{number}")
        for number, array in enumerate((value, *more)):
            self.add(name, array, port=f"out{number}")
        return self

    def ends(self, *values):
        for number, value in enumerate(values):
            self.end(value, port=f"out{number}")
        return self


def judged(now, before, **options):
    values = (now.read(), before.read())
    sides = {"sides": ("in", "out")}
    mine = now.snapshot(**sides | options.pop("as_now", {}))
    return compare(mine, before.snapshot(**sides | options.pop("as_before", {})), values=values, **options)


def both(now, before, **options):
    """With whole tensors and with sketches alone."""
    sides = {"sides": ("in", "out")}
    mine = now.snapshot(**sides | options.pop("as_now", {}))
    yours = before.snapshot(**sides | options.pop("as_before", {}))
    whole = compare(mine, yours, values=(now.read(), before.read()), **options)
    return whole, compare(mine, yours, **options)


def errors(result):
    return [(found.rule, found.layer, found.port) for found in result.findings if found.severity == "error"]


def message(result, rule):
    (found,) = (found for found in result.findings if found.rule == rule)
    return found.message


def normalized(conv=A, norm=B, y=Y):
    return Network().layer("conv", X, conv).layer("norm", conv, norm).layer("relu", norm, C).ends(y)


def fused(norm=B, after=C, y=Y):
    return Network().layer("_convolution", X, norm).layer("relu", norm, after).ends(y)


# -- one layer for several ---------------------------------------------------------------------------------------


def test_a_fused_layer_is_held_against_the_last_of_those_that_it_stands_for():
    for result in both(fused(), normalized(), conversion=True):
        assert (result.verdict, errors(result)) == ("pass", [])
        assert message(result, "KMR401") == (
            "it does the work of the baseline's 'conv' and 'norm', which are one layer here"
        )


def test_a_change_in_a_fused_layer_is_one_of_values_there_and_never_of_shapes():
    changed = B.copy()
    changed[:, 0] *= 1.01
    for result in both(fused(changed, C + 1, Y + 1), normalized(), conversion=True):
        assert errors(result) == [("KMR406", "_convolution", "out0")]
        assert "KMR403" not in {found.rule for found in result.findings}


def test_layers_that_were_one_before():
    for result in both(normalized(), fused(), conversion=True):
        assert (result.verdict, errors(result)) == ("pass", [])
    for result in both(normalized(norm=B * 1.01, y=Y + 1), fused(), conversion=True):
        assert errors(result) == [("KMR406", "norm", "out0")]


def test_a_fused_layer_in_a_snapshot_of_the_model_itself_is_an_error():
    for result in both(fused(), normalized()):
        assert (result.verdict, errors(result)) == ("fail", [("KMR401", "_convolution", "out0")])


def test_what_lacks_a_layer_is_not_called_fused():
    """The layer after it has its name, and takes something else."""
    now = Network().layer("conv", X, A).layer("relu", A, C + 1).ends(Y + 1)
    result = judged(now, normalized(), conversion=True)
    assert sorted(errors(result)) == [("KMR401", "norm", "out0"), ("KMR406", "relu", "out0")]
    assert "in the baseline 'norm' stands before it, without counterpart here" in message(result, "KMR406")


# -- what stands before a layer ----------------------------------------------------------------------------------


def wrapped(rounded, conv, y):
    return Network().layer("quantize", X, rounded).layer("conv", rounded, conv).ends(y)


PLAIN = Network().layer("conv", X, A).ends(Y)


def test_a_wrapper_that_rounds_what_enters_is_named():
    rounded = (np.round(X * 32) / 32).astype(np.float32)
    result = judged(wrapped(rounded, A + 0.01, Y + 0.01), PLAIN, conversion=True)
    assert [found for found in errors(result) if found[0] == "KMR406"] == [("KMR406", "quantize", "out0")]
    assert "it comes before the baseline's 'conv'" in message(result, "KMR406")
    assert "also at 1 layer after it and in the outputs" in message(result, "KMR406")


def test_a_wrapper_that_does_nothing_is_clean():
    result = judged(wrapped(X, A, Y), PLAIN, conversion=True)
    assert (result.verdict, errors(result)) == ("pass", [])


def test_a_layer_that_makes_something_else_is_not_held_against_what_it_replaces():
    """Its values have nothing to do with those: the layer behind it is named for its own output, and says why."""
    result = judged(wrapped(normal(4, 3, seed=9), A + 1, Y + 1), PLAIN, conversion=True)
    assert ("KMR406", "conv", "out0") in errors(result)
    assert "'quantize' stands before it, without counterpart in the baseline" in message(result, "KMR406")


def test_a_wrapper_of_the_baseline():
    rounded = (np.round(X * 32) / 32).astype(np.float32)
    result = judged(PLAIN, wrapped(rounded, A + 0.01, Y + 0.01), conversion=True)
    assert [found for found in errors(result) if found[0] == "KMR406"] == [("KMR406", "conv", "out0")]


def test_code_that_is_not_a_layer_is_reported_as_what_enters():
    def run(shift):
        return Network().layer("a", X, A).layer("b", A * 2 + shift, B + shift).ends(Y + shift)

    result = judged(run(1), run(0))
    assert errors(result) == [("KMR406", "b", "in0")]
    assert message(result, "KMR406").startswith("what enters it: off by at most 1 ")


def test_activations_that_are_layers_on_one_side_only():
    """``relu`` is a function in the model; what changed before it is not blamed on what comes after."""

    def run(shift, *, as_layer):
        found = Network().layer("a", X, A + shift)
        if as_layer:
            found.layer("act", A + shift, np.maximum(A + shift, 0))
        return found.layer("b", np.maximum(A + shift, 0), B + shift).ends(Y + shift)

    for mine in (False, True):
        result = judged(run(1, as_layer=mine), run(0, as_layer=not mine), conversion=True)
        assert [found for found in errors(result) if found[0] == "KMR406"] == [("KMR406", "a", "out0")], mine
        clean = judged(run(0, as_layer=mine), run(0, as_layer=not mine), conversion=True)
        assert (clean.verdict, errors(clean)) == ("pass", [])


def test_a_layer_that_is_fed_by_another_one():
    def run(*taken, shift=0.0):
        return (
            Network().layer("left", X, A).layer("right", X, A[::-1] * 2).layer("add", taken, B + shift).ends(Y + shift)
        )

    result = judged(run(A[::-1] * 2, A, shift=1.0), run(A, A[::-1] * 2))
    assert errors(result) == [("KMR406", "add", "out0")]
    assert "its in0 comes from 'right', in the baseline from 'left'" in message(result, "KMR406")


# -- precision ---------------------------------------------------------------------------------------------------


def mixed(dtype, *, head=0.0):
    """A block of another precision, which casts what enters it, before a head of full precision."""
    x, inside = X.astype(dtype), A.astype(dtype)
    found = Network().add("block", x, port="in0").layer("block/dense", x, inside).add("block", inside)
    return found.layer("head", inside.astype(np.float32), B + np.float32(head)).ends(Y + np.float32(head))


def test_the_layer_with_another_precision_is_named_and_not_its_container():
    result = judged(mixed(np.float16), mixed(np.float32), conversion=True)
    assert [(found.rule, found.layer, found.port) for found in result.findings if found.rule != "KMR408"] == [
        ("KMR404", "block/dense", "out0")
    ]


def test_what_rounding_makes_of_later_layers_is_their_own_and_says_what_enters():
    result = judged(mixed(np.float16, head=1e-3), mixed(np.float32), conversion=True)
    assert [found for found in errors(result) if found[0] == "KMR406"] == [("KMR406", "head", "out0")]
    assert "what enters it is off by" in message(result, "KMR406")


def test_a_layer_that_computes_with_another_precision_inside():
    def run(dtype):
        return Network().layer("a", X.astype(dtype), A).ends(Y)

    result = judged(run(np.float16), run(np.float32))
    assert errors(result) == [("KMR404", "a", "in0")]
    assert "it takes float16 instead of float32" in message(result, "KMR404")


# -- order -------------------------------------------------------------------------------------------------------


def outputs(*values, names=("p", "q", "r")):
    return Network().layer("a", X, A).ends(*values), {"outputs": names[: len(values)]}


P, Q, R = normal(4, 2, seed=5), normal(4, 2, seed=6), normal(4, 2, seed=7)


def test_outputs_in_another_order():
    (now, as_now), (before, as_before) = outputs(Q, R, P), outputs(P, Q, R, names=("one", "two", "three"))
    for result in both(now, before, as_now=as_now, as_before=as_before | {"format": "savedmodel"}, conversion=True):
        assert (result.verdict, errors(result)) == ("fail", [("KMR409", "", "out0")])
        assert message(result, "KMR409") == (
            "the same outputs in a different order: 'p' is the baseline's 'two', 'q' is the baseline's 'three',"
            " 'r' is the baseline's 'one'"
        )
        assert [output.agrees for output in result.outputs] == [False] * 3


def test_two_of_three_outputs_changed_places_and_the_third_changed():
    (now, as_now), (before, as_before) = outputs(Q, P, R + 1), outputs(P, Q, R)
    for result in both(now, before, as_now=as_now, as_before=as_before):
        assert sorted(errors(result)) == [("KMR406", "", "out2"), ("KMR409", "", "out0")]


def test_an_output_that_holds_anothers_twice_is_not_another_order():
    (now, as_now), (before, as_before) = outputs(Q, Q), outputs(P, Q)
    for result in both(now, before, as_now=as_now, as_before=as_before):
        assert errors(result) == [("KMR406", "", "out0")]


def test_outputs_of_the_same_names_are_compared_by_name():
    (now, as_now), (before, as_before) = outputs(Q, P, names=("q", "p")), outputs(P, Q)
    result = judged(now, before, as_now=as_now | {"format": "savedmodel"}, as_before=as_before, conversion=True)
    assert (result.verdict, errors(result)) == ("pass", [])
    assert all(output.agrees for output in result.outputs)
    changed, _ = outputs(Q + 1, P, names=("q", "p"))
    result = judged(changed, before, as_now=as_now | {"format": "savedmodel"}, as_before=as_before, conversion=True)
    assert [output.agrees for output in result.outputs] == [False, True]


def test_names_in_another_order_break_callers_that_go_by_the_place():
    (now, as_now), (before, as_before) = outputs(Q, P, names=("q", "p")), outputs(P, Q)
    for options in ({}, {"conversion": True}):
        result = judged(now, before, as_now=as_now, as_before=as_before, **options)
        assert (result.verdict, errors(result)) == ("fail", [("KMR409", "", "out0")])
        assert message(result, "KMR409") == "outputs 'p', 'q' are now 'q', 'p': the same names in a different order"


def test_outputs_of_a_layer_in_another_order():
    """The state and the output of a recurrent layer, say."""

    def run(first, second):
        return Network().layer("lstm", X, first, second).layer("head", A, C).ends(Y)

    for result in both(run(Q, P), run(P, Q)):
        assert errors(result) == [("KMR407", "lstm", "out0")]
        assert message(result, "KMR407") == (
            "the same outputs in a different order: out0 is out1 of the baseline, out1 is out0 of the baseline"
        )


def test_samples_in_another_order():
    def run(rows):
        return Network().layer("a", X, A).layer("b", A, B[rows]).ends(Y[rows])

    for result in both(run([1, 0, 2, 3]), run([0, 1, 2, 3])):
        assert errors(result) == [("KMR406", "b", "out0")]
        assert "the same rows in a different order in samples 0, 1" in message(result, "KMR406")


@pytest.mark.parametrize("rename", [False, True])
def test_nothing_changed(rename):
    spec = InputSketch("z" if rename else "x", (4, 3), "float32", "00000000")
    for result in both(normalized(), normalized(), as_now={"inputs": (spec,)}, conversion=True):
        assert (result.verdict, errors(result)) == ("pass", [])
        assert all(output.agrees for output in result.outputs)


# -- a frozen model, and an ONNX file, whose normalizations were folded ------------------------------------------------


@pytest.fixture(scope="module")
def folded(tmp_path_factory):
    """Models of two convolutions with normalization, of which one filter of the second was changed, and by how much."""
    torch = pytest.importorskip("torch")
    from zoo.torchscript import quietly, trace

    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, before, after):
            super().__init__()
            self.conv, self.bn, self.act = nn.Conv2d(before, after, 3), nn.BatchNorm2d(after), nn.ReLU6()
            self.bn.running_mean.normal_()
            self.bn.running_var.uniform_(0.5, 2)

        def forward(self, x):
            return self.act(self.bn(self.conv(x)))

    torch.manual_seed(7)
    folder = tmp_path_factory.mktemp("folded")
    module, x = nn.Sequential(Block(3, 4), Block(4, 5), nn.Conv2d(5, 2, 1)).eval(), torch.randn(4, 3, 9, 9)
    seen = []
    module[1].bn.register_forward_hook(lambda _module, _given, value: seen.append(value))
    trace(module, x).save(str(folder / "model.pt"))
    kernel = module[1].conv.weight.detach().clone()
    moved = {}
    for factor in (1.0, 1.01, 1.5, -3.0, 0.0):
        with torch.no_grad():
            module[1].conv.weight.copy_(kernel)
            module[1].conv.weight[0] *= factor
            module(x)
        moved[factor] = float((seen[-1] - next(value for value in seen if not value.requires_grad)).abs().max())
        quietly(torch.jit.freeze, trace(module, x)).save(str(folder / f"{factor}.pt"))
        quietly(
            torch.onnx.export, module, (x,), str(folder / f"{factor}.onnx"), dynamo=False, input_names=["input"],
            dynamic_axes={"input": {0: "batch"}},
        )  # fmt: skip
    return folder, {"input": x.numpy()}, moved


@pytest.mark.parametrize("factor", [1.01, 1.5, -3.0, 0.0])
@pytest.mark.parametrize("suffix", ["pt", "onnx"])
@pytest.mark.parametrize("back", [False, True])
def test_one_changed_filter_of_a_folded_layer_is_measured_there(folded, factor, suffix, back):
    folder, batch, moved = folded
    pair = [folder / f"{factor}.{suffix}", folder / "model.pt"]
    now, before = pair[::-1] if back else pair
    with open_model(now, in_process=True) as model, open_model(before, in_process=True) as baseline:
        result = compare_models(model, baseline, batch)
    found = [one for one in result.findings if one.severity == "error"]
    assert [one.rule for one in found] == ["KMR406"], result.findings
    assert "1.bn" in (found[0].layer, found[0].counterpart)
    assert 0.4 * moved[factor] <= found[0].size <= 1.01 * moved[factor]


@pytest.mark.parametrize("suffix", ["pt", "onnx"])
def test_where_nothing_changed_folding_is_a_note(folded, suffix):
    folder, batch, _ = folded
    now, before = folder / f"1.0.{suffix}", folder / "model.pt"
    with open_model(now, in_process=True) as model, open_model(before, in_process=True) as baseline:
        result = compare_models(model, baseline, batch)
    assert result.verdict == "pass"
    assert {one.severity for one in result.findings} <= {"note"}
