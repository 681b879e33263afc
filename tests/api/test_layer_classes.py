"""Torch layers under development: arguments with the default None, and which argument a shape is for."""

import sys

import pytest
import torch
from torch import nn
from zoo import torchscript as zoo

from kmr_cli import open_model
from kmr_cli.api.layer_classes import LayerClasses
from kmr_cli.errors import KmrError, LayerError, ModelLoadError, ModelRunError
from kmr_cli.formats.layer_class import open_class
from kmr_cli.records import TensorSpec

SOURCE = """
from typing import Optional
import torch
from torch import Tensor, nn

STEPS = 2

class Bare(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(3, 3)

    def forward(self, x, mask=None):
        h = self.mix(x)
        if mask is not None:
            h = h.masked_fill(mask.unsqueeze(-1), 0.0)
        return h

class Typed(Bare):
    def forward(self, x, mask: Optional[Tensor] = None):
        h = self.mix(x)
        if mask is not None:
            h = h.masked_fill(mask.unsqueeze(-1), 0.0)
        return h

class NewStyle(Bare):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        h = self.mix(x)
        return h if mask is None else h.masked_fill(mask.unsqueeze(-1), 0.0)

class Several(nn.Module):
    '''What is fed is taken by keyword only, which torch does not trace, and has a default, which it does not script.'''

    def __init__(self):
        super().__init__()
        self.inner = Bare()

    def forward(self, x, scale=None, times: int = STEPS, *, mask=None):
        y = self.inner(x, mask=mask)
        return self.scaled(y, scale) * times

    def scaled(self, y, scale=None):
        return y if scale is None else y * scale

class Declared(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Typed()

    def forward(self, x, mask: Tensor, times: int = STEPS):
        return self.inner(x, mask=mask) * times

class Leaky(Bare):
    def forward(self, x, mask=None):
        h = self.mix(x)
        if mask is not None:
            h = h - (h * mask.unsqueeze(-1)).mean(0)
        return h

class Two(nn.Module):
    def forward(self, a, b):
        return torch.cat([a, b], 1)

class Any(nn.Module):
    def forward(self, *tensors):
        return torch.cat(tensors, 1)

def helper(x, mask=None):
    return x if mask is None else x * mask

class InFunction(nn.Module):
    def forward(self, x):
        return helper(x)

class InFunctionToo(nn.Module):
    '''Another class: torch tells what is wrong the first time only that it compiles one.'''

    def forward(self, x):
        return helper(x)

class Unreadable(nn.Module):
    exec('def forward(self, x, mask=None):\\n    return x if mask is None else x * mask')

class Private(Bare):
    '''Its name for the factor is another one outside of the class.'''

    def __init__(self):
        super().__init__()
        self.__factor = 2.0

    def forward(self, x, mask=None):
        return x * self.__factor if mask is None else x * mask * self.__factor

RAN = []

class Traceable(Bare):
    '''Cannot be scripted: it says which class it ran with.'''

    def forward(self, x, mask=None):
        RAN.append(type(self))
        return x if mask is None else x * mask

class Unknown(Bare):
    def forward(self, x, mask=None):
        raise ValueError(f"{x.tolist()} {mask}")
"""
X, MASK = TensorSpec("", (None, 4, 3), "float32"), TensorSpec("mask", (None, 4), "bool")


@pytest.fixture(scope="module", autouse=True)
def layers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("layers")
    (folder / "optional_layers.py").write_text(SOURCE)
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))
    sys.modules.pop("optional_layers", None)


def opened(name, *inputs, training=False):
    zoo.seed()
    return open_class(f"optional_layers:{name}", {}, inputs, training=training)


