"""Sparse inputs: fed as dense arrays, of which what isn't zero is packed into what the signature takes."""

import json

import numpy as np
import pytest
import tensorflow as tf
from zoo.samples import command

from kmr_cli import open_model
from kmr_cli.errors import BatchError

RNG = np.random.default_rng(0)
WIDTH = 9
KERNEL = RNG.standard_normal((WIDTH, 3)).astype("float32")


def dense(counts=(2, 5, 1, 4, 3, 6), width=WIDTH):
    """Samples that hold so many values each."""
    array = np.zeros((len(counts), width), "float32")
    for sample, count in enumerate(counts):
        array[sample, RNG.choice(width, count, replace=False)] = RNG.standard_normal(count)
    return array


WORDS = dense()


def weighted(words):
    """A dense layer of each sample."""
    with tf.name_scope("product"):
        y = tf.sparse.sparse_dense_matmul(words, KERNEL)
    with tf.name_scope("turn"):
        return tf.tanh(y)


def rooted(words):
    """Each value by itself, as rows of all samples, then the sum of each sample."""
    with tf.name_scope("each"):
        words = words.with_values(tf.tanh(words.values * 2.0))
    with tf.name_scope("sum"):
        return tf.sparse.reduce_sum(words, axis=1, keepdims=True)


def centred(words):
    """Less the mean of all values of all samples."""
    with tf.name_scope("centre"):
        words = words.with_values(words.values - tf.reduce_mean(words.values))
    with tf.name_scope("product"):
        return tf.sparse.sparse_dense_matmul(words, KERNEL)


def by_column(words):
    """Less the mean of a column over the batch: a leak of places."""
    with tf.name_scope("there"):
        there = tf.cast(tf.not_equal(tf.sparse.to_dense(words), 0.0), tf.float32)
    with tf.name_scope("frequency"):
        return there - tf.reduce_mean(there, 0)


def per_value(words):
    """Over the number of values of the batch: nothing shows where all samples hold as many."""
    with tf.name_scope("product"):
        y = tf.sparse.sparse_dense_matmul(words, KERNEL)
    with tf.name_scope("divide"):
        return y / (tf.cast(tf.shape(words.values)[0], tf.float32) / tf.cast(tf.shape(y)[0], tf.float32))


def counted(words):
    """How many values each sample holds, which no replacement changes."""
    with tf.name_scope("count"):
        return tf.math.bincount(
            tf.cast(words.indices[:, 0], tf.int32), minlength=tf.cast(words.dense_shape[0], tf.int32)
        )


def listed(words):
    """The values of all samples: as rows, they'd seem to be samples."""
    return tf.tanh(words.values)


class Module(tf.Module):
    def __init__(self, function, spec):
        super().__init__()
        self.function = tf.function(lambda words: {"y": function(words)}, input_signature=[spec])


