"""Ragged inputs: fed as samples of different lengths, and packed into what the signature takes."""

import numpy as np
import pytest
import tensorflow as tf

from kmr_cli import open_model
from kmr_cli.errors import BatchError

RNG = np.random.default_rng(0)
STEPS = [RNG.standard_normal((count, 4)).astype("float32") for count in (3, 5, 1, 4, 2, 6)]
KERNEL = RNG.standard_normal((4, 3)).astype("float32")


def summed(steps):
    """The sum of every sample's own steps."""
    with tf.name_scope("each"):
        turned = steps.with_flat_values(tf.tanh(tf.matmul(steps.flat_values, KERNEL)))
    with tf.name_scope("sum"):
        return tf.reduce_sum(turned, axis=1)


def averaged(steps):
    """The mean over as many steps as the longest sample of the batch has."""
    with tf.name_scope("dense"):
        turned = steps.to_tensor()
    with tf.name_scope("mean"):
        return tf.reduce_mean(tf.tanh(turned), 1)


def centred(steps):
    """Less the mean of all steps of all samples."""
    with tf.name_scope("centre"):
        steps = steps.with_flat_values(steps.flat_values - tf.reduce_mean(steps.flat_values, 0))
    with tf.name_scope("sum"):
        return tf.reduce_sum(steps, axis=1)


def per_length(steps):
    """Over the mean length of all samples: nothing shows where they are of one length."""
    with tf.name_scope("divide"):
        return tf.reduce_sum(steps, axis=1) / tf.reduce_mean(tf.cast(steps.row_lengths(), tf.float32))


def step_by_step(steps):
    """A ragged result."""
    return steps.with_flat_values(tf.tanh(steps.flat_values))