def run(name, *inputs, training=False):
    """Output of the layer on the same data, by what was opened and by the class itself, and the inputs."""
    info, open_session = opened(name, *inputs, training=training)
    zoo.seed()
    batch = {}
    for spec in info.inputs:
        values = torch.randn(5, *spec.shape[1:])
        batch[spec.name] = (values > 0 if spec.dtype == "bool" else values).numpy()
    zoo.seed()
    eager = getattr(sys.modules["optional_layers"], name)().eval()
    with torch.no_grad():
        right = eager(**{key: torch.from_numpy(values) for key, values in batch.items()})
    from kmr_cli.formats.interface import Taps

    (out,) = open_session().capture(batch, Taps(())).values()
    return torch.from_numpy(out), right, info


@pytest.mark.parametrize("name", ["Bare", "Typed", "NewStyle"])
@pytest.mark.parametrize("inputs", [(X,), (X, MASK), (MASK, TensorSpec("x", (None, 4, 3), "float32"))])
def test_an_optional_argument_is_left_out_or_fed(name, inputs):
    out, right, info = run(name, *inputs)
    assert {spec.name: (spec.shape, spec.dtype) for spec in info.inputs} == {
        spec.name or "x": (spec.shape, spec.dtype) for spec in inputs
    }
    assert torch.equal(out, right)
    assert {layer.path for layer in info.layers} == {"mix"}


def test_what_the_hint_says_helps():
    with pytest.raises(ModelLoadError, match="would leave out forward's optional argument 'mask'") as caught:
        opened("Several", X, MASK)
    assert caught.value.hint == "declare it as a positional argument without a default: mask: torch.Tensor"
    for training in (False, True):
        out, right, info = run("Declared", X, MASK, training=training)
        assert [spec.name for spec in info.inputs] == ["x", "mask"]
        assert torch.equal(out, right)
        assert {layer.path for layer in info.layers} == {"inner", "inner.mix"}


@pytest.mark.parametrize("name", ["Typed", "NewStyle"])
def test_an_optional_argument_with_a_type_is_left_out_in_training_too(name):
    out, right, info = run(name, X, training=True)
    assert [spec.name for spec in info.inputs] == ["x"]
    assert torch.equal(out, right)


def test_training_needs_a_type_and_says_so():
    with pytest.raises(ModelLoadError, match="an argument has the default None and no type") as caught:
        opened("Bare", X, training=True)
    assert caught.value.hint == "give it one, such as mask: Optional[torch.Tensor] = None"


@pytest.mark.parametrize("name", ["Bare", "Typed", "NewStyle"])
def test_training_needs_the_fed_argument_without_a_default_and_says_so(name):
    with pytest.raises(ModelLoadError, match="would leave out forward's optional argument 'mask'") as caught:
        opened(name, X, MASK, training=True)
    assert caught.value.hint == "declare it without a default: mask: torch.Tensor"


@pytest.mark.slow
def test_what_the_argument_does_is_checked():
    verdicts = {}
    with LayerClasses(fork=True) as classes:
        for inputs in ((X,), (X, TensorSpec("mask", (None, 4), "float32"))):
            verdicts[len(inputs)] = classes.check("optional_layers:Leaky", inputs).verdict
    assert verdicts == {1: "pass", 2: "fail"}


@pytest.mark.parametrize("inputs", [(X,), (X, TensorSpec("mask", (None, 4, 3), "float32"))])
@pytest.mark.parametrize("name", ["Unreadable", "Private"])
def test_a_class_whose_text_cannot_be_had_or_changed_is_traced(name, inputs):
    out, right, info = run(name, *inputs)
    assert len(info.inputs) == len(inputs)
    assert torch.equal(out, right)


def test_what_is_traced_is_the_class_itself():
    opened("Traceable", X)
    layers = sys.modules["optional_layers"]
    assert layers.RAN
    assert set(layers.RAN) == {layers.Traceable}


def test_a_function_with_such_an_argument_is_traced():
    out, right, _ = run("InFunction", X)
    assert torch.equal(out, right)


