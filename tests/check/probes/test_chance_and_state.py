"""Random numbers are chance also where a graph keeps their seed in a variable, and beside what is state."""

import pytest
from zoo.cases import run as report_of
from zoo.faults import keras_faults
from zoo.savedmodel import _quiet

from kmr_cli.batch.synthetic import synthesize
from kmr_cli.check.check import check
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions

pytestmark = [
    pytest.mark.usefixtures("tensors"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
CHANCE, COUNTED = ("KMR301", "warning"), ("KMR302", "warning")


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    """A SavedModel, each signature of which draws, or keeps, something else."""
    import tensorflow as tf

    module = tf.Module()
    module.calls = tf.Variable(0.0)
    module.seed = tf.Variable([3, 0], dtype=tf.int32)
    module.sum = tf.Variable(tf.zeros(4))
    module.generator = tf.random.Generator.from_seed(1)

    def counted(x):
        module.calls.assign_add(1.0)
        with tf.name_scope("state"):
            return x * module.calls

    def moved_on():
        module.seed.assign_add([0, 1])
        return module.seed.read_value()

    def generator(x):
        with tf.name_scope("noise"):
            return x + module.generator.normal(tf.shape(x))

    def seeded(x):
        with tf.name_scope("noise"):
            return x + tf.random.normal(tf.shape(x), seed=5)

    def seed_that_counts(x):
        with tf.name_scope("noise"):
            return x + tf.random.stateless_normal(tf.shape(x), moved_on())

    def seed_that_counts_in_a_loop(x):
        with tf.name_scope("noise"):
            return tf.while_loop(
                lambda i, _: i < 3,
                lambda i, y: (i + 1, y + tf.random.stateless_normal(tf.shape(y), moved_on())),
                (tf.constant(0), x),
            )[1]

    def seed_that_is_shown(x):
        with tf.name_scope("state"):
            return x + tf.cast(moved_on()[1], tf.float32)

    def fixed(x):
        with tf.name_scope("noise"):
            return x + tf.random.stateless_normal((4,), [1, 2])

    spec = tf.TensorSpec((None, 4), tf.float32, "x")
    bodies = {
        "generator": generator,
        "seeded": seeded,
        "seed_that_counts": seed_that_counts,
        "seed_that_counts_in_a_loop": seed_that_counts_in_a_loop,
        "seed_that_is_shown": seed_that_is_shown,
        "fixed": fixed,
        "counted": counted,
        "counted_and_generator": lambda x: generator(counted(x)),
        "counted_and_seeded": lambda x: seeded(counted(x)),
        "counted_and_seed_that_counts": lambda x: seed_that_counts(counted(x)),
    }
    path = tmp_path_factory.mktemp("random") / "saved"
    with _quiet():
        functions = {name: tf.function(body, input_signature=[spec]) for name, body in bodies.items()}
        tf.saved_model.save(module, str(path), signatures=functions)
    return path


def found_in(report):
    return {(one.rule, one.severity, one.layer) for one in report.findings if one.severity != "note"}


def checked(path, signature):
    options = OpenOptions(signature=signature)
    form = detect(path)
    info = form.describe(path, options)
    session = form.open(path, options)
    try:
        return check(session, info, synthesize(info, 5, 0, {}), reopen=lambda: form.open(path, options))
    finally:
        session.close()


@pytest.mark.parametrize("signature", ["generator", "seeded", "seed_that_counts", "seed_that_counts_in_a_loop"])
def test_what_is_drawn_at_random_is_chance(modules, signature):
    report = checked(modules, signature)
    assert found_in(report) == {(*CHANCE, "noise")}
    assert report.verdict == "inconclusive"


@pytest.mark.parametrize("signature", ["generator", "seeded", "seed_that_counts"])
def test_both_are_seen_where_a_model_draws_and_counts(modules, signature):
    assert found_in(checked(modules, f"counted_and_{signature}")) == {(*CHANCE, "noise"), (*COUNTED, "state")}


@pytest.mark.parametrize("signature", ["counted", "seed_that_is_shown"])
def test_what_an_output_shows_is_state(modules, signature):
    assert found_in(checked(modules, signature)) == {(*COUNTED, "state")}


def test_numbers_of_a_fixed_seed_are_constants(modules):
    report = checked(modules, "fixed")
    assert (found_in(report), report.verdict) == (set(), "pass")


KERAS = {
    case.name: case
    for case in keras_faults.cases()
    if case.format == "savedmodel" and case.rules == ("KMR301",) and case.name != "RandomHue, exported"
}


@pytest.mark.parametrize("tensors", ["digests"], indirect=True)
@pytest.mark.parametrize("name", KERAS)
def test_what_keras_leaves_on_in_an_export_is_chance(name):
    report = report_of(KERAS[name])
    assert found_in(report) == {(*CHANCE, KERAS[name].layer)}
