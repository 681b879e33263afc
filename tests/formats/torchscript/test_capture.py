"""Taps inside loaded TorchScript files: values, identity, early stop, and what is left behind."""

import threading

import ml_dtypes
import numpy as np
import pytest
import torch
from zoo import torchscript as zoo

from kmr_cli.errors import LayerError, ModelRunError
from kmr_cli.formats import torchscript
from kmr_cli.formats.common.plain_values import plain_values
from kmr_cli.formats.common.torch_arrays import to_arrays, to_tensor
from kmr_cli.formats.interface import OpenOptions, Session, Taps
from kmr_cli.formats.torchscript.describe.signature import build
from kmr_cli.formats.torchscript.run.outputs import name_tensors

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*quantized tensor creation functions:UserWarning"),
    pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental:UserWarning"),
]
OPTIONS = OpenOptions()
_saved = {}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("torchscript")


@pytest.fixture
def opened(folder):
    """Open a model of the zoo by name, built and saved once: (session, what was made, path)."""

    def build_and_open(name):
        if name not in _saved:
            made = zoo.MODELS[name]()
            _saved[name] = made, zoo.save(made.module, folder / f"{name}.pt")
        made, path = _saved[name]
        return torchscript.open(path, OPTIONS), made, path

    return build_and_open


def everything(session):
    return Taps(tuple(layer.path for layer in session.layers if not layer.untappable))


def capture(session, batch, taps=None, **options):
    """(values by (layer, call, port) in the order they came, outputs)."""
    values = {}

    def sink(layer, call, port, array):
        assert isinstance(array, np.ndarray)
        assert (layer, call, port) not in values
        values[layer, call, port] = array.copy()

    outputs = session.capture(batch, taps or everything(session), sink, **options)
    return values, outputs


def run_bare(path, batch, runs=1):
    """Outputs of the loaded module itself, of its run number ``runs``."""
    described = torchscript._describe(path, str(path))
    module = zoo.quietly(torch.jit.load, str(path)).eval()
    arguments, keywords = build(described.arguments, {name: to_tensor(array) for name, array in batch.items()})
    for _ in range(runs):
        with torch.no_grad():
            result = module(*arguments, **keywords)
    found = {name + suffix: array for name, value in name_tensors(result) for suffix, array in to_arrays(value)}
    return found | {name: array for name, array, _ in plain_values(result, 0)}


def same(first, second):
    return first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()


def hooked(made):
    """What forward hooks of the Python module see: (layer, call) -> first output."""
    seen, counts, handles = {}, {}, []
    for path, child in made.eager.named_modules(remove_duplicate=False):

        def keep(_, __, output, path=path):
            call = counts[path] = counts.get(path, -1) + 1
            tensors = [value for _, value in name_tensors(output)]
            if tensors and tensors[0].layout is torch.strided and not tensors[0].is_quantized:
                seen[path, call] = dict(to_arrays(tensors[0]))[""].copy()

        handles.append(child.register_forward_hook(keep))
    try:
        with torch.no_grad():
            made.eager(*(to_tensor(array) for array in made.batch.values()))
    finally:
        for handle in handles:
            handle.remove()
    return seen


@pytest.mark.parametrize("name", zoo.MODELS)
def test_outputs_equal_the_bare_run_of_the_same_number(opened, name):
    session, made, path = opened(name)
    assert isinstance(session, Session)
    for run in (1, 2, 3):
        _, outputs = capture(session, made.batch)
        bare = run_bare(path, made.batch, run)
        assert list(outputs) == list(bare)
        assert all(same(outputs[port], bare[port]) for port in bare)


# What hooks on the Python module cannot tell: calls of other methods than forward, one object under two names,
# operators, inputs that are structures, tasks that run in an order of their own.
_NO_HOOKS = {"aliased", "frozen_cnn", "frozen_traced_cnn", "structured_inputs", "forking", "quantized_dynamic"}


@pytest.mark.parametrize("name", [name for name in zoo.MODELS if name not in _NO_HOOKS])
def test_values_are_those_that_hooks_see_in_python(opened, name):
    session, made, _ = opened(name)
    values, _ = capture(session, made.batch)
    seen = hooked(made)
    compared = 0
    for (layer, call), expected in seen.items():
        if layer and (layer, call, "out0") in values:
            np.testing.assert_allclose(
                values[layer, call, "out0"].astype(complex), expected.astype(complex), rtol=1e-5, atol=1e-6
            )
            compared += 1
    assert compared
    if not name.startswith(("interface", "encode")):  # which call forward, or another method, past the hooks
        assert {(layer, call) for layer, call, port in values if port == "out0"} <= seen.keys()


