"""A model that fails on the batch: where it runs, what that means, and that nothing hides behind it."""

import numpy as np
import pytest
from zoo.arrays import ArraySession

from kmr_cli.check.check import check
from kmr_cli.errors import ModelRunError
from kmr_cli.records import ModelInfo, TensorSpec

pytestmark = pytest.mark.usefixtures("tensors")

WIDTH = 7


def only_on(*sizes):
    """A reshape that holds for these sizes alone."""

    def reshape(x):
        if len(x) not in sizes:
            raise ModelRunError(f"cannot reshape {len(x)} rows")
        return np.tanh(x)

    return reshape


def baked(size):
    """What tracing makes of ``x.view(x.shape[0], -1)``."""

    def view(x):
        try:
            return x.reshape(size, WIDTH)
        except ValueError:
            raise ModelRunError(f"shape '[{size}, {WIDTH}]' is invalid for input of size {x.size}") from None

    return view


def heads(x):
    return np.stack([np.tanh(x * head) for head in range(1, 5)], axis=1)


def masked(scores):
    """The mask lacks the axis of the heads: (B, 4, 7) and (B, 7)."""
    return (scores * (scores[:, 0] > 0)).sum(1)


def checked(session, size=6, data=None, spare=None):
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    batch = {"x": np.random.default_rng(1).standard_normal((size, WIDTH))} if data is None else data
    report = check(session, info, batch, spare=spare)
    assert report.forward_passes == session.passes
    return report


def chain(*steps):
    return ArraySession([("project", np.tanh), *steps], (None, WIDTH))


def errors(report):
    return [(finding.rule, finding.layer) for finding in report.findings if finding.severity == "error"]


@pytest.mark.parametrize("size", [2, 4, 10, 12, 20, 48, 100])
def test_a_batch_size_that_tracing_baked_in(size):
    """48 and 100 aren't usual sizes: the message names them."""
    report = checked(chain(("view", baked(size))))
    assert errors(report) == [("KMR102", "view")]
    message = next(one.message for one in report.findings if one.rule == "KMR102")
    assert message.startswith(f"runs only on a batch of {size} and fails on one of 6: shape '[{size}, 7]' is invalid")
    assert {6, size} <= set(report.batch_sizes)
    assert f"batch sizes other than {size}" in report.not_examined
    assert report.taps  # it was looked at where it runs


@pytest.mark.parametrize("size", [4, 20])
def test_a_leak_behind_it_is_found_all_the_same(size):
    report = checked(chain(("view", baked(size)), ("mean", lambda x: x - x.mean(0))))
    assert errors(report) == [("KMR101", "mean"), ("KMR102", "view")]


def test_that_it_answers_otherwise_elsewhere_is_said_as_well():
    def view(x):
        if len(x) == 6:
            raise ModelRunError("not six")
        return np.tanh(x) + (len(x) == 3) * 0.1

    report = checked(chain(("view", view)))
    assert errors(report) == [("KMR102", "view")] * 2
    messages = [one.message for one in report.findings if one.rule == "KMR102"]
    assert messages[0].startswith("fails on a batch of 6, and runs on others")
    assert "on a batch of 3: output 'y' (out0) of the same samples differs" in messages[1]


def test_that_it_runs_on_one_sample_alone_is_said():
    report = checked(chain(("view", only_on(1))))
    assert errors(report) == [("KMR102", "view")]
    assert "runs only on a batch of 1 and fails on one of 6" in report.findings[0].message


def test_a_model_that_runs_on_no_size_raises_what_it_said():
    with pytest.raises(ModelRunError, match="cannot reshape 6 rows"):
        checked(chain(("view", only_on())))


def test_where_only_the_size_of_the_batch_is_wrong_all_others_are_tried():
    steps = [("view", only_on(*range(1, 6), *range(7, 80)))]
    report = checked(chain(*steps))
    assert errors(report) == [("KMR102", "view")]
    assert report.findings[0].message.startswith(
        "fails on a batch of 6, and runs on others (1, 2, 3, 4, 5, 7, …): cannot"
    )
    assert max(report.batch_sizes) > 30
    late = ("late", lambda x: x - x.mean(0) * (len(x) > 20))
    assert errors(checked(chain(*steps, late))) == [("KMR101", "late"), ("KMR102", "view")]


@pytest.mark.parametrize("size", [6, 4])
def test_a_dimension_inside_that_the_batch_must_equal(size):
    """With six samples it fails at once; with four, which is the number of heads, it runs, and mixes them."""
    report = checked(chain(("heads", heads), ("attention", masked)), size)
    assert ("KMR103", "attention") in errors(report)
    assert "KMR102" not in {rule for rule, _ in errors(report)}
    message = next(one.message for one in report.findings if one.rule == "KMR103")
    assert "runs only on batches of 1 and 4 (4 is another dimension too) and fails on" in message