def save(function, path, spec=None):
    module = Module(function, spec or tf.SparseTensorSpec((None, WIDTH), tf.float32))
    tf.saved_model.save(module, str(path), signatures=module.function.get_concrete_function())
    return str(path)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The models by their function."""
    functions = (weighted, rooted, centred, by_column, per_value, counted, listed)
    return {one: save(one, tmp_path_factory.mktemp(one.__name__)) for one in functions}


def test_the_values_are_those_of_the_function_on_a_sparse_tensor(saved):
    with open_model(saved[weighted], in_process=True) as model:
        (spec,) = model.info.inputs
        assert (spec.name, spec.shape, spec.dtype, spec.sparse) == ("words", (None, WIDTH), "float32", True)
        value = model.sample("turn", 1, {"words": WORDS}, side="out")[-1].value
        np.testing.assert_array_equal(value, weighted(tf.sparse.from_dense(WORDS)).numpy()[1])


@pytest.mark.parametrize(
    ("function", "errors"),
    [(weighted, set()), (rooted, set()), (centred, {"centre"}), (by_column, {"frequency"}), (per_value, {"divide"})],
)
def test_what_reaches_other_samples_is_found_at_its_layer(saved, function, errors):
    with open_model(saved[function], in_process=True) as model:
        report = model.check_batch_axis({"words": WORDS})
    assert {finding.layer for finding in report.findings if finding.severity == "error"} == errors, report.findings
    assert report.verdict == ("fail" if errors else "pass"), report.inconclusive
    assert report.basis == "evidence"
    assert not any("mask" in line for line in report.not_examined)


def test_made_up_samples_hold_different_numbers_of_values(saved):
    for function, verdict in ((weighted, "pass"), (centred, "fail"), (per_value, "fail")):
        with open_model(saved[function], in_process=True) as model:
            assert model.check_batch_axis().verdict == verdict, function


def test_as_many_values_in_each_sample_leave_something_unexamined(saved):
    with open_model(saved[per_value], in_process=True) as model:
        report = model.check_batch_axis({"words": dense((3,) * 6)})
        assert report.verdict == "pass"
        assert [line for line in report.not_examined if line.startswith("masks: ")] == [
            "masks: samples of input 'words' with different numbers of values (give some with --input)"
        ]


def test_zeros_are_no_padding(saved):
    filled = np.where(
        np.arange(WIDTH) < np.array([2, 5, 1, 4, 3, 6])[:, None], RNG.standard_normal((6, WIDTH)), 0
    ).astype("float32")
    with open_model(saved[weighted], in_process=True) as model:
        report = model.check_batch_axis({"words": filled})
    assert report.verdict == "pass"
    assert not any("mask" in line for line in report.not_examined)


def test_one_sample_of_the_values_in_a_row(saved):
    with open_model(saved[rooted], in_process=True) as model:
        record = model.sample("each", 1, {"words": WORDS}, side="out")[-1]
    own = WORDS[1][WORDS[1] != 0]
    np.testing.assert_allclose(record.value, np.tanh(2 * own), rtol=1e-5)


def test_nothing_is_proven_of_what_comes_from_a_sparse_input(saved):
    for function in (weighted, centred, listed):
        with open_model(saved[function], in_process=True) as model:
            assert {claim.answer for claim in model.prove().outputs} == {"unknown"}


def test_numbers_of_values_are_not_said_to_be_constant(saved):
    with open_model(saved[counted], in_process=True) as model:
        report = model.check_batch_axis({"words": dense((3,) * 6)})
    assert report.verdict == "inconclusive"
    (finding,) = [finding for finding in report.findings if finding.rule == "KMR104"]
    assert finding.message.endswith("as long as each holds as many values")
    assert "each kept its number of values" in report.inconclusive[0]


def test_layers_shows_what_is_declared(saved):
    shown = " ".join(command(["layers", saved[weighted]]).stdout.split())
    assert f"input words (batch, {WIDTH}) sparse float32" in shown
    assert "input 'words' is a sparse tensor, 'words', 'words_1', 'words_2' in the signature: give a dense" in shown
    (given,) = json.loads(command(["layers", saved[weighted], "--format", "json"]).stdout)["inputs"]
    assert given["sparse"] is True
    assert given["shape"] == [None, WIDTH]


def test_a_snapshot_holds(saved, tmp_path):
    np.save(tmp_path / "words.npy", WORDS)
    given = ["--input", str(tmp_path / "words.npy")]
    snapshot = str(tmp_path / "taken.kmr.json")
    taken = command(["snapshot", saved[rooted], *given, "-o", snapshot])
    assert taken.returncode == 0, taken.stderr
    compared = command(["compare", saved[rooted], snapshot, *given])
    assert compared.returncode == 0, compared.stdout + compared.stderr


def test_an_unknown_width_is_given(tmp_path):
    path = save(weighted, tmp_path, tf.SparseTensorSpec(None, tf.float32))
    with open_model(path, in_process=True) as model:
        with pytest.raises(BatchError, match="does not declare the shape of input 'words'") as raised:
            model.check_batch_axis()
        assert "shape" in raised.value.hint
        assert model.check_batch_axis(shapes={"words": (WIDTH,)}).verdict == "pass"


class Matrix:
    """As those of SciPy, which NumPy takes for a single object."""

    def toarray(self):
        return WORDS


def test_a_sparse_matrix_is_taken_as_it_is(saved):
    with open_model(saved[weighted], in_process=True) as model:
        values = [
            model.sample("turn", 1, data, side="out")[-1].value for data in (WORDS, Matrix(), {"words": Matrix()})
        ]
    np.testing.assert_array_equal(values[1], values[0])
    np.testing.assert_array_equal(values[2], values[0])


def test_data_that_does_not_fit_is_refused_in_a_line(saved):
    with open_model(saved[weighted], in_process=True) as model:
        with pytest.raises(BatchError, match=r"expected shape \(batch, 9\), given \(2, 8\)"):
            model.sample("turn", 0, {"words": np.ones((2, 8), "float32")})
        with pytest.raises(BatchError, match="no data for input 'words'"):
            model.sample("turn", 0, {"words_1": np.ones(3, "float32"), "words_2": np.array([2, 9])})


def test_a_sample_that_no_dense_array_holds(tmp_path):
    path = save(lambda words: tf.sparse.reduce_sum(words, 1), tmp_path, tf.SparseTensorSpec((None, 2**40), tf.float32))
    with open_model(path, in_process=True) as model, pytest.raises(BatchError, match="too many for a dense") as raised:
        model.check_batch_axis()
    assert "narrower" in raised.value.hint


class Several(tf.Module):
    """Text, a tensor of rank 3, and one that is not sparse."""

    @tf.function(
        input_signature=[
            {
                "age": tf.TensorSpec((None, 1), tf.float32),
                "grid": tf.SparseTensorSpec((None, 3, 4), tf.float32),
                "tags": tf.SparseTensorSpec((None, None), tf.string),
            }
        ]
    )
    def __call__(self, given):
        tags = given["tags"]
        with tf.name_scope("letters"):
            letters = tags.with_values(tf.cast(tf.strings.length(tags.values), tf.float32))
        with tf.name_scope("sum"):
            sums = tf.sparse.reduce_sum(letters, 1, keepdims=True) + given["age"]
        with tf.name_scope("grid"):
            return {"y": sums + tf.sparse.reduce_sum(given["grid"], 2)}


def test_several_sparse_inputs_of_text_and_of_rank_3(tmp_path):
    module = Several()
    tf.saved_model.save(module, str(tmp_path), signatures=module.__call__.get_concrete_function())
    grid = RNG.standard_normal((3, 3, 4)).astype("float32") * (RNG.random((3, 3, 4)) < 0.5)
    with open_model(tmp_path, in_process=True) as model:
        assert [(spec.shape, spec.dtype, spec.sparse) for spec in model.info.inputs] == [
            ((None, 1), "float32", False),
            ((None, 3, 4), "float32", True),
            ((None, None), "string", True),
        ]
        age, squares, tags = (spec.name for spec in model.info.inputs)
        words = [["a", "", ""], ["", "bcd", "ef"], ["hi", "", ""]]
        given = {age: np.ones((3, 1), "float32"), squares: grid, tags: words}
        value = model.sample("grid", 1, given, side="out")[-1].value
        np.testing.assert_allclose(value, 1 + 5 + grid[1].sum(1), rtol=1e-5)
        assert model.check_batch_axis(given).verdict == "pass"
        assert model.check_batch_axis().verdict == "pass"


class InParts(tf.Module):
    """Three plain tensors, of which the model makes two sparse ones, as signatures of TensorFlow 1 mostly have them."""

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, 2), tf.int64, "ids_indices"),
            tf.TensorSpec((None,), tf.int64, "ids_values"),
            tf.TensorSpec((2,), tf.int64, "ids_dense_shape"),
            tf.TensorSpec((None, 2), tf.int64, "sizes_indices"),
            tf.TensorSpec((None,), tf.float32, "sizes_values"),
            tf.TensorSpec((2,), tf.int64, "sizes_dense_shape"),
        ]
    )
    def __call__(self, *parts):
        ids, sizes = (tf.sparse.reorder(tf.SparseTensor(*three)) for three in (parts[:3], parts[3:]))
        with tf.name_scope("embedded"):
            found = tf.nn.embedding_lookup_sparse(tf.reshape(tf.range(20.0), (10, 2)), ids, None, combiner="sum")
        return {"y": found + tf.sparse.reduce_sum(sizes, 1, keepdims=True)}


def test_plain_tensors_that_are_parts_of_sparse_ones_are_found_by_what_takes_them(tmp_path):
    module = InParts()
    tf.saved_model.save(module, str(tmp_path), signatures=module.__call__.get_concrete_function())
    with open_model(tmp_path, in_process=True) as model:
        assert [(spec.name, spec.shape, spec.dtype) for spec in model.info.inputs] == [
            ("ids", (None, None), "int64"),
            ("sizes", (None, None), "float32"),
        ]
        given = {"ids": np.array([[1, 0], [2, 3]]), "sizes": np.array([[1.0, 0, 2], [0, 3, 0]], "float32")}
        value = model.sample("embedded", 1, given, side="out")[-1].value
        np.testing.assert_array_equal(value, [4 + 6, 5 + 7])
        assert model.check_batch_axis().verdict == "pass"