@pytest.mark.parametrize("name", zoo.MODELS)
def test_every_path_is_listed_and_calls_are_as_listed(opened, name):
    session, made, _ = opened(name)
    values, _ = capture(session, made.batch)
    counts = {}
    for layer, call, _ in values:
        counts[layer] = max(counts.get(layer, 0), call + 1)
    listed = {layer.path: layer for layer in session.layers}
    assert counts.keys() <= listed.keys()
    for path, layer in listed.items():
        assert layer.calls is None or layer.calls == counts.get(path, 0), path
        assert (layer.untappable is None) or path not in counts


def order(values, *, ins=False):
    return [(layer, call) for layer, call, port in values if port == ("in0" if ins else "out0")]


def test_method_other_than_forward(opened):
    session, made, _ = opened("encode_method")
    values, _ = capture(session, made.batch)
    assert order(values) == [("encoder.conv", 0), ("encoder.norm", 0), ("encoder", 0), ("head", 0)]
    unused = next(layer for layer in session.layers if layer.path == "encoder.unused")
    assert unused.untappable == "never called in forward"


def test_helper_method_beside_forward(opened):
    """Its call is none of the layer, which is called by forward; the layers that it calls are tapped."""
    session, made, _ = opened("helper_method")
    values, outputs = capture(session, made.batch)
    assert order(values) == [("layer.inner", 0), ("layer.inner", 1), ("layer", 0)]
    assert same(values["layer", 0, "out0"], outputs["out0"])
    assert same(values["layer", 0, "in0"], values["layer.inner", 0, "out0"] + 1)


@pytest.mark.parametrize("name", ["scripted_lstm", "scripted_gru_time_major", "packed_sequence", "traced_lstm"])
def test_recurrent_layers(opened, name):
    session, made, _ = opened(name)
    values, _ = capture(session, made.batch)
    rnn = "lstm" if name == "packed_sequence" else "rnn"
    ports = [port for layer, _, port in values if layer == rnn]
    assert ports[0] == "in0"
    assert "out1" in ports or name == "traced_lstm"  # the hidden state; tracing leaves out what nobody uses
    if name == "packed_sequence":
        assert [port for port in ports if port.startswith("in")] == ["in0", "in1", "in2", "in3"]
        assert values["lstm", 0, "in1"].tolist() == [3, 3, 2, 1, 1]  # samples still running at every step


def test_containers(opened):
    session, made, _ = opened("containers")
    values, _ = capture(session, made.batch)
    blocks = [(layer, call) for layer, call in order(values) if layer.count(".") == 1]
    assert blocks == [
        ("blocks.0", 0), ("blocks.1", 0), ("blocks.2", 0), ("blocks.1", 1), ("blocks.2", 1), ("named.left", 0),
        ("named.left", 1), ("named.right", 0), ("tail.0", 0), ("tail.1", 0),
    ]  # fmt: skip
    assert ("tail.1.1", 0, "out0") in values
    assert {layer.path for layer in session.layers if layer.untappable} == {"blocks", "named"}


def test_interface_typed_items(opened):
    session, made, _ = opened("interface_list")
    values, _ = capture(session, made.batch)
    steps = [(layer, call) for layer, call in order(values) if layer.count(".") == 1]
    assert steps[:4] == [("steps.2", 0), ("steps.0", 0), ("steps.1", 0), ("steps.0", 1)]
    assert steps[4][0] in ("table.a", "table.b")
    assert ("steps.1.norm", 0, "out0") in values


def test_interface_typed_variables_and_functions(opened):
    session, made, _ = opened("interface_variable")
    values, _ = capture(session, made.batch)
    assert order(values) == [
        ("one.fc", 0), ("one", 0), ("two.norm", 0), ("two", 0), ("two.norm", 1), ("two", 1)
    ]  # fmt: skip
    session, made, _ = opened("interface_function")
    values, _ = capture(session, made.batch)
    assert order(values) == [("one.fc", 0), ("one", 0), ("two.norm", 0), ("two", 0)]


