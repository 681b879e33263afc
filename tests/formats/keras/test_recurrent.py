"""Loops of recurrent layers run compiled where that gives the same bits, and as ever where it may not."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from zoo import keras as zoo

from kmr_cli.check.check import check
from kmr_cli.formats.interface import OpenOptions, Taps
from kmr_cli.formats.keras import archive
from kmr_cli.formats.keras.run.recurrent import CompiledLoops

pytestmark = [pytest.mark.filterwarnings(line) for line in zoo.KERAS_WARNS]
OPTIONS = OpenOptions()
STEPS = 9


def masked(x):
    return layers.GRU(5)(layers.LSTM(4, return_sequences=True)(layers.Masking(name="mask")(x)))


def with_states(x):
    sequences, state, carry = layers.LSTM(4, return_state=True, return_sequences=True)(x)
    return [layers.GRU(4)(sequences, initial_state=state), carry]


BUILD = {
    "two layers": lambda x: layers.LSTM(4)(layers.LSTM(4, return_sequences=True)(x)),
    "backwards": lambda x: layers.GRU(4, go_backwards=True, return_sequences=True)(x),
    "both ways": lambda x: layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x),
    "masked": masked,
    "states": with_states,
    "several cells": lambda x: layers.RNN([layers.LSTMCell(3), layers.GRUCell(4)])(x),
    "half": lambda x: layers.SimpleRNN(4, dtype="mixed_float16")(x),
    "other activation": lambda x: layers.LSTM(4, activation="gelu")(x),
}


def opened(path, build, *, batch=None):
    """A session of a saved network and the same network, bare."""
    keras.utils.set_random_seed(2)
    x = keras.Input((STEPS, 3), batch_size=batch, name="x")
    model = keras.Model(x, build(x))
    model.save(path)
    return archive.open(path, OPTIONS), model


def batch_of(size, seed):
    x = np.random.default_rng(seed).normal(size=(size, STEPS, 3)).astype(np.float32)
    x[1:, STEPS // 2 :] = 0  # masked where the network masks
    return x


def captured(session, x, **options):
    values = {}
    paths = tuple(layer.path for layer in session.layers if not layer.untappable)
    outputs = session.capture({"x": x}, Taps(paths, **options), lambda *tap: values.__setitem__(tap[:3], tap[3].copy()))
    return values, list(outputs.values())


def bits(outputs):
    return [np.asarray(value).tobytes() for value in outputs]


def loops(session):
    return session._framework.loops


@pytest.mark.parametrize("name", BUILD)
def test_compiled_loops_give_the_bits_of_the_bare_model(tmp_path, name):
    session, model = opened(tmp_path / "m.keras", BUILD[name])
    for number in range(4):
        x = batch_of(5, number)
        bare = model(x)
        assert bits(captured(session, x)[1]) == bits(bare if isinstance(bare, list) else [bare])
        assert (loops(session).compiled > 0) == (number >= 2)  # the first time eagerly, the second time both ways
    assert not loops(session).refused


def test_taps_are_the_same_ones_compiled_and_not(tmp_path):
    session, _ = opened(tmp_path / "m.keras", BUILD["two layers"])
    passes = [captured(session, batch_of(5, 0))[0] for _ in range(4)]
    assert loops(session).compiled
    assert all(one.keys() == passes[0].keys() for one in passes)
    assert all(one[tap].tobytes() == passes[0][tap].tobytes() for one in passes for tap in passes[0])


def test_every_shape_is_compared_for_itself(tmp_path):
    session, model = opened(tmp_path / "m.keras", lambda x: layers.GRU(4)(x))
    for size in (5, 2, 3):
        for _ in range(2):
            captured(session, batch_of(size, 0))
    assert loops(session).compiled == 0
    x = batch_of(3, 1)
    assert bits(captured(session, x)[1]) == bits([model(x)])
    assert loops(session).compiled == 1


def test_many_shapes_are_not_a_reason_for_a_warning(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(tf.get_logger(), "handlers", [caplog.handler])  # what it writes goes nowhere else
    session, _ = opened(tmp_path / "m.keras", lambda x: layers.SimpleRNN(4)(x))
    for size in range(2, 10):
        for _ in range(3):
            captured(session, batch_of(size, 0))
    assert loops(session).compiled == 8
    assert "retracing" not in caplog.text


def test_other_weights_count_in_a_compiled_loop(tmp_path):
    session, _ = opened(tmp_path / "m.keras", lambda x: layers.GRU(4)(x))
    x = batch_of(5, 0)
    before = [captured(session, x)[1] for _ in range(3)][-1]
    model = session._build_whole().model
    model.set_weights([weight * 2 for weight in model.get_weights()])
    after = captured(session, x)[1]
    assert loops(session).compiled == 2
    assert bits(after) != bits(before)
    assert bits(after) == bits([model(x)])


def test_a_state_is_carried_on_from_call_to_call(tmp_path):
    session, model = opened(tmp_path / "m.keras", lambda x: layers.LSTM(4, stateful=True)(x), batch=3)
    for number in range(5):
        x = batch_of(3, number)
        assert bits(captured(session, x)[1]) == bits([model(x)])
    assert loops(session).compiled


@keras.saving.register_keras_serializable("recurrent")
class Counting(layers.GRUCell):
    """A cell that changes with every call, by what Python alone knows."""

    calls = 0

    def call(self, inputs, states, training=False):
        self.calls += 1
        output, new = super().call(inputs, states, training=training)
        return output + self.calls, new


@keras.saving.register_keras_serializable("recurrent")
def shifted(x):
    return keras.ops.tanh(x) + 0.1


OTHERS = {
    "a cell of one's own": lambda x: layers.RNN(Counting(4))(x),
    "an activation of one's own": lambda x: layers.LSTM(4, activation=shifted)(x),
    "unrolled": lambda x: layers.LSTM(4, unroll=True)(x),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_may_do_more_than_it_returns_runs_as_ever(tmp_path, name):
    session, _ = opened(tmp_path / "m.keras", OTHERS[name])
    outputs = [captured(session, batch_of(5, 0))[1] for _ in range(4)]
    assert (loops(session).compiled, loops(session).refused) == (0, set())
    assert len({tuple(bits(one)) for one in outputs}) == (4 if name == "a cell of one's own" else 1)


def test_random_numbers_stay_those_of_each_call(tmp_path):
    keras.utils.set_random_seed(2)
    x = keras.Input((STEPS, 3), name="x")
    layer = layers.LSTM(4, recurrent_dropout=0.5)
    keras.Model(x, layer(x, training=True)).save(tmp_path / "m.keras")
    session = archive.open(tmp_path / "m.keras", OPTIONS)
    outputs = [captured(session, batch_of(5, 0))[1] for _ in range(4)]
    assert loops(session).compiled == 0
    assert len({tuple(bits(one)) for one in outputs}) == 4


def test_a_loop_that_rounds_differently_is_not_used(tmp_path, monkeypatch):
    """It is seen by the bits, told by class, and the values stay those of the bare model."""
    session, model = opened(tmp_path / "m.keras", lambda x: layers.GRU(4)(x))

    compile_ = CompiledLoops._function

    def wrong(loops, original, layer, **options):
        def run(*arguments):
            last, everything, states = compile_(loops, original, layer, **options)(*arguments)
            return last + 1e-7, everything, states

        return run

    monkeypatch.setattr(CompiledLoops, "_function", wrong)
    for number in range(4):
        x = batch_of(5, number)
        assert bits(captured(session, x)[1]) == bits([model(x)])
    assert (loops(session).compiled, loops(session).refused) == (0, {"GRU"})
    report = check(session, session._info, {"x": batch_of(5, 0)})
    assert [line for line in report.not_examined if "the compiled loop of GRU" in line] == list(session.unseen)
    other, _ = opened(tmp_path / "n.keras", lambda x: layers.LSTM(4)(x))
    assert other.unseen == ()


def test_nothing_is_left_behind(tmp_path):
    loop, options = layers.RNN.inner_loop, tf.config.optimizer.get_experimental_options()
    session, _ = opened(tmp_path / "m.keras", lambda x: layers.GRU(4)(x))
    for _ in range(3):
        captured(session, batch_of(5, 0))
    assert layers.RNN.inner_loop is loop
    after = tf.config.optimizer.get_experimental_options()
    assert after.get("disable_meta_optimizer", False) == options.get("disable_meta_optimizer", False)
    with pytest.raises(ZeroDivisionError):
        session.capture({"x": batch_of(5, 0)}, Taps((session.layers[-1].path.split("/")[0],)), lambda *tap: 1 / 0)
    assert layers.RNN.inner_loop is loop
