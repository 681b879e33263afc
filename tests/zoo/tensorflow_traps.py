"""Traced functions that broke first versions of the proof, each kind with a twin that is clean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from zoo.tensorflow_graphs import Traced

FLAT, STEPS, IMAGES = (12,), (5, 4), (6, 6, 3)
CASES: dict[str, tuple[Callable[..., Any], tuple[int | None, ...], str, str]] = {}


def case(answer: str, *, at: str = "", shape: tuple[int | None, ...] = FLAT) -> Callable[..., Any]:
    """A model whose output ``answer`` is claimed of; ``at`` is the operation that must be blamed."""

    def note(build: Callable[..., Any]) -> Callable[..., Any]:
        CASES[build.__name__] = (build, shape, answer, at)
        return build

    return note


def new(name: str) -> Traced:
    """The model, traced."""
    build, shape, _, _ = CASES[name]
    return Traced(build, {"x": (shape, "float32")})


def _batch(x):
    return tf.shape(x)[0]


# Reductions and products


@case("meet", at="Mean")
def mean_of_the_batch(x):
    return x - tf.reduce_mean(x, 0)


@case("proven")
def mean_of_the_features(x):
    return x - tf.reduce_mean(x, 1, keepdims=True)


@case("proven")
def a_sum_over_no_axis(x):
    return tf.raw_ops.Sum(input=x, axis=tf.zeros((0,), tf.int32))


@case("meet", at="MatMul")
def weights_by_place(x):
    return tf.linalg.band_part(tf.ones((_batch(x), _batch(x))), -1, 0) @ x


@case("meet", at="MatMul")
def similarities_of_samples(x):
    return tf.linalg.diag_part(x @ tf.transpose(x))


@case("meet", at="AddV2")
def rows_and_columns(x):
    return x * tf.reduce_sum(x[:, 0] + x[:, 1:2], 1, keepdims=True)


@case("meet", at="FFT2D")
def a_transform_over_samples(x):
    return tf.math.real(tf.signal.fft2d(tf.cast(x, tf.complex64)))


@case("meet", at="FusedBatchNormV3")
def batch_statistics(x):
    return tf.compat.v1.nn.fused_batch_norm(x[:, None, None, :], tf.ones(12), tf.zeros(12), is_training=True)[0]


@case("proven")
def stored_statistics(x):
    y = x[:, None, None, :]
    ones, zeros = tf.ones(12), tf.zeros(12)
    return tf.compat.v1.nn.fused_batch_norm(y, ones, zeros, zeros, ones, is_training=False)[0]


@case("proven", shape=STEPS)
def a_layer_normalized_by_batch_statistics(x):
    """Every channel is a step of a sample: Keras 2 writes layer normalization so."""
    y = tf.reshape(x, (1, -1, 4, 1))
    many = tf.shape(y)[1:2]
    made = tf.compat.v1.nn.fused_batch_norm(y, tf.fill(many, 1.0), tf.fill(many, 0.0), data_format="NCHW")[0]
    return tf.reshape(made, tf.shape(x))


@case("meet", at="Min")
def one_scale_for_all(x):
    return tf.quantization.fake_quant_with_min_max_vars(x, tf.reduce_min(x), tf.reduce_max(x))


@case("meet", at="QuantizeAndDequantizeV4")
def a_range_taken_from_all(x):
    return tf.quantization.quantize_and_dequantize_v2(x, -1.0, 1.0, range_given=False)


@case("proven")
def a_range_that_is_given(x):
    return tf.quantization.quantize_and_dequantize_v2(x, -1.0, 1.0, range_given=True)


# Places and numbers of samples


@case("count")
def divided_by_the_number(x):
    return x / tf.cast(_batch(x), tf.float32)


@case("place")
def a_number_for_every_row(x):
    return x + tf.cast(tf.range(_batch(x)), tf.float32)[:, None]


@case("proven")
def a_number_for_every_feature(x):
    return x + tf.cast(tf.range(tf.shape(x)[1]), tf.float32)


@case("meet", at="StridedSlice")
def two_halves(x):
    return tf.concat([x[: tf.minimum(_batch(x), 16)], x[16:] * tf.reduce_mean(x)], 0)


@case("meet", at="StridedSlice")
def rows_moved_up(x):
    return tf.concat([x[1:], x[:1]], 0)


@case("unknown")
def rows_backwards(x):
    return tf.gather(x, tf.range(_batch(x))[::-1])


@case("proven")
def rows_in_order(x):
    return tf.gather(x, tf.range(_batch(x)))


@case("unknown")
def rows_by_a_clipped_number(x):
    return tf.gather(x, tf.minimum(tf.range(_batch(x)), 15))


@case("unknown")
def rows_by_a_number_of_few_bits(x):
    """Beyond 256 not every number is one of this dtype."""
    return tf.gather(x, tf.cast(tf.cast(tf.range(_batch(x)), tf.bfloat16), tf.int32))


@case("meet", at="Mean")
def otherwise_in_large_batches(x):
    return tf.cond(_batch(x) > 100, lambda: x - tf.reduce_mean(x, 0), lambda: x)


@case("count")
def another_way_in_large_batches(x):
    return tf.cond(_batch(x) > 100, lambda: x * 2.0, lambda: x)


@case("proven")
def a_branch_that_sizes_decide(x):
    return tf.cond(tf.shape(x)[1] > 100, lambda: x - tf.reduce_mean(x, 0), lambda: x)


# Reshapes


@case("meet", at="Reshape")
def back_from_another_order(x):
    return tf.reshape(tf.transpose(x), tf.shape(x))


@case("proven")
def there_and_back(x):
    return tf.reshape(tf.transpose(tf.reshape(x, (-1, 3, 4)), (1, 0, 2)), (3, -1, 4))[0]


@case("meet", at="Reshape")
def rows_torn(x):
    return tf.reshape(tf.transpose(tf.reshape(x, (-1, 3, 4)), (1, 0, 2)), (-1, 12))


@case("unknown")
def rounds_of_sixteen(x):
    return tf.reshape(tf.cumsum(tf.reshape(x, (-1, tf.maximum(_batch(x) // 16, 1), 12)), 1), (-1, 12))


@case("meet", at="TopKV2")
def sorted_flat(x):
    return tf.reshape(tf.sort(tf.reshape(x, (-1,))), (-1, 12))


@case("meet", at="Conv2D")
def a_convolution_over_all(x):
    return tf.reshape(tf.nn.conv1d(tf.reshape(x, (1, -1, 4)), tf.ones((3, 4, 4)), 1, "SAME"), (-1, 12))


@case("proven", shape=IMAGES)
def blocks_of_space(x):
    y = tf.space_to_batch(x, [2, 2], [[0, 0], [0, 0]])
    return tf.batch_to_space(tf.nn.relu(y), [2, 2], [[0, 0], [0, 0]])


@case("meet", at="BatchToSpaceND", shape=IMAGES)
def samples_for_blocks(x):
    return tf.raw_ops.BatchToSpaceND(input=tf.tile(x, [2, 1, 1, 1]), block_shape=[4], crops=[[0, 0]])


# Rows picked, counted and written by content


@case("meet", at="Max")
def as_long_as_the_longest(x):
    lengths = tf.cast(tf.abs(x[:, 0]) * 3, tf.int32) + 1
    return tf.reduce_sum(tf.sequence_mask(lengths, dtype=tf.float32), 1, keepdims=True) * x


@case("unknown")
def rows_with_something(x):
    return tf.reshape(tf.boolean_mask(x, x[:, 0] > -9e9), (-1, 12))


@case("unknown")
def different_values(x):
    return tf.reshape(tf.unique(tf.reshape(x, (-1,)))[0], (-1, 12))


@case("meet", at="UnsortedSegmentSum")
def sums_of_kinds(x):
    kind = tf.cast(x[:, 0] > 0, tf.int32)
    return tf.gather(tf.math.unsorted_segment_sum(x, kind, 2), kind)


@case("meet", at="StridedSlice")
def the_last_row_written_to_the_first(x):
    return tf.tensor_scatter_nd_update(x, [[0]], x[-1:])


@case("unknown")
def code_of_python(x):
    return tf.reshape(tf.numpy_function(lambda a: a - a.mean(0), [x], tf.float32), (-1, 12))


@case("unknown")
def shuffled(x):
    return tf.random.shuffle(x)


@case("proven")
def a_bound_that_is_never_reached(x):
    """How many kinds there are is at most what it is at least."""
    ids = tf.cast(tf.abs(x) * 3, tf.int32)
    return tf.cast(tf.math.bincount(ids, minlength=5, maxlength=5, axis=-1), tf.float32)


# Loops


@case("meet", at="Any")
def until_all_are_small(x):
    return tf.while_loop(lambda y: tf.reduce_any(tf.abs(y) > 0.5), lambda y: (y * 0.5,), (x,))[0]


@case("proven")
def three_rounds(x):
    return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, tf.tanh(y + x)), (0, tf.zeros_like(x)))[1]


@case("meet", at="Mean")
def a_branch_in_a_late_round(x):
    def step(i, h):
        return i + 1, tf.cond(i > 2, lambda: h - tf.reduce_mean(h, 0), lambda: h * 0.5)

    return tf.while_loop(lambda i, h: i < 4, step, (0, x))[1]


@case("unknown")
def other_rows_in_every_round(x):
    def step(i, h):
        return i + 1, h + tf.gather(x, tf.range(_batch(x)) * (1 - i) % _batch(x))

    return tf.while_loop(lambda i, h: i < 4, step, (0, x))[1]


@case("unknown")
def two_that_change_hands(x):
    return tf.while_loop(lambda i, a, b: i < 3, lambda i, a, b: (i + 1, b, tf.reverse(a, [0])), (0, x, x))[1]


@case("unknown")
def a_size_that_follows_the_round(x):
    def step(i, h):
        return i + 1, h + tf.reduce_mean(tf.reshape(x, tf.stack([-1, (i % 2 + 1) * 12])))

    return tf.while_loop(lambda i, h: i < 4, step, (0, x))[1]


@case("meet", at="Mean")
def as_many_rounds_as_sixteens(x):
    return tf.while_loop(lambda i, y: i < _batch(x) // 16, lambda i, y: (i + 1, y - tf.reduce_mean(y, 0)), (0, x))[1]


@case("count")
def as_many_rounds_as_samples(x):
    return tf.while_loop(lambda i, y: i < _batch(x), lambda i, y: (i + 1, y * 0.5), (0, x))[1]


@case("proven")
def every_row_on_its_own(x):
    return tf.map_fn(lambda row: row * tf.reduce_sum(row), x)


@case("proven")
def every_row_with_a_branch_of_its_own(x):
    return tf.map_fn(lambda row: tf.cond(tf.reduce_mean(row) > 0, lambda: row * 2.0, lambda: tf.zeros_like(row)), x)


@case("proven", shape=STEPS)
def every_row_with_a_loop_of_its_own(x):
    def of_row(row):
        steps = tf.cast(tf.abs(row[0, 0]) * 3, tf.int32)
        return tf.while_loop(lambda i, h: i < steps, lambda i, h: (i + 1, h + row), (0, tf.zeros_like(row)))[1]

    return tf.map_fn(of_row, x)


@case("proven")
def every_row_by_vectorized_map(x):
    return tf.vectorized_map(lambda row: row / (1.0 + tf.reduce_sum(row * row)), x)


@case("meet", at="Mean")
def every_row_less_the_mean_of_all(x):
    return tf.map_fn(lambda row: row - tf.reduce_mean(x, 0), x)


@case("place")
def every_row_with_its_number(x):
    pairs = (x, tf.range(_batch(x)))
    return tf.map_fn(lambda pair: pair[0] * tf.cast(pair[1], tf.float32), pairs, fn_output_signature=tf.float32)


@case("meet")
def each_row_with_those_before(x):
    return tf.scan(lambda carried, row: carried * 0.5 + row, x, initializer=tf.zeros(12))


@case("proven", shape=STEPS)
def each_step_with_those_before(x):
    turned = tf.transpose(x, (1, 0, 2))
    return tf.transpose(tf.scan(lambda carried, row: carried * 0.5 + row, turned, tf.zeros_like(turned[0])), (1, 0, 2))


@case("unknown")
def the_next_row(x):
    many = _batch(x)
    made = tf.map_fn(lambda i: x[i] + x[(i + 1) % many], tf.range(many), fn_output_signature=tf.float32)
    return tf.reshape(made, (-1, 12))


def _rows_written(x, place):
    rows = tf.TensorArray(tf.float32, _batch(x), element_shape=(12,))

    def step(i, found):
        return i + 1, found.write(place(i), x[i])

    return tf.while_loop(lambda i, found: i < _batch(x), step, (0, rows))[1].stack()


@case("proven")
def rows_written_one_by_one(x):
    return _rows_written(x, lambda i: i)


@case("unknown")
def rows_written_from_the_end(x):
    return _rows_written(x, lambda i: _batch(x) - 1 - i)


@case("count")
def one_place_written_in_every_round(x):
    rows = tf.TensorArray(tf.float32, _batch(x), element_shape=())

    def step(i, found):
        return i + 1, found.write(0, tf.cast(i, tf.float32))

    return x + tf.while_loop(lambda i, _: i < _batch(x), step, (0, rows))[1].stack()[:, None]


@case("count")
def a_list_made_anew_in_every_round(x):
    def step(i, _):
        rows = tf.raw_ops.TensorListReserve(
            element_shape=tf.constant([12]), num_elements=_batch(x), element_dtype=tf.float32
        )
        return i + 1, tf.raw_ops.TensorListSetItem(input_handle=rows, index=i, item=x[i])

    start = tf.raw_ops.TensorListReserve(element_shape=tf.constant([12]), num_elements=_batch(x),
                                         element_dtype=tf.float32)  # fmt: skip
    last = tf.while_loop(lambda i, _: i < _batch(x), step, (0, start))[1]
    return tf.raw_ops.TensorListStack(input_handle=last, element_shape=tf.constant([12]), element_dtype=tf.float32)


@case("count")
def a_vector_for_several_rows(x):
    """As ``vectorized_map`` picks its rows, but these begin at 1."""
    many = _batch(x)
    rows = tf.where(many > 1, tf.range(1, many + 1) - 1 + tf.cast(many, tf.int32) - many, 0)
    return x + tf.reduce_sum(tf.cast(rows, tf.float32))


@case("proven", shape=STEPS)
def a_recurrent_network(x):
    """Over time, as Keras writes it, with a state that is carried."""
    turned, weight = tf.transpose(x, (1, 0, 2)), tf.eye(4)
    listed = tf.TensorArray(tf.float32, 5).unstack(turned)
    made = tf.TensorArray(tf.float32, 5)

    def step(i, found, state):
        state = tf.tanh(listed.read(i) + state @ weight)
        return i + 1, found.write(i, state), state

    found = tf.while_loop(lambda i, *_: i < 5, step, (0, made, tf.zeros_like(x[:, 0])))
    return tf.concat([tf.transpose(found[1].stack(), (1, 0, 2)), found[2][:, None]], 1)


@case("meet", shape=STEPS)
def a_recurrent_network_over_samples(x):
    listed = tf.TensorArray(tf.float32, _batch(x)).unstack(x)

    def step(i, state):
        return i + 1, tf.tanh(listed.read(i) + state)

    return x + tf.while_loop(lambda i, _: i < _batch(x), step, (0, tf.zeros((5, 4))))[1]


@case("proven", shape=STEPS)
def a_sum_over_what_is_spread(x):
    """Every round spreads it over one more place, and takes the mean over these."""

    def step(i, h):
        spread = tf.broadcast_to(x, tf.stack([i + 1, _batch(x), 5, 4]))
        return i + 1, h + tf.reduce_mean(spread, 0)

    return tf.while_loop(lambda i, h: i < 4, step, (0, x))[1]


# Sizes held as floats


@case("proven", shape=(None, 4))
def steps_counted_in_floats(x):
    return x * tf.cos(tf.range(tf.cast(tf.shape(x)[1], tf.float32))[:, None] * 0.5)


@case("unknown", at="AddV2")
def samples_counted_in_floats(x):
    return x + tf.range(tf.cast(_batch(x), tf.float32))[:, None]


@case("unknown", at="Mul", shape=(None, 4))
def steps_counted_in_halves(x):
    return x * tf.range(tf.cast(tf.shape(x)[1], tf.float32) / 2.0, delta=0.5)[:, None]


def _block_written(x, block, start):
    from tensorflow.compiler.tf2xla.ops.gen_xla_ops import xla_dynamic_update_slice

    return xla_dynamic_update_slice(x, block, start)


@case("proven")
def a_block_of_every_sample(x):
    return _block_written(x, x[:, :3] * 2.0, tf.constant([0, 4]))


@case("unknown", at="XlaDynamicUpdateSlice")
def a_block_of_the_first_sample(x):
    return _block_written(x, tf.ones((1, 12)), tf.constant([0, 0]))


@case("place")
def a_block_that_differs_from_place_to_place(x):
    return _block_written(x, tf.cast(tf.range(_batch(x))[:, None], tf.float32), tf.constant([0, 4]))
