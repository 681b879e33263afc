"""Rules over two runs: what is reported, where first, for which samples, and how bad it is."""

from dataclasses import replace

import numpy as np
import pytest
from zoo.snapshots import Run, normal

from kmr_cli.compare.compare import compare
from kmr_cli.config.policy import Policy
from kmr_cli.config.tolerance import Tolerance, Tolerances
from kmr_cli.records import InputSketch

A, B, C, Y = normal(4, 5, seed=1), normal(4, 6, 3, seed=2), normal(4, 7, 3, seed=3), normal(4, 2, seed=4)


def chain(a=A, b=B, c=C, y=Y, as_b=None):
    """Layers a, b, c and an output, outputs only."""
    return Run().add("a", a).add("b", b, **(as_b or {})).add("c", c).end(y)


def judged(now, before, *, whole=False, conversion=False, **options):
    values = (now.read(), before.read()) if whole else None
    return compare(now.snapshot(), before.snapshot(), values=values, conversion=conversion, **options)


def told(result):
    return [(finding.rule, finding.severity, finding.layer) for finding in result.findings]


def only(result):
    (finding,) = result.findings
    return finding


WHOLE = pytest.mark.parametrize("whole", [False, True], ids=["sketch", "whole"])


@WHOLE
def test_nothing_changed(whole):
    result = judged(chain(), chain(), whole=whole)
    assert (result.verdict, result.findings, result.inconclusive) == ("pass", (), ())
    assert (result.compared, result.by_path, result.by_order, result.exact) == (4, 3, 0, whole)
    assert result.layers == ("a", "b", "c")
    (output,) = result.outputs
    assert (output.name, output.agrees, output.size) == ("y", True, 0)


@WHOLE
def test_the_first_layer_is_named_and_what_follows_counted(whole):
    other = B.copy()
    other[2] += 1
    finding = only(judged(chain(b=other, c=C + 1, y=Y + 1), chain(), whole=whole))
    assert (finding.rule, finding.severity, finding.layer, finding.where) == ("KMR406", "error", "b", (2,))
    assert "in sample 2; also at 1 layer after it and in the outputs" in finding.message
    assert 0.3 < finding.size < 3
    assert finding.tolerance < 1e-3
    assert finding.exact == whole


@WHOLE
def test_a_change_that_is_undone_is_reported_as_such(whole):
    result = judged(chain(b=B + 1), chain(), whole=whole)
    assert result.verdict == "fail"
    assert "in every sample; at no other layer, and not in the outputs" in only(result).message
    assert result.outputs[0].agrees


@WHOLE
def test_a_change_of_nothing_but_the_outputs(whole):
    result = judged(chain(y=Y + 1), chain(), whole=whole)
    assert told(result) == [("KMR406", "error", "")]
    assert result.outputs[0].agrees is False


def test_samples_are_listed_in_ranges():
    value = normal(8, 5)
    other = value.copy()
    other[[0, 1, 2, 5, 7]] += 1
    finding = only(judged(Run(8).add("a", other).end(value), Run(8).add("a", value).end(value)))
    assert " in samples 0-2, 5, 7;" in finding.message


def test_a_group_of_samples_is_a_suspect_not_a_culprit():
    value = normal(20, 5)
    other = value.copy()
    other[7] += 1
    runs = Run(20).add("a", other).end(value), Run(20).add("a", value).end(value)
    assert " among samples 6-8;" in only(judged(*runs)).message
    assert " in sample 7;" in only(judged(*runs, whole=True)).message
    runs = Run(20).add("a", value + 1).end(value), Run(20).add("a", value).end(value)
    assert " in every group of samples;" in only(judged(*runs)).message


def test_a_batch_of_one_has_no_samples_to_name():
    value = normal(1, 5)
    finding = only(judged(Run(1).add("a", value + 1).end(value), Run(1).add("a", value).end(value)))
    assert "sample" not in finding.message


@WHOLE
def test_rounding_is_one_note(whole):
    factor = np.float32(1 + 3e-5)
    result = judged(chain(a=A * factor, y=Y * factor), chain(), whole=whole)
    assert result.verdict == "pass"
    assert (only(result).rule, only(result).severity) == ("KMR408", "note")
    assert "2 tensors differ within their tolerances" in only(result).message


