"""What a TorchScript file declares of its inputs binds the data; what it only makes likely does not."""

import numpy as np
import pytest
import torch
from torch import nn
from zoo import torchscript as zoo

from kmr_cli import open_model
from kmr_cli.batch.fit import fit
from kmr_cli.batch.given import from_arrays
from kmr_cli.batch.synthetic import synthesize
from kmr_cli.errors import BatchError
from kmr_cli.formats import torchscript
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.formats.torchscript.describe.facts import Argument, apply
from kmr_cli.formats.torchscript.describe.input_facts import InputFacts, Tracked
from kmr_cli.records import TensorSpec


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x, pad):
        return self.attention(x, x, x, key_padding_mask=pad, need_weights=False)[0]


class Encoder(nn.Module):
    def __init__(self, layer=None):
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        one = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(one, 2, enable_nested_tensor=False)

    def forward(self, ids, pad):
        return self.encoder(self.embed(ids), src_key_padding_mask=pad)


class EncoderLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(3, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, x, pad):
        return self.layer(self.embed(x), src_key_padding_mask=pad)


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)

    def forward(self, memory, hidden, pad, x):
        return self.layer(x, memory, tgt_key_padding_mask=hidden, memory_key_padding_mask=pad)


def ends(steps, samples=9):
    """Masks that are true from some step on, another one in every sample."""
    return np.arange(steps)[None] >= 1 + np.arange(samples)[:, None] % steps


DATA = {
    Attention: {"x": zoo.normal(9, 5, 8), "pad": ends(5)},
    Encoder: {"ids": np.arange(45).reshape(9, 5) % 20, "pad": ends(5)},
    EncoderLayer: {"x": zoo.normal(9, 5, 3), "pad": ends(5)},
    Decoder: {"memory": zoo.normal(9, 5, 8), "hidden": ends(4), "pad": ends(5), "x": zoo.normal(9, 4, 8)},
}


@pytest.fixture
def traced(tmp_path):
    def make(kind, gradients=True):
        zoo.seed()
        with torch.set_grad_enabled(gradients):
            module = zoo.trace(kind().eval(), *(torch.from_numpy(values[:3]) for values in DATA[kind].values()))
        return zoo.save(module, tmp_path / f"{kind.__name__}.pt")

    return make


def specs(path):
    return {spec.name: spec for spec in torchscript.describe(path, OpenOptions()).inputs}


@pytest.mark.parametrize("kind", DATA)
def test_a_traced_padding_mask_is_not_a_feature(traced, kind):
    path = traced(kind)
    data = DATA[kind]
    found = specs(path)
    assert {name: spec.shape for name, spec in found.items() if data[name].dtype == bool} == {
        name: None for name in data if data[name].dtype == bool
    }
    assert found["pad"].dtype in ("bool", None)
    batch = fit(from_arrays(data), tuple(found.values()), fixed_batch=None, notice=lambda _: None)
    assert all(np.array_equal(batch[name], data[name]) and batch[name].dtype == data[name].dtype for name in data)


@pytest.mark.slow
@pytest.mark.parametrize("kind", DATA)
def test_a_traced_model_with_a_padding_mask_is_checked(traced, kind):
    with open_model(traced(kind), in_process=True) as model:
        report = model.check_batch_axis(DATA[kind])
    assert report.verdict == "pass", (report.findings, report.inconclusive)


@pytest.mark.parametrize("gradients", [True, False], ids=["in parts", "as one operator"])
def test_the_code_tells_which_argument_of_a_traced_layer_holds_the_features(traced, gradients):
    found = specs(traced(Encoder, gradients))
    assert found["ids"] == TensorSpec("ids", (None, None), "int64", 20)
    assert found["pad"] == TensorSpec("pad", None, "bool")
    if gradients:
        found = specs(traced(Attention))
        assert found["x"] == TensorSpec("x", (None, None, 8), "float32")
        assert specs(traced(Decoder))["x"] == TensorSpec("x", (None, None, 8), "float32")


def test_what_the_code_declares_is_enforced(traced):
    path = traced(Attention)
    wrong = {**DATA[Attention], "x": zoo.normal(9, 5, 7)}
    with pytest.raises(BatchError, match=r"'x': expected shape \(batch, \?, 8\), given \(9, 5, 7\)"):
        fit(from_arrays(wrong), tuple(specs(path).values()), fixed_batch=None, notice=lambda _: None)
    info = torchscript.describe(path, OpenOptions())
    with pytest.raises(BatchError, match=r"shapes=\{'x': '5,7'\} does not fit"):
        synthesize(info, 4, 0, {"x": (5, 7), "pad": (5,)})