def test_tuples_dictionaries_and_none(opened):
    session, made, _ = opened("structures")
    values, _ = capture(session, made.batch)
    ports = {call: [port for layer, number, port in values if (layer, number) == ("cell", call)] for call in (0, 1)}
    # x, state.hidden (its mask is None, its history empty), table["bias"]; then state.history has two members
    assert ports[0] == ["in0", "in1", "in2", "out0", "out1", "out2"]
    assert ports[1] == ["in0", "in1", "in2", "in3", "in4", "in5", "out0", "out1", "out2"]
    assert np.array_equal(values["cell", 0, "in2"], np.ones((3, 4), np.float32))
    assert np.array_equal(values["cell", 1, "in5"], made.batch["x"])  # scale, given in the second call only
    assert [port for layer, _, port in values if layer == "nested"] == ["in0", "in1", "in2", "out0", "out1", "out2"]


def test_branches_and_loops(opened):
    session, made, _ = opened("branching")
    values, _ = capture(session, made.batch)
    layers = {layer for layer, _ in order(values)}
    assert "low" in layers
    assert "high" not in layers
    assert {call for layer, call in order(values) if layer == "step"} >= {0, 1, 2, 3}
    calls = {layer.path: layer.calls for layer in session.layers}
    assert calls["high"] is calls["low"] is calls["step"] is None
    assert calls["last"] == 1


def test_forked_tasks_have_paths_and_a_fixed_order(opened):
    session, made, _ = opened("forking")
    first, _ = capture(session, made.batch)
    assert [key for key in order(first) if "." not in key[0]] == [
        ("left", 0), ("right", 0), ("left", 1), ("left", 2), ("left", 3), ("left", 4), ("left", 5), ("join", 0)
    ]  # fmt: skip
    assert [key for key in order(first) if key[0].startswith("right.")] == [
        ("right.one.fc", 0), ("right.one", 0), ("right.two.fc", 0), ("right.two", 0)
    ]  # fmt: skip
    for _ in range(10):
        again, _ = capture(session, made.batch)
        assert list(again) == list(first)
        assert all(same(again[tap], first[tap]) for tap in first)


def test_one_module_under_two_names(opened):
    session, made, _ = opened("aliased")
    values, _ = capture(session, made.batch)
    assert order(values) == [("first", 0), ("second", 0), ("tied", 0)]


def test_operators_of_a_frozen_module(opened):
    for name in ("frozen_cnn", "frozen_traced_cnn"):
        session, made, _ = opened(name)
        values, outputs = capture(session, made.batch)
        layers = [layer for layer, _ in order(values)]
        assert layers.count("relu_") == layers.count("relu__1") == 1
        assert {"conv2d", "conv2d_1"} <= set(layers) or {"_convolution", "_convolution_1"} <= set(layers)
        assert same(values[layers[-1], 0, "out0"], outputs["out0"])
        whole, _, _ = opened(name.removeprefix("frozen_").replace("cnn", "scripted_cnn", name == "frozen_cnn"))
        unfrozen, _ = capture(whole, made.batch)
        conv = next(layer for layer in layers if "conv" in layer)
        np.testing.assert_allclose(  # freezing has folded the normalisation into the convolution
            values[conv, 0, "out0"], unfrozen["bn1", 0, "out0"], rtol=1e-4, atol=1e-5
        )


def test_sink_sees_the_value_before_it_is_overwritten(opened):
    session, made, _ = opened("in_place_relu")
    kept = {}
    session.capture(made.batch, everything(session), lambda layer, call, port, a: kept.setdefault((layer, port), a))
    copied, _ = capture(session, made.batch)
    assert (copied["conv", 0, "out0"] < 0).any()
    assert (kept["conv", "out0"] >= 0).all()  # the same memory, after the ReLU wrote to it: why sinks copy
    assert same(copied["conv", 0, "out0"], copied["relu", 0, "in0"])


def test_stop_runs_nothing_after_the_last_tap(opened):
    session, made, _ = opened("scripted_cnn")
    values, outputs = capture(session, made.batch, Taps(("bn1",)), stop=True)
    assert outputs is None
    assert list(values) == [("bn1", 0, "in0"), ("bn1", 0, "out0")]
    whole, _ = capture(session, made.batch)
    assert same(values["bn1", 0, "out0"], whole["bn1", 0, "out0"])