@pytest.mark.parametrize(
    ("name", "inputs", "message", "hint"),
    [
        ("Unreadable", (X, MASK), "would leave out forward's optional argument 'mask'", "mask: torch.Tensor"),
        ("InFunctionToo", (X,), "the default None and no type", "mask: Optional[torch.Tensor] = None"),
        ("Unknown", (X,), "torch.jit.script refuses it", "leave out --training"),
    ],
)
def test_what_cannot_be_scripted_says_what_to_type(name, inputs, message, hint):
    with pytest.raises(ModelLoadError) as caught:
        opened(name, *inputs, training=True)
    assert f"{name}: " in caught.value.message
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("name", "inputs", "message", "hint"),
    [
        ("Bare", (X, TensorSpec("msk", (None, 4), "bool")), "forward has no argument 'msk'", "it takes x, mask"),
        ("Two", (X,), "forward needs 'b' too", "--shape b=N,N"),
        ("Two", (X, X, X), "forward takes 2 arguments, not 3", "for each of a, b"),
        ("Bare", (TensorSpec("", (None, 4), "string"),), "torch has no tensors of dtype string", "--shape N,N:int64"),
    ],
)
def test_shapes_for_other_arguments_than_it_has(name, inputs, message, hint):
    with pytest.raises(LayerError) as caught:
        opened(name, *inputs)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_inputs_are_distinguished_by_name():
    wide = TensorSpec("a", (None, 7, 3), "float32")
    _, _, info = run("Two", TensorSpec("b", (None, 4, 3), "float32"), wide)
    assert [(spec.name, spec.shape) for spec in info.inputs] == [("a", (None, 7, 3)), ("b", (None, 4, 3))]
    _, _, info = run("Two", X, TensorSpec("a", (None, 7, 3), "float32"))
    assert [(spec.name, spec.shape) for spec in info.inputs] == [("a", (None, 7, 3)), ("b", (None, 4, 3))]


def test_any_number_of_arguments():
    info, open_session = opened("Any", X, TensorSpec("more", (None, 2, 3), "float32"))
    assert [spec.shape for spec in info.inputs] == [(None, 4, 3), (None, 2, 3)]
    assert open_session().layers is not None


STATEFUL = """
import keras, torch

class TorchCount(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("n", torch.zeros(1))
        self.mix = torch.nn.Linear(5, 5)

    def forward(self, x):
        self.n += 1
        return self.mix(x) * self.n

class TorchChance(torch.nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)

class KerasCount(keras.layers.Layer):
    def build(self, shape):
        self.mix = keras.layers.Dense(5)
        self.mix.build(shape)
        self.n = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x):
        self.n.assign_add(1.0)
        return self.mix(x) * self.n

class KerasGrows(keras.layers.Layer):
    width = 3

    def build(self, shape):
        KerasGrows.width += 1
        self.w = self.add_weight(shape=(self.width,))

    def call(self, x):
        return x

class KerasChance(keras.layers.Layer):
    def call(self, x):
        return x + keras.random.uniform(keras.ops.shape(x))
"""


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["Torch", "Keras"])
def test_state_is_distinguished_from_chance(tmp_path, monkeypatch, framework):
    (tmp_path / "stateful_layers.py").write_text(STATEFUL)
    monkeypatch.chdir(tmp_path)
    found = {}
    with LayerClasses() as classes:
        for name in ("Count", "Chance"):
            report = classes.check(f"stateful_layers:{framework}{name}", [TensorSpec("", (None, 5), "float32")])
            found[name] = {finding.rule for finding in report.findings}
    assert found["Count"] & {"KMR301", "KMR302"} == {"KMR302"}
    assert found["Chance"] & {"KMR301", "KMR302"} == {"KMR301"}