@WHOLE
def test_the_note_tells_of_the_largest_difference_for_its_size(whole):
    result = judged(chain(a=A * np.float32(1 + 1e-5), b=B * np.float32(1 + 5e-5)), chain(), whole=whole)
    assert only(result).layer == "b"


def test_tolerances_decide():
    now, before = chain(a=A * np.float32(1.001)), chain()
    assert told(judged(now, before)) == [("KMR406", "error", "a")]
    loose = Tolerances(layers=(("a", Tolerance(rtol=0.01)),))
    assert told(judged(now, before, tolerances=loose)) == [("KMR408", "note", "a")]
    assert told(judged(now, before, tolerances=Tolerances(layers=(("b", Tolerance(rtol=0.01)),)))) == [
        ("KMR406", "error", "a")
    ]


@WHOLE
def test_shape(whole):
    result = judged(chain(b=normal(4, 6, 2), c=C + 1), chain(), whole=whole)
    assert told(result) == [("KMR403", "error", "b")]
    assert "shape (B, 6, 2) instead of (B, 6, 3); also at 1 layer after it" in only(result).message


@WHOLE
def test_order(whole):
    result = judged(chain(b=B[..., ::-1].copy(), c=C + 1, y=Y + 1), chain(), whole=whole)
    assert told(result) == [("KMR407", "error", "b")]
    assert "the same values in a different order in every sample" in only(result).message


@WHOLE
def test_dtype(whole):
    half = B.astype(np.float16)
    result = judged(chain(b=half), chain(b=half.astype(np.float32)), whole=whole)
    assert ("KMR404", "error", "b") in told(result)
    assert "float16 instead of float32" in result.findings[0].message
    assert {rule for rule, *_ in told(result)} <= {"KMR404", "KMR408"}


@WHOLE
def test_batch_axis(whole):
    moved = {"kind": "moved", "axis": 1, "owners": range(4)}
    result = judged(chain(b=np.moveaxis(B, 0, 1).copy(), as_b=moved), chain(), whole=whole)
    assert told(result) == [("KMR405", "error", "b")]
    assert "samples lie along axis 1; in the baseline they lie along axis 0" in only(result).message


@WHOLE
def test_samples_that_mix_now(whole):
    result = judged(chain(as_b={"kind": "mixed"}), chain(), whole=whole)
    assert told(result) == [("KMR405", "error", "b")]
    assert "samples are mixed with each other; in the baseline they lie along axis 0" in only(result).message


@WHOLE
def test_an_output_whose_batch_axis_moved_does_not_agree(whole):
    y = np.moveaxis(Y, 0, 1).copy()
    result = judged(Run().add("a", A).end(y, kind="moved", axis=1, owners=range(4)), Run().add("a", A).end(Y),
                    whole=whole, conversion=True)  # fmt: skip
    assert result.verdict == "fail"
    assert told(result) == [("KMR405", "error", "")]
    assert result.outputs[0].agrees is False


@pytest.mark.parametrize(
    ("now", "before", "severity"),
    [
        ("inconclusive", "separated", "warning"), ("inconclusive", "inconclusive", None),
        ("separated", "inconclusive", None),
        ("constant", "separated", None), ("routed", "separated", "error"), ("interleaved", "separated", "error"),
    ],
)  # fmt: skip
def test_what_is_not_verified_is_not_an_error(now, before, severity):
    runs = [Run().add("a", A).add("b", B, kind=kind).end(Y) for kind in (now, before)]
    result = judged(*runs, whole=True)
    assert told(result) == ([] if severity is None else [("KMR405", severity, "b")])


def test_an_axis_that_is_only_less_certain_is_not_a_finding():
    """Coarse values that a replaced sample left alone: nothing speaks against the place."""
    runs = [Run().add("a", A).add("b", B, kind=kind, axis=0, owners=range(4)).end(Y)
            for kind in ("inconclusive", "separated")]  # fmt: skip
    assert judged(*runs).findings == ()


# -- layers and interface ----------------------------------------------------------------------------------------