def test_stop_is_early(opened):
    """A layer that fails does not stop a pass that ends before it."""
    session, _, _ = opened("scripted_cnn")
    wrong_end = {"image": zoo.normal(2, 3, 2, 2)}  # too small for the second convolution
    values, _ = capture(session, wrong_end, Taps(("relu",), calls=(0,)), stop=True)
    assert order(values) == [("relu", 0)]
    with pytest.raises(ModelRunError, match="Kernel size can't be greater than actual input size"):
        capture(session, wrong_end, Taps(("relu",)), stop=True)  # its second call comes after the convolution


def test_sides_and_calls(opened):
    session, made, _ = opened("shared_twice")
    values, _ = capture(session, made.batch, Taps(("fc",), calls=(1,), sides=("out",)))
    assert list(values) == [("fc", 1, "out0")]
    values, outputs = capture(session, made.batch, Taps(("fc",), sides=("in",)), stop=True)
    assert list(values) == [("fc", 0, "in0"), ("fc", 1, "in0")]
    assert outputs is None


class OddError(Exception):
    pass


@pytest.mark.parametrize("error", [OddError("mine"), KeyboardInterrupt(), MemoryError("m")])
def test_errors_of_the_sink_reach_the_caller_unchanged(opened, error):
    session, made, path = opened("forking")

    def failing(layer, call, port, array):
        if (layer, call) == ("right.one.fc", 0):
            raise error

    with pytest.raises(type(error)) as caught:
        session.capture(made.batch, everything(session), failing)
    assert caught.value is error
    values, outputs = capture(session, made.batch)  # nothing is left on the stacks
    assert ("right.one.fc", 0, "out0") in values
    assert all(same(outputs[name], array) for name, array in run_bare(path, made.batch).items())


def test_inputs_are_fed_as_aligned_copies(tmp_path):
    writes_to_its_input = torch.nn.Sequential(torch.nn.ReLU(inplace=True), torch.nn.Linear(4, 2))
    session = torchscript.open(zoo.save(zoo.script(writes_to_its_input), tmp_path / "m.pt"), OPTIONS)
    given = np.full(13, -1.0, np.float32)[1:].reshape(3, 4)  # starts 4 bytes behind any aligned address
    addresses = {}
    session.capture({"input": given}, Taps(("0",)), lambda _, __, port, a: addresses.setdefault(port, a.ctypes.data))
    assert (given == -1).all()
    assert addresses["in0"] == addresses["out0"]
    assert addresses["in0"] % 64 == 0


def test_outputs_stay_as_they_were(tmp_path):
    session = torchscript.open(zoo.save(zoo.script(zoo.Remembers()), tmp_path / "m.pt"), OPTIONS)
    first = session.capture({"x": np.ones((2, 4), np.float32)}, Taps(()))["out0"]
    second = session.capture({"x": np.ones((2, 4), np.float32)}, Taps(()))["out0"]
    assert first.tolist() == [2.0] * 4
    assert second.tolist() == [4.0] * 4


def test_run_errors_are_one_line(opened):
    session, _, path = opened("scripted_cnn")
    with pytest.raises(ModelRunError) as caught:
        capture(session, {"image": zoo.normal(2, 5, 8, 8)})
    assert str(path) in caught.value.message
    assert "expected input[2, 5, 8, 8] to have 3 channels, but got 5 channels instead" in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_raised_in_the_model(opened):
    session, _, _ = opened("branching")
    with pytest.raises(ModelRunError, match=r"\(wants a matrix\)"):
        capture(session, {"x": zoo.normal(2, 3, 4)})


@pytest.mark.parametrize("path", ["nothing", "encoder.unused"])
def test_layers_that_cannot_be_tapped(opened, path):
    session, made, _ = opened("encode_method")
    with pytest.raises(LayerError, match=path):
        capture(session, made.batch, Taps((path,)))


def test_two_sessions_and_two_threads(opened):
    """Modules of the same types in one process keep their own taps."""
    one, made, _ = opened("containers")
    two, _, _ = opened("containers")
    expected, _ = capture(one, made.batch)
    results = [None, None]

    def work(place, session):
        for _ in range(5):
            results[place], _ = capture(session, made.batch)

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate((one, two))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(list(values) == list(expected) for values in results)


# Dtypes and layouts


def test_bfloat16(opened):
    session, made, _ = opened("bfloat16_model")
    values, outputs = capture(session, made.batch)
    assert values["conv1", 0, "in0"].dtype == ml_dtypes.bfloat16
    assert np.array_equal(values["conv1", 0, "in0"], made.batch["image"])
    assert outputs["out0"].dtype == ml_dtypes.bfloat16