class Steps(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(4, 3, batch_first=True)

    def forward(self, x):
        return self.rnn(x)[0]


class Pool(nn.Module):
    def forward(self, x):
        return torch.max_pool2d(x, 2)


def taken(module, shape, tmp_path):
    """What ``--input`` and ``--shape`` make of data of this shape."""
    info = torchscript.describe(zoo.save(zoo.script(module), tmp_path / "model.pt"), OpenOptions())
    array = np.ones(shape, np.float32)
    batch = fit(from_arrays(array), info.inputs, fixed_batch=None, notice=lambda _: None)
    made = synthesize(info, shape[0], 0, {None: shape[1:]})
    return batch["x"].shape, made["x"].shape


def test_data_wins_over_the_usual_number_of_dimensions(tmp_path):
    assert taken(Steps(), (5, 4), tmp_path) == ((5, 4), (5, 4))
    assert taken(Pool(), (5, 6, 6), tmp_path) == ((5, 6, 6), (5, 6, 6))


def test_sizes_are_enforced_where_the_number_of_dimensions_is_the_usual_one(tmp_path):
    with pytest.raises(BatchError, match=r"expected shape \(batch, \?, 4\), given \(5, 6, 7\)"):
        taken(Steps(), (5, 6, 7), tmp_path)


@pytest.mark.slow
def test_a_recurrent_layer_that_takes_the_samples_for_steps_is_found_out(tmp_path):
    zoo.seed()
    path = zoo.save(zoo.script(Steps()), tmp_path / "model.pt")
    with open_model(path, in_process=True) as model:
        report = model.check_batch_axis(zoo.normal(9, 4))
    assert (report.verdict, report.findings[0].rule, report.findings[0].layer) == ("fail", "KMR101", "rnn")


class TextOrVectors(nn.Module):
    """Takes token ids, or what has been looked up already."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(7, 3)
        self.head = nn.Conv1d(3, 2, 1)

    def forward(self, x):
        x = self.embed(x) if x.dim() == 2 else torch.relu(x)
        return self.head(x.transpose(1, 2))


@pytest.mark.parametrize("array", [np.full((4, 5), 6), np.full((4, 5, 3), 9.5, np.float32)], ids=["ids", "vectors"])
def test_what_one_branch_does_binds_no_data(tmp_path, array):
    info = torchscript.describe(zoo.save(zoo.script(TextOrVectors()), tmp_path / "model.pt"), OpenOptions())
    assert set(info.inputs[0].presumed) >= {"dtype", "limit"}
    batch = fit(from_arrays(array), info.inputs, fixed_batch=None, notice=lambda _: None)
    assert np.array_equal(batch["x"], array)
    assert batch["x"].dtype == array.dtype


def test_presumed_floats_are_cast_to_their_size_alone():
    spec = TensorSpec("x", None, "float32", presumed=("dtype",))
    kinds = {}
    for given in ("float64", "float32", "int64", "bool", "complex64"):
        (array,) = fit(from_arrays(np.ones(3, given)), (spec,), fixed_batch=None, notice=lambda _: None).values()
        kinds[given] = str(array.dtype)
    assert kinds == {
        "float64": "float32", "float32": "float32", "int64": "int64", "bool": "bool", "complex64": "complex64"
    }  # fmt: skip


class Crop(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 3)

    def forward(self, x):
        longest = int((x != 0).sum(1).max())
        return self.embed(x[:, :longest]).mean(1)


def test_the_dtype_of_a_part_is_that_of_the_whole_and_its_range_is_not(tmp_path):
    info = torchscript.describe(zoo.save(zoo.script(Crop()), tmp_path / "model.pt"), OpenOptions())
    assert info.inputs == (TensorSpec("x", None, "int64", 10, presumed=("limit",)),)


def tracked():
    return Tracked(InputFacts("x"))


class TestFacts:
    def test_a_firm_rank_replaces_a_presumed_one_and_what_was_counted_with_it(self):
        facts = InputFacts("x")
        facts.learn_rank(3, firm=False)
        facts.learn_size(2, 8, firm=False)
        facts.learn_rank(2, firm=True)
        facts.learn_rank(3, firm=False)
        assert facts.spec() == TensorSpec("x", (None, None))

    def test_firm_sizes_are_reported_without_presumed_ones(self):
        facts = InputFacts("x")
        facts.learn_rank(3, firm=True)
        facts.learn_size(1, 4, firm=False)
        assert facts.spec() == TensorSpec("x", (None, 4, None), presumed=("sizes",))
        facts.learn_size(2, 8, firm=True)
        facts.learn_size(2, 9, firm=False)
        assert facts.spec() == TensorSpec("x", (None, None, 8))

    def test_two_firm_facts_that_disagree_say_nothing(self):
        for learn in (
            lambda facts: facts.learn_size(1, 5, firm=True),
            lambda facts: facts.learn_rank(3, firm=True),
        ):
            facts = InputFacts("x")
            facts.learn_rank(2, firm=True)
            facts.learn_size(1, 4, firm=True)
            learn(facts)
            assert facts.spec().shape is None

    def test_a_mask_that_fills_is_boolean(self):
        mask = tracked()
        apply("masked_fill", [Argument(tensor=True), Argument(mask, tensor=True)], firm=True)
        assert mask.facts.spec() == TensorSpec("x", None, "bool")

    def test_a_slice_keeps_the_other_axes(self):
        cut = apply("slice", [Argument(tracked()), *(Argument(constant=c) for c in (1, 0, 3, 1))], firm=True)
        cut.learn_rank(3, firm=True)
        cut.learn_size(1, 3, firm=True)
        cut.learn_size(2, 7, firm=True)
        assert cut.facts.spec() == TensorSpec("x", (None, None, 7))
        whole = tracked()
        ends = (Argument(constant=c) for c in (1, None, None, 1))
        assert apply("slice", [Argument(whole), *ends], firm=True) is whole