def test_added_and_removed():
    result = judged(chain(), Run().add("a", A).add("old", normal(4, 9)).add("c", C).end(Y))
    assert told(result) == [("KMR401", "error", "old"), ("KMR401", "error", "b")]
    assert [finding.message for finding in result.findings] == ["this layer was removed", "this layer was added"]


def test_a_container_stands_for_what_is_in_it():
    whole = Run().add("a", A).add("block/x", B).add("block/y", C).add("block", C).end(Y)
    result = judged(Run().add("a", A).end(Y), whole)
    assert told(result) == [("KMR401", "error", "block")]
    assert only(result).message == "this layer was removed, along with the 2 layers in it"


def test_renamed():
    result = judged(chain(), Run().add("a", A).add("old", B).add("c", C).end(Y))
    assert result.verdict == "pass"
    assert told(result) == [("KMR402", "warning", "b")]
    assert only(result).message == "this layer used to be 'old' (matched by order and shape)"
    assert (result.by_path, result.by_order) == (2, 1)


def test_a_renamed_container_is_one_finding():
    runs = [Run().add(f"{name}/x", B).add(f"{name}/y", C).add(name, C).end(Y) for name in ("new", "old")]
    assert told(judged(*runs)) == [("KMR402", "warning", "new")]


def test_a_renamed_layer_is_still_compared():
    result = judged(chain(b=B + 1), Run().add("a", A).add("old", B).add("c", C).end(Y))
    assert ("KMR406", "error", "b") in told(result)


def test_another_number_of_calls():
    twice = Run().add("a", A).add("a", A + 1, call=1).end(Y)
    assert told(judged(twice, Run().add("a", A).end(Y))) == [("KMR401", "error", "a")]
    assert only(judged(twice, Run().add("a", A).end(Y))).message == "it runs twice in a pass instead of once"


def test_the_call_is_named():
    runs = [Run().add("a", A).add("a", value, call=1).end(Y) for value in (A + 1, A)]
    assert (only(judged(*runs)).layer, only(judged(*runs)).call) == ("a", 1)


def test_interface():
    x, z = (InputSketch(name, (4, 3), "float32", "00000000") for name in "xz")
    now, before = chain().snapshot(inputs=(z,)), chain().snapshot(inputs=(x,))
    assert only(compare(now, before)).message == "input 'x' (B, 3) float32 is now 'z' (B, 3) float32"
    assert told(compare(now, before)) == [("KMR409", "error", "")]
    assert only(compare(replace(now, inputs=(x, z)), before)).message == "2 inputs instead of 1"
    other = chain().snapshot(outputs=("score",))
    assert only(compare(other, before)).message == "outputs 'y' are now 'score'"


def test_one_output_more():
    two = Run().add("a", A).end(Y).end(Y + 1, port="out1").snapshot(outputs=("y", "z"))
    one = Run().add("a", A).end(Y).snapshot()
    for now, before, message in ((two, one, "2 outputs instead of 1"), (one, two, "1 output instead of 2")):
        for conversion in (False, True):
            result = compare(now, before, conversion=conversion)
            assert (result.verdict, only(result).severity) == ("fail", "error")
            assert only(result).message == message


def test_two_frameworks_share_no_names():
    """Names of inputs, outputs and layers mean nothing, and one line says what has no counterpart."""
    now = chain().snapshot(format="torchscript", separator=".", outputs=("out0",),
                           inputs=(InputSketch("input", (4, 3), "float32", "00000000"),))  # fmt: skip
    before = Run().add("a", A).add("extra", normal(4, 11)).add("other", B).add("c", C).end(Y).snapshot()
    result = compare(now, before, conversion=True)
    assert result.verdict == "pass"
    assert told(result) == [("KMR401", "note", "extra")]
    assert only(result).message == "1 layer of the baseline has no counterpart: 'extra'"


# -- where it begins ---------------------------------------------------------------------------------------------


def two_branches(left=A, right=B, y=Y, sides=True):
    run = Run()
    for name, value in (("left", left), ("right", right)):
        if sides:
            run.add(name, normal(4, 3), port="in0")
        run.add(name, value)
    return run.end(y)