def test_complex_conjugate(opened):
    session, made, _ = opened("complex_model")
    values, _ = capture(session, made.batch)
    assert values["fourier", 0, "out0"].dtype == np.complex64
    np.testing.assert_allclose(values["fourier", 0, "out0"], np.conj(np.fft.fft(made.batch["x"])), rtol=1e-4, atol=1e-4)


def test_sparse_comes_in_parts(opened):
    session, made, _ = opened("sparse_model")
    values, _ = capture(session, made.batch)
    rows, columns = values["sparse", 0, "out0.indices"]
    dense = np.zeros(values["sparse", 0, "out0.shape"], np.float32)
    dense[rows, columns] = values["sparse", 0, "out0.values"]
    assert np.array_equal(dense, np.maximum(made.batch["x"], 0))


def test_quantized_comes_in_parts(opened):
    session, made, _ = opened("quantized_values")
    values, _ = capture(session, made.batch)
    whole = values["quantize", 0, "out0.int_repr"]
    assert whole.dtype == np.uint8
    assert values["quantize", 0, "out0.zero_point"] == 10
    restored = (whole.astype(np.float32) - 10) * values["quantize", 0, "out0.scale"]
    assert np.abs(restored - made.batch["x"]).max() <= 0.051


@pytest.mark.parametrize(
    "dtype",
    [
        "bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64", "float16", "float32",
        "float64", "complex64", "complex128", "bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2",
        "float8_e5m2fnuz", "float8_e8m0fnu",
    ],
)  # fmt: skip
def test_every_dtype_there_and_back(dtype):
    array = np.array([[0, 1, 2], [4, 8, 1]]).astype(np.dtype(dtype))
    for tensor in (to_tensor(array), to_tensor(array).t().contiguous().t()):  # the second with its strides reversed
        assert str(tensor.dtype) == f"torch.{dtype}"
        [(suffix, back)] = to_arrays(tensor)
        assert suffix == ""
        assert back.dtype == array.dtype
        assert back.tobytes() == array.tobytes()


def test_layouts_become_parts():
    dense = torch.tensor([[0.0, 2.0], [3.0, 0.0]])
    for make in (dense.to_sparse_coo, dense.to_sparse_csc, dense.to_sparse_csr):
        parts = dict(to_arrays(zoo.quietly(make)))
        rebuilt = np.zeros(parts[".shape"])
        rebuilt[tuple(parts[".indices"])] = parts[".values"]
        assert np.array_equal(rebuilt, dense.numpy())
    channels = torch.quantize_per_channel(dense, torch.tensor([0.5, 1.0]), torch.tensor([0, 1]), 0, torch.qint8)
    parts = dict(to_arrays(channels))
    assert parts[".scale"].tolist() == [0.5, 1.0]
    assert parts[".zero_point"].tolist() == [0, 1]
    assert parts[".axis"] == 0
    ragged = zoo.quietly(torch.nested.nested_tensor, [torch.ones(2, 3), torch.zeros(1, 3)])
    parts = dict(to_arrays(ragged))
    assert parts[".row_splits"].tolist() == [0, 2, 3]
    assert parts[".values"].shape == (3, 3)
    assert dict(to_arrays(dense.to_mkldnn()))[""].tolist() == dense.tolist()
    half = torch.tensor([1 + 2j], dtype=torch.complex64).to(torch.complex32)
    assert dict(to_arrays(half))[""].tolist() == [1 + 2j]
    assert dict(to_arrays(torch.tensor([1 + 2j]).conj().imag))[""].tolist() == [-2.0]  # a negated view


# Live objects


def test_adopting_leaves_the_object_alone(opened):
    made = zoo.scripted_cnn()
    before = str(made.module.graph)
    made.module.train()
    session = torchscript.adopt(made.module)
    values, outputs = capture(session, made.batch)
    assert ("conv1", 0, "out0") in values
    assert made.module.training
    assert str(made.module.graph) == before
    made.module.eval()
    with torch.no_grad():
        assert np.array_equal(made.module(torch.from_numpy(made.batch["image"])).numpy(), outputs["out0"])


def test_adopting_something_else():
    assert torchscript.adopt(object()) is None
    assert torchscript.adopt(torch.nn.Linear(2, 2)) is None


def test_closed_session(opened):
    session, made, _ = opened("scripted_cnn")
    session.close()
    with pytest.raises(ValueError, match="closed"):
        capture(session, made.batch)