def test_rows_of_the_file_are_used_before_any_is_made_up():
    seen = []

    class Watched(ArraySession):
        def capture(self, batch, taps, sink=None, *, stop=False):
            seen.append(batch["x"])
            return super().capture(batch, taps, sink, stop=stop)

    rows = np.random.default_rng(1).standard_normal((16, WIDTH))
    session = Watched([("view", baked(12))], (None, WIDTH))
    checked(session, data={"x": rows[:8]}, spare={"x": rows[8:]})
    first = next(batch for batch in seen if len(batch) == 12)
    np.testing.assert_array_equal(first, rows[:12])


def test_made_up_rows_are_not_copies():
    """Samples that are the same could not be separated."""
    seen = []

    class Watched(ArraySession):
        def capture(self, batch, taps, sink=None, *, stop=False):
            seen.append(batch["x"])
            return super().capture(batch, taps, sink, stop=stop)

    report = checked(Watched([("view", baked(20))], (None, WIDTH)))
    assert report.batch_sizes[0] == 20
    examined = [batch for batch in seen if len(batch) == 20][1]
    assert len(np.unique(examined, axis=0)) == 20


class Graphs:
    """Rows are nodes: every one takes in its neighbours, by a matrix of all with all."""

    def __init__(self, *, symmetric=False):
        self.passes, self.symmetric = 0, symmetric
        self.inputs = (TensorSpec("x", (None, 3), "float64"), TensorSpec("a", (None, None), "float64"))
        self.layers = ()

    def capture(self, batch, taps, sink=None, *, stop=False):
        self.passes += 1
        if batch["a"].shape[1] != len(batch["x"]):
            raise ModelRunError(f"In[0]: {batch['a'].shape}, In[1]: {batch['x'].shape}", "check the input's values")
        if self.symmetric and not np.array_equal(batch["a"], batch["a"].T):
            raise ModelRunError("the matrix is not symmetric", "check the input's values")
        with np.errstate(invalid="ignore"):  # 0 times Inf, where a sample holds such values
            return {"y": batch["a"] @ batch["x"]}

    def close(self):
        pass


def nodes(count=9):
    return {"x": np.random.default_rng(1).standard_normal((count, 3)), "a": np.tri(count) + np.tri(count).T}


def test_rows_that_only_run_all_together_may_not_be_samples():
    whole = nodes()
    batch, spare = ({name: values[part] for name, values in whole.items()} for part in (slice(8), slice(8, None)))
    with pytest.raises(ModelRunError, match=r"all 9 rows of the data together.*rows may not be samples") as raised:
        checked(Graphs(), data=batch, spare=spare)
    assert "input 'a' relates every row to every other" in raised.value.message
    assert "check the input" not in raised.value.hint


def test_data_that_was_made_up_is_not_the_users():
    with pytest.raises(ModelRunError, match=r"made up for a sample.*not symmetric.*rows may not be samples") as raised:
        checked(Graphs(symmetric=True), data=nodes())
    assert "check the input" not in raised.value.hint


def test_where_rows_are_replaced_but_cannot_be_fewer_that_is_said_as_well():
    report = checked(Graphs(), data=nodes(6))
    assert any("rows may not be samples" in one.message for one in report.findings if one.rule == "KMR102")


class Table(ArraySession):
    """A layer that makes a row for each of so many samples, whatever comes in, and one behind it that adds these."""

    def __init__(self, rows, last=lambda x: x):
        self.table = np.random.default_rng(5).standard_normal((rows, WIDTH))
        self.kept = None
        super().__init__(
            [("project", self.keep), ("places", self.make), ("add", self.add), ("last", last)], (None, WIDTH)
        )

    def keep(self, x):
        self.kept = np.tanh(x)
        return self.kept

    def make(self, _):
        return self.table

    def add(self, table):
        return self.kept + table


@pytest.mark.parametrize("given", [6, 4], ids=["fails on the batch", "fails on others"])
def test_the_layer_that_the_batch_size_was_baked_into_is_named_and_not_the_one_that_fails(given):
    found = [one for one in checked(Table(4), size=given).findings if one.rule == "KMR102"]
    assert [one.layer for one in found] == ["places"]
    assert found[0].message.endswith("; what this layer returns has 4 rows whatever the batch")


@pytest.mark.parametrize("given", [6, 4], ids=["fails on the batch", "fails on others"])
def test_a_table_as_long_as_another_dimension_may_be_innocent(given):
    """(4, 7) may be meant for the four heads."""
    report = checked(Table(4, last=lambda x: np.stack([np.tanh(x * head) for head in range(1, 5)], 1)), size=given)
    assert {layer for rule, layer in errors(report) if rule in ("KMR102", "KMR103")} == {"add"}