def test_both_ends_tell_every_layer_at_which_something_begins():
    result = judged(two_branches(A + 1, B + 1, Y + 1), two_branches())
    assert told(result) == [("KMR406", "error", "left"), ("KMR406", "error", "right")]


def test_outputs_alone_tell_the_first_only():
    result = judged(two_branches(A + 1, B + 1, Y + 1, sides=False), two_branches(sides=False))
    assert told(result) == [("KMR406", "error", "left")]


def test_a_layer_with_wrong_input_is_innocent():
    def run(shift):
        found = Run().add("a", A, port="in0").add("a", A + shift).add("b", A + shift, port="in0").add("b", B + shift)
        return found.end(Y + shift)

    assert told(judged(run(1), run(0))) == [("KMR406", "error", "a")]


def test_code_between_layers_is_not_reported_at_a_layer():
    def run(shift):
        return Run().add("a", A, port="in0").add("a", A).add("b", A + shift, port="in0").add("b", B + shift).end(Y)

    finding = only(judged(run(1), run(0)))
    assert (finding.layer, finding.port) == ("b", "in0")


# -- verdicts ----------------------------------------------------------------------------------------------------


def test_inside_another_model_that_agrees_nothing_is_an_error():
    now, before = chain(a=A + 1, b=normal(4, 6, 2), c=C[..., ::-1].copy()), chain()
    assert judged(now, before).verdict == "fail"
    result = judged(now, before, conversion=True)
    assert result.verdict == "pass"
    assert {severity for _, severity, _ in told(result)} == {"note"}


def test_another_dtype_of_outputs_that_agree_is_a_warning():
    half = Y.astype(np.float16)
    result = judged(chain(y=half), chain(y=half.astype(np.float32)), conversion=True)
    assert result.verdict == "pass"
    assert ("KMR404", "warning", "") in told(result)


def test_other_data_says_nothing_of_values():
    result = judged(chain(a=A + 1, y=Y + 1), chain(), same_data=False)
    assert (result.verdict, result.findings) == ("inconclusive", ())
    assert result.outputs[0].agrees is None
    assert result.inconclusive == ("the model's inputs differ from the baseline's, so values were not compared",)


def test_other_data_still_shows_other_shapes():
    assert told(judged(chain(b=normal(4, 6, 2)), chain(), same_data=False)) == [("KMR403", "error", "b")]


@WHOLE
def test_chance_at_the_outputs_is_inconclusive(whole):
    runs = [Run().add("a", A).add("b", value, random=True).end(value, random=True) for value in (B, B + 1)]
    result = judged(*runs, whole=whole)
    assert (result.verdict, result.findings, result.outputs[0].agrees) == ("inconclusive", (), None)
    assert result.inconclusive == (
        "output 'y' changes from run to run (from layer 'b' on), so its values were not compared",
    )


def test_chance_on_the_way_is_inconclusive():
    runs = [Run().add("a", A).add("b", value, random=True).end(Y) for value in (B, B + 1)]
    result = judged(*runs)
    assert result.verdict == "inconclusive"
    assert result.inconclusive == ("layer 'b' changes from run to run, so its values were not compared",)


def test_an_error_outweighs_what_is_inconclusive():
    runs = [Run().add("a", value).add("b", B, random=True).end(Y) for value in (A, A + 1)]
    assert judged(*runs).verdict == "fail"


def test_nothing_compared_is_inconclusive():
    result = compare(Run().add("a", A).snapshot(outputs=()), Run().add("a", A).snapshot(outputs=()))
    assert (result.verdict, result.inconclusive) == ("inconclusive", ("no output was compared",))


def test_policy():
    now, before = chain(a=A + 1), chain()
    assert judged(now, before, policy=Policy(ignore=("KMR406",))).findings == ()
    assert judged(now, before, policy=Policy(select=("KMR403",))).verdict == "pass"
    result = judged(now, before, policy=Policy(allow=("a",)))
    assert (result.verdict, only(result).allowed) == ("pass", True)


def test_the_unique_end_of_a_path_is_allowed():
    runs = [Run().add("tower/conv", value).add("tower/pool", B).end(Y) for value in (A + 1, A)]
    assert judged(*runs, policy=Policy(allow=("conv",))).verdict == "pass"
    assert judged(*runs, policy=Policy(allow=("pool",))).verdict == "fail"