@pytest.mark.slow
def test_a_layer_that_is_built_otherwise_every_time(tmp_path, monkeypatch):
    (tmp_path / "growing_layers.py").write_text(STATEFUL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    _, open_session = open_class("growing_layers:KerasGrows", {}, (TensorSpec("", (None, 5), "float32"),))
    assert [layer.path for layer in open_session().layers] == ["inputs", "keras_grows"]
    with pytest.raises(ModelLoadError, match="KerasGrows: built again, it has different weights"):
        open_session()


class Live(nn.Module):
    def forward(self, x, mask=None):
        return x if mask is None else x * mask


def test_a_live_module_with_such_an_argument_says_what_to_type():
    with pytest.raises(ModelLoadError, match="the default None and no type") as caught:
        open_model(zoo.script(Live()), in_process=True)
    assert "mask: Optional[torch.Tensor] = None" in caught.value.hint


FAILING = """
import keras


class Name(keras.layers.Layer):
    def call(self, x):
        return x + undefined


class Shape(keras.layers.Layer):
    def build(self, input_shape):
        self.size = input_shape[5]

    def call(self, x):
        return x
"""


@pytest.mark.parametrize(
    ("target", "kwargs", "error", "hint"),
    [
        ("keras.layers:Dense", {}, "missing a required argument: 'units'", """--kwargs '{"units": …}'"""),
        ("keras.layers:Dense", {"unit": 3}, "missing a required argument: 'units'", "it takes units, activation,"),
        ("torch.nn:Linear", {}, "missing a required argument: 'in_features'", '"in_features": …, "out_features": …'),
        ("torch.nn:Tanh", {"units": 3}, "unexpected keyword argument 'units'", "--kwargs the arguments"),
        (
            "failing_layers:Name",
            {},
            "cannot be built (NameError: name 'undefined' is not defined)",
            "it was given (batch, 4)",
        ),
        (
            "failing_layers:Shape",
            {},
            "cannot be built (IndexError: tuple index out of range)",
            "it was given (batch, 4)",
        ),
    ],
)
def test_why_a_class_cannot_be_built(tmp_path, monkeypatch, target, kwargs, error, hint):
    (tmp_path / "failing_layers.py").write_text(FAILING)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "failing_layers", raising=False)
    with pytest.raises(KmrError) as caught:
        open_class(target, kwargs, (TensorSpec("", (None, 4), "float32"),))
    assert caught.value.message.startswith(f"{target}: ")
    assert error in caught.value.message
    assert hint in caught.value.hint


def test_which_arguments_of_a_call_need_a_shape():
    attention = "keras.layers:MultiHeadAttention"
    kwargs = {"num_heads": 2, "key_dim": 2}
    steps = (None, 5, 8)
    with pytest.raises(LayerError, match="its call takes query, value, and no shape is given for value") as caught:
        open_class(attention, kwargs, (TensorSpec("", steps, "float32"),))
    assert caught.value.hint == "give the shape of one sample for each: --shape query=N,N --shape value=N,N"
    with pytest.raises(LayerError, match="its call has no argument 'valeu'"):
        open_class("keras.layers:Dense", {"units": 2}, (TensorSpec("valeu", steps, "float32"),))


def test_a_keras_layer_that_takes_a_list():
    two = [TensorSpec(name, (None, 4), "float32") for name in ("a", "b")]
    with LayerClasses() as classes:
        report = classes.check("keras.layers:Add", two, {})
    assert report.verdict == "pass"


@pytest.mark.parametrize(
    ("target", "arguments", "hint"),
    [
        ("torch.nn:Embedding", {"num_embeddings": 8, "embedding_dim": 2}, "as well, --shape 5:int64"),
        (
            "torch.nn:Linear",
            {"in_features": 4, "out_features": 2},
            "it was given (batch, 5) float32: --shape is that of",
        ),
    ],
)
def test_a_class_that_fails_on_what_it_was_given_says_what_that_was(target, arguments, hint):
    with LayerClasses() as classes, pytest.raises(ModelRunError) as caught:
        classes.check(target, [TensorSpec("", (None, 5), "float32")], arguments)
    assert hint in caught.value.hint
    assert ("int64" in caught.value.hint) == ("int64" in hint)


@pytest.mark.slow
def test_ids_of_a_class_that_says_how_many_there_are():
    with LayerClasses() as classes:
        arguments = {"input_dim": 10, "output_dim": 3}
        report = classes.check("keras.layers:Embedding", [TensorSpec("", (None, 5), "float32")], arguments)
    assert report.verdict == "pass", report.inconclusive