class Module(tf.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    @tf.function(input_signature=[tf.RaggedTensorSpec((None, None, 4), tf.float32, 1)])
    def __call__(self, steps):
        return {"y": self.function(steps)}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The models by their function."""
    paths = {}
    for function in (summed, averaged, centred, per_length, step_by_step):
        module = Module(function)
        paths[function] = str(tmp_path_factory.mktemp(function.__name__))
        tf.saved_model.save(module, paths[function], signatures=module.__call__.get_concrete_function())
    return paths


def packed(rows):
    return tf.ragged.constant([row.tolist() for row in rows], inner_shape=(4,), dtype=tf.float32)


@pytest.mark.parametrize("function", [summed, averaged])
def test_the_values_are_those_of_the_function_on_a_ragged_tensor(saved, function):
    with open_model(saved[function], in_process=True) as model:
        assert [(spec.name, spec.shape) for spec in model.info.inputs] == [
            ("steps", (None, None, 4)),
            ("steps_lengths", (None,)),
        ]
        layer = "mean" if function is averaged else "sum"
        value = model.sample(layer, 1, {"steps": STEPS}, side="out")[-1].value
        np.testing.assert_array_equal(value, function(packed(STEPS)).numpy()[1])


@pytest.mark.parametrize(("function", "errors"), [(summed, set()), (averaged, {"mean"}), (centred, {"centre"})])
def test_samples_of_different_lengths_are_held_apart(saved, function, errors):
    with open_model(saved[function], in_process=True) as model:
        report = model.check_batch_axis({"steps": STEPS})
    assert {finding.layer for finding in report.findings if finding.severity == "error"} == errors, report.findings
    assert report.verdict == ("fail" if errors else "pass"), report.inconclusive
    assert not any("mask" in line for line in report.not_examined)


def test_other_ways_to_give_them(saved):
    splits = np.cumsum([0, *map(len, STEPS)])
    filled = np.zeros((6, 9, 4), "float32")
    for sample, row in enumerate(STEPS):
        filled[sample, : len(row)] = row
        filled[sample, len(row) :] = 99  # which no model ever sees
    ways = [
        {"steps": STEPS},
        STEPS,
        {"steps": np.concatenate(STEPS), "steps_1": splits},
        {"steps": filled, "steps_lengths": np.array([len(row) for row in STEPS])},
    ]
    with open_model(saved[summed], in_process=True) as model:
        values = [model.sample("sum", 3, data, side="out")[-1].value for data in ways]
        for value in values[1:]:
            np.testing.assert_array_equal(value, values[0])
        whole = model.sample("sum", 3, {"steps": filled}, side="out")[-1].value
        assert not np.array_equal(whole, values[0])
        with pytest.raises(BatchError, match="row splits do not fit the values"):
            model.sample("sum", 3, {"steps": np.concatenate(STEPS), "steps_1": splits[:-1]})
        with pytest.raises(BatchError, match="differ in more than their number of steps"):
            model.sample("sum", 3, {"steps": [np.ones((2, 4)), np.ones((3, 5))]})


def test_one_sample_of_the_values_in_a_row(saved):
    with open_model(saved[summed], in_process=True) as model:
        record = model.sample("each", 1, {"steps": STEPS}, side="out")[-1]
    np.testing.assert_allclose(record.value, np.tanh(STEPS[1] @ KERNEL), rtol=1e-5)


def test_made_up_samples_have_lengths(saved):
    with open_model(saved[summed], in_process=True) as model:
        assert model.check_batch_axis().verdict == "pass"
    with open_model(saved[averaged], in_process=True) as model:
        assert model.check_batch_axis().verdict == "fail"


def test_samples_of_one_length_leave_something_unexamined(saved):
    with open_model(saved[per_length], in_process=True) as model:
        report = model.check_batch_axis({"steps": RNG.standard_normal((6, 4, 4)).astype("float32")})
        assert report.verdict == "pass"
        assert [line for line in report.not_examined if line.startswith("masks: ")] == [
            "masks: samples of input 'steps' of different lengths (give some with --input)"
        ]
        assert model.check_batch_axis({"steps": STEPS}).verdict == "fail"


def test_a_ragged_answer_is_each_samples_row(saved):
    with open_model(saved[step_by_step], in_process=True) as model:
        report = model.check_batch_axis({"steps": STEPS})
    assert report.verdict == "pass"
    assert [finding.rule for finding in report.findings if finding.severity != "note"] == []
    answers = [tap for tap in report.taps if not tap.layer]
    assert [tap.index.owners for tap in answers] == [(sample,) * len(steps) for sample, steps in enumerate(STEPS)]
    assert any("the graph does not decide output" in line for line in report.not_examined)


def test_lengths_beyond_the_steps_are_refused(saved):
    filled = np.zeros((2, 3, 4), "float32")
    with open_model(saved[summed], in_process=True) as model:
        for wrong in (4, -1):
            with pytest.raises(BatchError, match=f"sample 1 is to have {wrong} steps, and input 'steps' holds 3"):
                model.sample("sum", 0, {"steps": filled, "steps_lengths": np.array([3, wrong])})
        with pytest.raises(BatchError, match="expected shape") as raised:
            model.sample("sum", 0, {"steps": np.concatenate(STEPS)})
        assert raised.value.hint.endswith("give their row splits too, as steps_row_splits")


class Several(tf.Module):
    """Text and numbers, both ragged, and one that is not; with row splits of 32 bits."""

    @tf.function(
        input_signature=[
            {
                "age": tf.TensorSpec((None, 1), tf.float32),
                "sizes": tf.RaggedTensorSpec((None, None), tf.float32, 1, tf.int32),
                "words": tf.RaggedTensorSpec((None, None), tf.string, 1, tf.int32),
            }
        ]
    )
    def __call__(self, given):
        with tf.name_scope("letters"):
            letters = given["words"].with_flat_values(
                tf.cast(tf.strings.length(given["words"].flat_values), tf.float32)
            )
        with tf.name_scope("sum"):
            sums = tf.reduce_sum(letters, 1) + tf.reduce_sum(given["sizes"], 1)
        return {"y": sums[:, None] + given["age"]}


def test_several_ragged_inputs_of_text_and_numbers(tmp_path):
    module = Several()
    tf.saved_model.save(module, str(tmp_path), signatures=module.__call__.get_concrete_function())
    with open_model(tmp_path, in_process=True) as model:
        names = [spec.name for spec in model.info.inputs]
        _, sizes, sizes_lengths, words, words_lengths = names
        assert (sizes_lengths, words_lengths) == (f"{sizes}_lengths", f"{words}_lengths")
        given = {
            names[0]: np.ones((3, 1), "float32"),
            sizes: [[1.0], [2.0, 3.0], [4.0]],
            words: [["a"], ["bcd", "ef", "g"], ["hi", "j"]],
        }
        value = model.sample("sum", 1, given, side="out")[-1].value
    assert value == 2 + 3 + 6