def test_errors_come_first_then_the_order_of_the_layers():
    result = judged(
        Run().add("first", A).add("b", B + 1).add("c", C).end(Y), Run().add("was", A).add("b", B).add("c", C).end(Y)
    )
    assert told(result) == [("KMR406", "error", "b"), ("KMR402", "warning", "first")]


def test_added_and_removed_layers_stand_where_they_run():
    now = Run().add("a", A + 1, port="in0").add("a", A).add("new", normal(4, 9)).add("c", C + 1).end(Y)
    before = Run().add("a", A, port="in0").add("a", A).add("old", normal(4, 11)).add("c", C).end(Y)
    assert [finding.layer for finding in judged(now, before).findings] == ["a", "old", "new"]
    spec = InputSketch("z", (4, 3), "float32", "00000000")
    result = compare(chain(a=A + 1).snapshot(inputs=(spec,)), chain().snapshot())
    assert told(result) == [("KMR409", "error", ""), ("KMR406", "error", "a")]


def test_what_begins_elsewhere_is_not_counted_as_following():
    result = judged(two_branches(A + 1, B + 1), two_branches())
    assert ["; not in the outputs" in finding.message for finding in result.findings] == [True, True]
    result = judged(two_branches(A + 1, B + 1, Y + 1), two_branches())
    assert ["; also in the outputs" in finding.message for finding in result.findings] == [True, True]


@WHOLE
def test_text_and_numbers_that_are_none(whole):
    text, other = np.array([b"a"] * 4, object), np.array([b"a", b"b", b"a", b"a"], object)
    finding = only(judged(Run().end(other), Run().end(text), whole=whole))
    assert (finding.message, finding.size, finding.where) == ("other text in sample 1", None, (1,))
    nan = A.copy()
    nan[3, 1] = np.nan
    finding = only(judged(Run().end(nan), Run().end(A), whole=whole))
    assert finding.message == "NaN or Inf in different places in sample 3"


@pytest.mark.parametrize("port", ["out0.values", "out0.row_splits", "out1.int_repr"])
def test_ports_in_parts(port):
    result = judged(Run().add("a", A, port=port).end(Y, port=port), Run().add("a", A, port=port).end(Y, port=port))
    assert result.verdict == "pass"
    assert result.outputs[0].name.endswith("." + port.partition(".")[2])


# -- what counts -------------------------------------------------------------------------------------------------


def test_what_follows_an_allowed_layer_is_not_verified_by_outputs_alone():
    now, before = chain(b=B + 1, c=C + 1, y=Y + 1), chain()
    result = judged(now, before, policy=Policy(allow=("b",)))
    assert result.verdict == "inconclusive"
    assert [(finding.layer, finding.severity, finding.allowed) for finding in result.findings] == [
        ("b", "error", True), ("c", "warning", False)
    ]  # fmt: skip
    assert "layer 'b', which is allowed to differ" in result.findings[1].message
    assert result.inconclusive[0].startswith("layers or outputs after 'b', which is allowed to differ, differ too")


def test_a_change_before_the_allowed_layer_is_an_error():
    result = judged(chain(a=A + 1, b=B + 1), chain(), policy=Policy(allow=("b",)))
    assert (result.verdict, told(result)) == ("fail", [("KMR406", "error", "a")])


def test_an_output_that_an_allowed_layer_returns_may_differ():
    result = judged(chain(c=C + 1, y=C + 1), chain(y=C), policy=Policy(allow=("c",)))
    assert (result.verdict, result.inconclusive) == ("pass", ())
    assert judged(chain(c=C + 1, y=Y + 1), chain(), policy=Policy(allow=("c",))).verdict == "inconclusive"


def test_an_allowed_layer_hides_no_dtype():
    half = C.astype(np.float16)
    now, before = (Run().add("a", a).add("c", c).end(Y) for a, c in ((A.astype(np.float16), half), (A, C)))
    assert judged(now, before, policy=Policy(allow=("a",))).verdict == "inconclusive"
    assert ("KMR404", "warning", "c") in told(judged(now, before, policy=Policy(allow=("a",))))


def test_both_ends_tell_what_an_allowed_layer_does():
    result = judged(two_branches(A + 1, B + 1, Y), two_branches(), policy=Policy(allow=("left",)))
    assert result.verdict == "fail"
    assert [(finding.layer, finding.allowed) for finding in result.findings] == [("left", True), ("right", False)]
    assert judged(two_branches(A + 1, y=A + 1), two_branches(y=A), policy=Policy(allow=("left",))).verdict == "pass"
    assert (
        judged(two_branches(A + 1, y=Y + 1), two_branches(), policy=Policy(allow=("left",))).verdict == "inconclusive"
    )


def test_a_rule_that_does_not_count_hides_no_other():
    now, before = chain(b=B[..., ::-1].copy(), c=C + 1, y=Y + 1), chain()
    for policy in (Policy(select=("KMR406",)), Policy(ignore=("KMR407",))):
        result = judged(now, before, policy=policy)
        assert (result.verdict, told(result)) == ("fail", [("KMR406", "error", "c")])


# -- what sketches, chance and other data leave open -------------------------------------------------------------


def test_a_model_that_became_random_changed():
    now, before = (Run().add("a", A).add("b", B, random=random).add("c", C, random=random).end(Y, random=random)
                   for random in (True, False))  # fmt: skip
    for whole in (False, True):
        result = judged(now, before, whole=whole, conversion=whole)
        assert (result.verdict, told(result)) == ("fail", [("KMR406", "error", "b")])
        assert (
            "gives different values for the same batch from run to run, which it did not before" in only(result).message
        )
    assert judged(before, now).verdict == "inconclusive"


def test_layers_that_could_not_be_compared_are_not_listed_as_compared():
    runs = [Run().add("a", A).add("b", value, random=True).end(Y) for value in (B, B + 1)]
    assert judged(*runs).layers == ("a",)
    assert judged(chain(), chain(), same_data=False).layers == ()


@pytest.mark.parametrize("shape", [(4, 3), (4, 5)])
def test_other_inputs_are_a_finding_in_every_framework(shape):
    now = chain().snapshot(format="savedmodel", inputs=(InputSketch("args_0", shape, "float64", "00000000"),))
    result = compare(now, chain().snapshot(), same_data=False)
    assert (result.verdict, result.findings[0].rule) == ("fail", "KMR409")
    assert result.findings[0].message.startswith("input 'x' (B, 3) float32 is now 'args_0' (B, ")
    same = chain().snapshot(format="savedmodel", inputs=(InputSketch("args_0", (4, 3), "float32", "00000000"),))
    assert compare(same, chain().snapshot()).findings == ()


@pytest.mark.parametrize("number", [np.nan, -np.inf])
def test_nan_or_inf_that_moved(number):
    before = np.zeros((4, 50), np.float32)
    before[1, 3], before[1, 4], before[2, 5] = np.inf, number, number
    now = before.copy()
    now[1, 3], now[1, 4] = number, np.inf
    finding = only(judged(chain(y=now), chain(y=before)))
    assert finding.message == "NaN or Inf in different places in sample 1"
    finding = only(judged(chain(y=now), chain(y=before), whole=True))
    assert finding.message.startswith(
        ("NaN or Inf in different places in sample 1", "the same values in a different order in")
    )
    assert judged(chain(y=before), chain(y=before)).findings == ()


def test_outputs_that_one_side_sorts_as_text():
    values = [normal(4, 3, seed=number) for number in range(12)]
    ours, theirs = Run(), Run()
    by_text = sorted(range(12), key=str)
    for place in range(12):
        ours.end(values[by_text[place]], port=f"out{place}")
        theirs.end(values[place], port=f"out{place}")
    names = tuple(f"output_{number}" for number in by_text)
    now, before = ours.snapshot(format="savedmodel", outputs=names), theirs.snapshot(outputs=tuple("abcdefghijkl"))
    for one, other in ((now, before), (before, now), (now, now)):
        result = compare(one, other, conversion=True)
        assert (result.verdict, result.findings, len(result.outputs)) == ("pass", (), 12)
    shuffled = theirs.snapshot(outputs=names)  # in Keras the order is the model's own
    assert compare(shuffled, before, conversion=True).verdict == "pass"
    assert compare(replace(shuffled, format="savedmodel"), before, conversion=True).verdict == "fail"


def test_a_tensor_that_a_layer_no_longer_returns():
    two = Run().add("a", A).add("a", B, port="out1").end(Y)
    for now, before, message in (
        (Run().add("a", A).end(Y), two, "it takes and returns out0 instead of out0, out1"),
        (two, Run().add("a", A).end(Y), "it takes and returns out0, out1 instead of out0"),
    ):  # fmt: skip
        result = judged(now, before)
        assert (result.verdict, told(result)) == ("fail", [("KMR401", "error", "a")])
        assert only(result).message == message


def test_an_output_without_a_tensor():
    two = Run().add("a", A).end(Y).end(Y, port="out1").snapshot(outputs=("y", "z"))
    result = compare(Run().add("a", A).end(Y).snapshot(outputs=("y", "z")), two)
    assert (result.verdict, told(result)) == ("fail", [("KMR409", "error", "")])
    assert only(result).message == "output ports out0, out1 are now out0"


def test_what_follows_an_allowed_layer_is_a_note_where_the_outputs_agree():
    result = judged(chain(b=B + 1, c=C + 1), chain(), policy=Policy(allow=("b",)), conversion=True)
    assert (result.verdict, result.inconclusive) == ("pass", ())
    assert told(result) == [("KMR406", "note", "b"), ("KMR406", "note", "c")]


# -- matched with what -------------------------------------------------------------------------------------------


def test_a_finding_at_a_renamed_layer_names_the_baselines():
    result = judged(chain(b=B + 1), Run().add("a", A).add("old", B).add("c", C).end(Y))
    found = {finding.rule: finding.counterpart for finding in result.findings}
    assert found == {"KMR406": "old", "KMR402": None}
    assert only(judged(chain(b=B + 1), chain())).counterpart is None


def test_a_layer_without_counterpart_has_none_even_where_its_name_does():
    """The baseline's 'a' went, and what is 'a' now was 'z': nothing is said of 'z' at the removed layer."""
    now = Run().add("a", B).end(Y).snapshot(format="torchscript", separator=".")
    before = Run().add("a", normal(4, 11)).add("z", B).end(Y).snapshot()
    result = compare(now, before)
    assert [(match.layer, match.baseline_layer) for match in result.matched] == [("a", "z")]
    assert [finding.counterpart for finding in result.findings] == [None]


def test_what_was_matched_with_what():
    now = Run().add("a", A).add("b", B).add("b", B, call=1).end(Y)
    before = Run().add("a", A).add("old", B).add("old", B, call=1).end(Y)
    matched = judged(now, before).matched
    assert [(one.layer, one.call, one.baseline_layer, one.baseline_call, one.by) for one in matched] == [
        ("a", 0, "a", 0, "path"), ("b", 0, "old", 0, "order"), ("b", 1, "old", 1, "order"),
    ]  # fmt: skip


def test_patterns_that_fit_nothing_are_reported():
    given = Tolerances(layers=(("b", Tolerance(rtol=1.0)), ("y", Tolerance(rtol=1.0)), ("gone*", Tolerance(rtol=1.0))))
    result = judged(chain(), chain(), tolerances=given, policy=Policy(allow=("a", "none")))
    assert (result.unmatched_tolerances, result.unmatched) == (("gone*",), ("none",))


def test_a_tolerance_of_the_unique_end_of_a_path():
    runs = [Run().add("tower/conv", value).add("tower/conv_2", B).end(Y) for value in (A + 1, A)]
    loose = Tolerances(layers=(("conv", Tolerance(atol=2.0)),))
    assert judged(*runs, tolerances=loose).verdict == "pass"
    assert judged(*runs, tolerances=Tolerances(layers=(("conv_2", Tolerance(atol=2.0)),))).verdict == "fail"


@WHOLE
def test_an_output_of_nothing_but_nan_proves_nothing(whole):
    nothing = np.full_like(Y, np.nan)
    result = judged(chain(y=nothing), chain(y=nothing), whole=whole)
    assert (result.verdict, result.findings, result.outputs[0].agrees) == ("inconclusive", (), None)
    assert result.inconclusive == (
        "output 'y' holds nothing but NaN or Inf on both sides, so none of its values were compared",
    )
    one = nothing.copy()
    one[2, 1] = 1
    assert judged(chain(y=one), chain(y=one), whole=whole).verdict == "pass"
    assert told(judged(chain(y=nothing), chain(), whole=whole)) == [("KMR406", "error", "")]
    empty = np.zeros((4, 0), np.float32)
    assert judged(chain(y=empty), chain(y=empty), whole=whole).verdict == "pass"


def test_chance_everywhere_is_inconclusive():
    runs = [Run().add("a", A, random=True).add("b", B, random=True).end(value, random=True) for value in (Y, Y + 1)]
    result = judged(*runs)
    assert (result.verdict, result.findings) == ("inconclusive", ())
    assert len(result.inconclusive) == 1


# -- shapes, layouts, dtypes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("now", "before", "often"), [(1, 2, "once in a pass instead of twice"),
                                                      (2, 3, "twice in a pass instead of 3 times")])  # fmt: skip
def test_fewer_calls_than_before(now, before, often):
    runs = []
    for calls in (now, before):
        run = Run()
        for call in range(calls):
            run.add("a", A + call, call=call)
        runs.append(run.end(Y))
    finding = only(judged(*runs))
    assert (finding.rule, finding.severity, finding.message) == ("KMR401", "error", f"it runs {often}")


@WHOLE
def test_a_layer_that_became_random_has_no_axis_to_judge(whole):
    """What differs from run to run also looks as if samples lay elsewhere: one finding says it all."""
    now = chain(as_b={"kind": "mixed", "random": True})
    result = judged(now, chain(), whole=whole)
    assert told(result) == [("KMR406", "error", "b")]


@WHOLE
def test_an_axis_that_moved_with_the_shape_is_one_finding(whole):
    other = np.moveaxis(normal(4, 6, 2), 0, 1).copy()
    result = judged(chain(b=other, as_b={"kind": "moved", "axis": 1, "owners": range(4)}), chain(), whole=whole)
    assert told(result) == [("KMR403", "error", "b")]


def test_an_output_in_another_layout_does_not_agree():
    """Callers index it otherwise: that the values are the same bit for bit is not enough."""
    last = normal(4, 5, 6, 3)
    first = np.moveaxis(last, -1, 1).copy()
    now, before = Run().add("a", A).end(first), Run().add("a", A).end(last)
    values = (now.read(), before.read())
    there = before.snapshot(format="torchscript", separator=".")
    result = compare(now.snapshot(), there, values=values, conversion=True)
    assert result.outputs[0].agrees is False
    assert told(result) == [("KMR403", "warning", "")]
    assert only(result).message == (
        "shape (B, 3, 5, 6) instead of (B, 5, 6, 3) (the same axes in a different order; the values agree)"
    )


def test_the_wider_tolerance_of_two_dtypes_counts():
    """float32 against float16 of the same weights: what half precision loses isn't a change."""
    half = A * np.float32(1 + 3e-3)
    for now, before in ((A, half.astype(np.float16)), (half.astype(np.float16), A)):
        result = judged(chain(a=now), chain(a=before), conversion=True, whole=True)
        assert ("KMR408", "note", "a") in told(result)
        assert "KMR406" not in {rule for rule, *_ in told(result)}
    assert ("KMR406", "error", "a") in told(judged(chain(a=half), chain(), whole=True))


def test_few_elements_in_another_order_may_be_others_by_chance():
    """Four equal figures of four elements prove no order; of whole tensors every element does."""
    value = normal(4, 4)
    runs = Run().add("a", A).end(value[:, [1, 0, 3, 2]].copy()), Run().add("a", A).end(value)
    assert told(judged(*runs)) == [("KMR406", "error", "")]
    assert told(judged(*runs, whole=True)) == [("KMR407", "error", "")]
    value = normal(4, 16)
    runs = Run().add("a", A).end(value[:, ::-1].copy()), Run().add("a", A).end(value)
    assert told(judged(*runs)) == [("KMR407", "error", "")]
