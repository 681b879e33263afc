"""What a TorchScript file tells without torch."""

import io
import json
import pickle
import subprocess
import sys
import zipfile
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn
from zoo import torchscript as zoo
from zoo.samples import HOME

from kmr_cli.errors import ModelFileError, ModelLoadError, ModelRunError
from kmr_cli.formats import detect, torchscript
from kmr_cli.formats.interface import Format, OpenOptions, Taps
from kmr_cli.formats.torchscript.describe import flow
from kmr_cli.formats.torchscript.describe.archive import Archive, Shell
from kmr_cli.formats.torchscript.describe.code import Code, type_name
from kmr_cli.formats.torchscript.describe.description import describe_archive
from kmr_cli.formats.torchscript.describe.pickled import EXPORT
from kmr_cli.records import TensorSpec

OPTIONS = OpenOptions()
HINT = f"export the model: {EXPORT}"


@pytest.fixture
def saved(tmp_path):
    return lambda module: zoo.save(module, tmp_path / "model.pt")


@pytest.fixture
def describe(saved):
    """Describe a model of the zoo, or one given."""

    def make(what):
        module = zoo.MODELS[what]().module if isinstance(what, str) else what
        return torchscript.describe(saved(module), OPTIONS)

    return make


def by_path(info):
    return {layer.path: layer for layer in info.layers}


def test_fulfils_the_protocol():
    names = [*Format.__annotations__, "matches", "describe", "open", "adopt"]
    assert all(hasattr(torchscript, name) for name in names)
    assert torchscript.NAME == "torchscript"


def test_tree_types_and_parameters(describe):
    info = describe("scripted_cnn")
    assert [(layer.path, layer.type, layer.parameters, layer.calls) for layer in info.layers] == [
        ("conv1", "Conv2d", 112, 1),
        ("bn1", "BatchNorm2d", 8, 1),
        ("relu", "ReLU", 0, 2),
        ("conv2", "Conv2d", 222, 1),
        ("pool", "AdaptiveAvgPool2d", 0, 1),
        ("head", "Linear", 35, 1),
    ]
    assert info.parameters == 112 + 8 + 222 + 35
    assert info.inputs == (TensorSpec("image", (None, 3, None, None), "float32"),)
    assert info.outputs == (TensorSpec("out0"),)
    assert (info.format, info.separator, info.free_dims) == ("torchscript", ".", False)
    assert info.writer.startswith("PyTorch (TorchScript archive version ")
    assert info.writer.removeprefix("PyTorch (TorchScript archive version ").rstrip(")").isdigit()
    assert by_path(info)["conv1"].dtype == "float32"


def test_the_version_is_read_where_a_new_operator_raises_it(tmp_path):
    torch.jit.script(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.GELU())).save(str(tmp_path / "gelu.pt"))
    with zipfile.ZipFile(tmp_path / "gelu.pt") as members:
        number = members.read("gelu/.data/version").decode().strip()
    assert int(number) > 3
    assert torchscript.describe(tmp_path / "gelu.pt", OpenOptions()).writer.endswith(f" version {number})")


@pytest.mark.parametrize("name", zoo.MODELS)
def test_parameters_are_those_of_the_python_module(describe, name):
    info = describe(name)
    made = zoo.MODELS[name]()
    if name.startswith("frozen"):  # normalisation is folded into the first convolution
        assert info.parameters == sum(p.numel() for p in made.eager.parameters()) - 8
        return
    if name == "quantized_dynamic":
        assert info.parameters == 4 * 8 + 8 + 8 * 2 + 2
        return
    assert info.parameters == sum(p.numel() for p in made.eager.parameters())
    modules = dict(made.eager.named_modules(remove_duplicate=False))
    for layer in info.layers:
        module = modules[layer.path]
        assert layer.parameters == sum(p.numel() for p in module.parameters()), layer.path
        assert layer.type == type(module).__name__
    assert [layer.path for layer in info.layers] == [path for path in modules if path]


def test_shared_parameters_count_once(describe):
    info = describe("aliased")
    assert {path: layer.parameters for path, layer in by_path(info).items()} == {"first": 20, "second": 20, "tied": 20}
    assert info.parameters == 20 + 4  # the tied layer adds its bias alone


def test_calls_and_what_is_never_called(describe):
    layers = by_path(describe("encode_method"))
    assert layers["encoder"].calls == 1
    assert layers["encoder"].untappable is None
    assert layers["encoder.unused"].calls == 0
    assert layers["encoder.unused"].untappable == "never called in forward"
    layers = by_path(describe("containers"))
    assert [layers[f"blocks.{i}.fc"].calls for i in range(3)] == [1, 2, 2]
    assert layers["blocks"].untappable == layers["named"].untappable == "never called in forward"
    assert layers["tail"].untappable is None


def test_calls_that_only_a_run_can_tell(describe):
    layers = by_path(describe("branching"))
    assert {path: layers[path].calls for path in ("high", "low", "step", "low.fc", "last")} == {
        "high": None, "low": None, "step": None, "low.fc": None, "last": 1
    }  # fmt: skip
    layers = by_path(describe("interface_list"))
    assert layers["steps.0"].calls is layers["steps.1.norm"].calls is None
    assert layers["steps.0"].untappable is None
    layers = by_path(describe("early_return"))
    assert layers["one"].calls is layers["two"].calls is None


def test_forked_tasks_are_followed(describe):
    layers = by_path(describe("forking"))
    assert layers["right.one"].calls == layers["right.one.fc"].calls == layers["right"].calls == 1
    assert layers["left"].calls is None  # also forked in a loop
    assert layers["join"].calls == 1


def test_helper_methods_are_not_calls(describe):
    """Attention's own forward calls helpers of its class, and a layer around it calls one of them too."""
    layers = by_path(describe("transformer_encoder"))
    assert layers["layers.0.self_attn"].calls is None
    assert layers["layers.0.self_attn.out_proj"].untappable == "never called in forward"
    assert by_path(describe("scripted_lstm"))["rnn"].calls == 1


# Inputs and outputs


def test_structured_inputs(describe):
    info = describe("structured_inputs")
    assert [spec.name for spec in info.inputs] == list(zoo.MODELS["structured_inputs"]().batch)
    specs = {spec.name: spec for spec in info.inputs}
    assert specs["pair.image"] == TensorSpec("pair.image", (None, 2, None, None), "float32")
    assert specs["table.left"].dtype == "float32"
    assert [spec.name for spec in info.outputs] == ["out0", "out1", "out2"]
    assert info.notes == (
        "forward's optional argument 'mask' (Optional[Tensor]) is left out; --input mask=FILE gives it",
        "forward's optional argument 'scale' (float) is left out; --constant scale=VALUE gives it",
    )
    assert info.unseen == ("values of forward's optional arguments 'mask', 'scale', left out here",)


def test_output_names(describe):
    assert [spec.name for spec in describe("structures").outputs] == ["first", "last", "sum"]
    assert [spec.name for spec in describe("named_output").outputs] == ["image", "extra"]


class _Consumes(nn.Module):
    def __init__(self, layer, before=None):
        super().__init__()
        self.layer = layer
        self.before = before if before is not None else nn.Identity()

    def forward(self, x):
        return self.layer(self.before(x))


class _Permute(nn.Module):
    def forward(self, x):
        return x.permute(0, 3, 1, 2)


class _Transpose(nn.Module):
    def forward(self, x):
        return x.transpose(1, 2)


class _Unsqueeze(nn.Module):
    def forward(self, x):
        return x.unsqueeze(1)


class _Cast(nn.Module):
    def forward(self, x):
        return x.float() / 255


class _Flatten(nn.Module):
    def forward(self, x):
        return x.flatten(1)


@pytest.mark.parametrize("how", [zoo.script, zoo.trace])
@pytest.mark.parametrize(
    ("layer", "before", "shape", "dtype", "limit", "example"),
    [
        (nn.Conv2d(3, 4, 3), None, (None, 3, None, None), "float32", None, (2, 3, 5, 5)),
        (nn.Conv2d(6, 6, 3, groups=3), None, (None, 6, None, None), "float32", None, (2, 6, 5, 5)),
        (nn.Conv1d(3, 4, 2), None, (None, 3, None), "float32", None, (2, 3, 5)),
        (nn.Conv3d(2, 4, 1), None, (None, 2, None, None, None), "float32", None, (2, 2, 3, 3, 3)),
        (nn.ConvTranspose2d(5, 2, 2), None, (None, 5, None, None), "float32", None, (2, 5, 3, 3)),
        (nn.Conv2d(3, 4, 3).bfloat16(), None, (None, 3, None, None), "bfloat16", None, (2, 3, 5, 5)),
        (nn.Conv2d(3, 4, 3), _Permute(), (None, None, None, 3), "float32", None, (2, 5, 5, 3)),
        (nn.Conv1d(3, 4, 2), _Transpose(), (None, None, 3), "float32", None, (2, 5, 3)),
        (nn.Conv1d(1, 4, 2), _Unsqueeze(), (None, None), "float32", None, (2, 5)),
        (nn.Conv2d(3, 4, 3), _Cast(), (None, 3, None, None), None, None, (2, 3, 5, 5)),
        (nn.MaxPool2d(2), nn.ReLU(), (None, None, None, None), None, None, (2, 3, 4, 4)),
        (nn.BatchNorm2d(3), nn.Conv2d(2, 3, 1), (None, 2, None, None), "float32", None, (2, 2, 4, 4)),
        (nn.LSTM(4, 3, batch_first=True), None, (None, None, 4), "float32", None, (2, 5, 4)),
        (nn.Linear(4, 3), None, None, "float32", None, (2, 4)),  # takes any rank
        (nn.Embedding(7, 3), None, None, "int64", 7, (2, 4)),  # indices of any rank
        (nn.LSTM(3, 3, batch_first=True), nn.Embedding(7, 3), (None, None), "int64", 7, (2, 4)),
        (nn.Conv2d(3, 4, 3).double(), None, (None, 3, None, None), "float64", None, (2, 3, 5, 5)),
        (nn.Linear(4, 3), _Flatten(), None, None, None, (2, 4)),
    ],
)
def test_input_as_far_as_the_code_tells(describe, how, layer, before, shape, dtype, limit, example):
    module = _Consumes(layer, before).eval()
    parameter = next(module.parameters(), torch.ones(()))
    kind = torch.int64 if dtype == "int64" else parameter.dtype
    made = how(module) if how is zoo.script else how(module, torch.ones(example, dtype=kind))
    info = describe(made)
    # Scripted, recurrent layers take one sequence too; pools one image, whatever wrote the file.
    one_sample_too = isinstance(layer, nn.MaxPool2d) or (isinstance(layer, nn.LSTM) and how is zoo.script)
    presumed = ("rank",) if one_sample_too else ()
    assert info.inputs == (TensorSpec("x", shape, dtype, limit, presumed=presumed),)


def test_attention_mostly_takes_three_dimensions(describe):
    assert describe("attention").inputs == (TensorSpec("x", (None, None, 8), "float32", presumed=("rank",)),)
    assert describe("transformer_encoder").inputs == (
        TensorSpec("src", (None, None, 8), "float32", presumed=("rank",)),
    )


class _Contradicts(nn.Module):
    def __init__(self):
        super().__init__()
        self.two, self.one = nn.Conv2d(3, 4, 1), nn.Conv1d(3, 4, 1)

    def forward(self, x):
        return self.two(x) if x.dim() == 4 else self.one(x)


def test_contradictions_are_not_facts(describe):
    assert describe(zoo.script(_Contradicts())).inputs == (TensorSpec("x", None, "float32", presumed=("dtype",)),)


class _NotTensors(nn.Module):
    def forward(self, x: torch.Tensor, count: int) -> torch.Tensor:
        return x * count


def test_arguments_that_cannot_be_fed(saved):
    path = saved(zoo.script(_NotTensors()))
    note = "forward's argument 'count' (int) cannot be fed from a batch; --constant count=VALUE gives it"
    assert note in torchscript.describe(path, OPTIONS).notes
    with pytest.raises(ModelLoadError, match=r"argument 'count' \(int\) cannot be fed") as caught:
        torchscript.open(path, OPTIONS)
    assert caught.value.hint == "--constant count=VALUE gives it"


def test_module_without_forward(saved):
    path = saved(zoo.script(nn.LSTM(3, 4)))  # it has forward__0 and forward__1
    assert torchscript.describe(path, OPTIONS).layers == ()
    with pytest.raises(ModelLoadError, match="no method forward"):
        torchscript.open(path, OPTIONS)


# Models without submodules


def test_operators_of_a_frozen_model(describe):
    info = describe("frozen_cnn")
    assert [(layer.path, layer.type, layer.parameters) for layer in info.layers] == [
        ("conv2d", "conv2d", 112),
        ("relu_", "relu_", 0),
        ("conv2d_1", "conv2d", 222),
        ("relu__1", "relu_", 0),
        ("adaptive_avg_pool2d", "adaptive_avg_pool2d", 0),
        ("flatten", "flatten", 0),
        ("linear", "linear", 35),
    ]
    assert info.inputs == (TensorSpec("image", (None, 3, None, None), "float32"),)
    assert any("operators of forward" in note for note in info.notes)


class _Clashes(nn.Module):
    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, x):
        task = torch.jit.fork(torch.neg, x)
        y = torch.relu(x) if bool(x.sum() > 0) else torch.abs(x)
        return self._twice(y) + torch.jit.wait(task) + torch.relu(y)

    def _twice(self, x):
        return x * 2


def test_operators_in_branches_methods_and_tasks(saved):
    path = saved(zoo.script(_Clashes()))
    info = torchscript.describe(path, OPTIONS)
    session = torchscript.open(path, OPTIONS)
    values = []
    taps = Taps(tuple(layer.path for layer in session.layers if not layer.untappable))
    session.capture({"x": np.ones((2, 3), np.float32)}, taps, lambda layer, call, port, array: values.append(layer))
    layers = by_path(info)
    assert layers["relu"].untappable == "never called in forward"
    assert {"neg", "sum", "relu_1", "abs", "_twice", "relu_2"} <= layers.keys()
    assert layers["relu_1"].calls is layers["abs"].calls is None
    assert {"neg", "relu_1", "_twice", "relu_2"} <= set(values)
    assert "abs" not in values


def test_a_function(saved):
    path = saved(zoo.quietly(torch.jit.trace, lambda x: torch.relu(x) * 2, torch.ones(2, 3)))
    assert [layer.path for layer in torchscript.describe(path, OPTIONS).layers] == ["relu", "mul"]


# Names


def test_mangling_is_removed():
    assert type_name("__torch__.torch.nn.modules.conv.___torch_mangle_3.Conv2d") == "Conv2d"
    assert type_name("__torch__.___torch_mangle_12.Net") == "Net"


class _Named(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.table = nn.ModuleDict({name: nn.Linear(2, 2)})

    def forward(self, x):
        for layer in self.table.values():
            x = layer(x)
        return x


@pytest.mark.parametrize(
    "name",
    ["lambda", "from", "try", "await", "1x", "a b", "a-b", "-1", "a/b", "torch", "self", "match"],
)
def test_odd_names(saved, name):
    path = saved(zoo.script(_Named(name)))
    info = torchscript.describe(path, OPTIONS)
    layer = by_path(info).get(f"table.{name}")
    assert layer is not None
    assert layer.calls == 1
    session, seen = torchscript.open(path, OPTIONS), []
    session.capture({"x": np.ones((1, 2), np.float32)}, Taps((layer.path,)), lambda *tap: seen.append(tap[:3]))
    assert seen == [(layer.path, 0, "in0"), (layer.path, 0, "out0")]


def test_keywords_inside_text_stay_as_they_are():
    code = Code({"__torch__": 'def f(from: Tensor) -> str:\n  x = "from \\" lambda"\n  return x\n'})
    function = code.functions["__torch__.f"]
    assert function.args.args[0].arg == "from"
    assert function.body[0].value.value == 'from " lambda'
    assert code.unreadable == []


# Without torch


def test_no_framework_is_imported(saved):
    path = saved(zoo.scripted_cnn().module)
    program = (
        "import sys, json; from pathlib import Path; from kmr_cli.formats import torchscript as t\n"
        "from kmr_cli.formats.interface import OpenOptions\n"
        f"p = Path({str(path)!r}); info = t.describe(p, OpenOptions())\n"
        "print(json.dumps([t.matches(p), len(info.layers), t.adopt(object()), 'torch' in sys.modules]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [True, 6, None, False]


def test_without_torch_the_extra_is_named(saved):
    path = saved(zoo.scripted_cnn().module)
    program = (
        "import sys\n"
        "class Absent:\n"
        "  def find_spec(self, name, path=None, target=None):\n"
        "    if name == 'torch': raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from pathlib import Path; from kmr_cli.formats import torchscript as t\n"
        "from kmr_cli.formats.interface import OpenOptions\n"
        "from kmr_cli.errors import MissingFrameworkError\n"
        f"try: t.open(Path({str(path)!r}), OpenOptions())\n"
        "except MissingFrameworkError as exc: print(exc.message, '|', exc.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "torch" in done.stdout
    assert "pip install 'kmr-inspect[torch]'" in done.stdout


# Damaged files, and files of other kinds


def refused(path):
    with pytest.raises(ModelFileError) as by_detection:
        detect(path).describe(path, OPTIONS)
    with pytest.raises(ModelFileError) as by_name:
        torchscript.describe(path, OPTIONS)
    with pytest.raises(ModelFileError):
        torchscript.open(path, OPTIONS)
    assert str(path) in by_name.value.message
    assert by_detection.value.message == by_name.value.message
    return by_name.value


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}])
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"weight": torch.ones(2)}, "weights alone"),
        (nn.Linear(2, 2).state_dict(), "weights alone"),
        (torch.ones(2), "weights alone"),
        (nn.Linear(2, 2), "an eager model, pickled by torch.save (torch.nn.modules.linear.Linear)"),
        (zoo.scripted_cnn, "an eager model, pickled by torch.save (zoo.torchscript.scripted_cnn)"),
    ],
)
def test_what_torch_save_pickled(tmp_path, what, said, options):
    torch.save(what, tmp_path / "m.pt", **options)
    error = refused(tmp_path / "m.pt")
    assert said in error.message
    assert EXPORT in error.hint


def test_what_the_hint_exports_takes_every_batch_size(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(EXPORT, {"torch": torch, "model": nn.Linear(2, 3), "batch": torch.ones(4, 2)})
    path = tmp_path / "model.pt2"
    (given,) = detect(path).describe(path, OPTIONS).inputs
    assert given.shape == (None, 2)


@pytest.mark.parametrize("protocol", [2, 4])
def test_what_something_else_pickled(tmp_path, protocol):
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(Fraction(1, 2), protocol))
    assert "a Python pickle of fractions.Fraction, which is not loaded" in refused(tmp_path / "m.pkl").message


def test_exported_program(tmp_path):
    path = tmp_path / "m.pt2"
    torch.export.save(torch.export.export(nn.Linear(2, 2), (torch.ones(1, 2),)), path)
    assert detect(path).NAME == "pt2"
    with pytest.raises(ModelFileError, match=r"a program of torch\.export"):
        torchscript.describe(path, OPTIONS)


@pytest.mark.parametrize("part", [0.999, 0.5, 0.1])
def test_cut_file(saved, part):
    path = saved(zoo.scripted_cnn().module)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    assert "cut short" in refused(path).message


def test_empty_file(tmp_path):
    (tmp_path / "m.pt").write_bytes(b"")
    assert "empty" in refused(tmp_path / "m.pt").message


def test_flipped_bytes(saved):
    path = saved(zoo.scripted_cnn().module)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as members:
        info = next(info for info in members.infolist() if info.filename.endswith("data.pkl"))
    start = info.header_offset + 200
    content[start : start + 20] = bytes(20)
    path.write_bytes(bytes(content))
    with pytest.raises(ModelFileError, match="damaged"):
        torchscript.describe(path, OPTIONS)


def test_a_pickle_that_names_something_else_is_refused(saved):
    class Evil:
        def __reduce__(self):
            return print, ("ran",)

    path = saved(zoo.scripted_cnn().module)
    zoo.rewrite(path, lambda name, content: pickle.dumps(Evil(), 2) if name.endswith("data.pkl") else content)
    with pytest.raises(ModelFileError, match=r"refused: it names (__builtin__|builtins)\.print"):
        torchscript.describe(path, OPTIONS)


def test_a_state_dict_inside_an_archive_with_code(saved):
    path = saved(zoo.scripted_cnn().module)
    zoo.rewrite(path, lambda name, content: pickle.dumps({"a": 1}, 2) if name.endswith("data.pkl") else content)
    with pytest.raises(ModelFileError, match="holds a pickled state dict") as caught:
        torchscript.describe(path, OPTIONS)
    assert caught.value.hint == HINT


def test_archives_of_old_versions(saved):
    path = saved(zoo.scripted_cnn().module)
    zoo.rewrite(path, lambda name, content: None if name.endswith((".pkl", ".debug_pkl")) else content)
    with zipfile.ZipFile(path, "a") as members:
        members.writestr("model/model.json", "{}")
    with pytest.raises(ModelFileError, match=r"PyTorch 1\.3 or older"):
        torchscript.describe(path, OPTIONS)


def test_code_that_cannot_be_read(saved):
    """The tree and the parameters are still told."""
    path = saved(zoo.scripted_cnn().module)
    broken = b"class Cnn(Module\n"
    zoo.rewrite(path, lambda name, content: broken if name.endswith("zoo/torchscript.py") else content)
    info = torchscript.describe(path, OPTIONS)
    assert [layer.path for layer in info.layers] == ["conv1", "bn1", "relu", "conv2", "pool", "head"]
    assert info.layers[0].calls is None
    assert any("could not be parsed" in note for note in info.notes)


def test_code_that_calls_without_end(saved, monkeypatch):
    """Calls that double at every level are given up, and said so."""
    monkeypatch.setattr(flow, "_BUDGET", 20_000)
    path = saved(zoo.scripted_cnn().module)
    doubling = "".join(
        f"def f{i}(x: Tensor) -> Tensor:\n  return torch.add(__torch__.f{i + 1}(x, ), __torch__.f{i + 1}(x, ))\n"
        for i in range(60)
    )

    def bomb(name, content):
        if not name.endswith("zoo/torchscript.py"):
            return content
        head, tail = content.split(b"    conv1 = self.conv1\n", 1)
        return head + b"    bomb = __torch__.f0(image, )\n    conv1 = self.conv1\n" + tail

    zoo.rewrite(path, bomb)
    with zipfile.ZipFile(path, "a") as members:
        members.writestr("model/code/__torch__.py", doubling)
    info = torchscript.describe(path, OPTIONS)
    assert any("could not be followed" in note for note in info.notes)
    assert {layer.calls for layer in info.layers} == {None}


def test_modules_that_hold_each_other():
    """A pickle whose modules refer to each other doubles the paths at every level."""
    inner = Shell()
    inner.state = {"training": False}
    for _ in range(17):
        outer = Shell()
        outer.state = {"training": False, "one": inner, "two": inner}
        inner = outer
    with pytest.raises(ModelFileError, match="more than 50000 ways"):
        describe_archive(Archive("3", inner, ()), "m.pt")


# What torch cannot load or run


def test_operator_that_is_not_registered(saved):
    path = saved(zoo.frozen_cnn().module)
    zoo.rewrite(path, lambda name, content: content.replace(b"torch.relu_(", b"ops.torchvision.nms("))
    assert "nms" in by_path(torchscript.describe(path, OPTIONS))
    with pytest.raises(ModelLoadError, match=r"the operator torchvision::nms, which is not registered") as caught:
        torchscript.open(path, OPTIONS)
    assert "torchvision" in caught.value.hint
    assert "--import" in caught.value.hint
    zoo.rewrite(path, lambda name, content: content.replace(b"ops.torchvision.nms(", b"ops.mine.special("))
    with pytest.raises(ModelLoadError, match=r"mine::special") as caught:
        torchscript.open(path, OPTIONS)
    assert "--import MODULE" in caught.value.hint


def test_class_that_is_not_registered(saved):
    path = saved(zoo.quantized_dynamic().module)
    old, new = b"__torch__.torch.classes.quantized", b"__torch__.torch.classes.quantizeX"
    zoo.rewrite(path, lambda name, content: content.replace(old, new))
    with pytest.raises(ModelLoadError, match=r"quantizeX\.LinearPackedParamsBase.* not registered") as caught:
        torchscript.open(path, OPTIONS)
    assert "--import MODULE" in caught.value.hint


def test_import_makes_operators_known(saved, tmp_path, monkeypatch):
    (tmp_path / "kmr_test_operators.py").write_text(
        "import torch\nlibrary = torch.library.Library('kmrtest', 'DEF')\n"
        "library.define('double(Tensor x) -> Tensor')\n"
        "library.impl('double', lambda x: x * 2, 'CompositeExplicitAutograd')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    path = saved(zoo.frozen_cnn().module)
    zoo.rewrite(path, lambda name, content: content.replace(b"torch.relu_(", b"ops.kmrtest.double("))
    with pytest.raises(ModelLoadError, match="kmrtest::double"):
        torchscript.open(path, OPTIONS)
    session = torchscript.open(path, OpenOptions(imports=("kmr_test_operators",)))
    seen = {}
    session.capture(
        zoo.frozen_cnn().batch, Taps(("double",)), lambda layer, call, port, array: seen.setdefault(port, array.copy())
    )
    assert np.array_equal(seen["out0"], seen["in0"] * 2)


def test_saved_on_a_graphics_card(saved):
    """Weights that lay on a device when they were saved are read to the CPU."""
    made = zoo.scripted_cnn()
    path = saved(made.module)
    cpu, cuda = (b"X" + len(word).to_bytes(4, "little") + word for word in (b"cpu", b"cuda:0"))

    def change(name, content):
        return content.replace(cpu, cuda) if name.endswith("data.pkl") else content

    zoo.rewrite(path, change)
    with zipfile.ZipFile(path) as members:
        assert b"cuda:0" in members.read("model/data.pkl")
    outputs = torchscript.open(path, OPTIONS).capture(made.batch, Taps(()))
    with torch.no_grad():
        assert np.array_equal(outputs["out0"], made.module(torch.from_numpy(made.batch["image"])).numpy())


class _Demanding(nn.Module):
    def forward(self, x):
        return x + torch.zeros(x.size(1), device=torch.device("cuda"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="the device is there")
def test_device_in_the_code(saved):
    path = saved(zoo.script(_Demanding()))
    assert "the code asks for the device cuda" in torchscript.describe(path, OPTIONS).notes
    session = torchscript.open(path, OPTIONS)
    with pytest.raises(ModelRunError, match=r"its code runs on CUDA, which is not available here") as caught:
        session.capture({"x": np.ones((2, 3), np.float32)}, Taps(()))
    assert "to the CPU" in caught.value.hint


def test_damage_that_only_torch_sees(saved):
    path = saved(zoo.scripted_cnn().module)
    zoo.rewrite(path, lambda name, content: None if name.endswith("data/0") else content)
    assert torchscript.describe(path, OPTIONS).parameters == 377
    with pytest.raises(ModelFileError, match="damaged"):
        torchscript.open(path, OPTIONS)


def test_bytes_in_memory():
    buffer = io.BytesIO()
    zoo.quietly(torch.jit.save, zoo.scripted_cnn().module, buffer)
    assert len(torchscript._describe(buffer, "live").info.layers) == 6


def test_damage_inside_a_member_is_one_error(tmp_path):
    packed = tmp_path / "packed.pt"
    with zipfile.ZipFile(HOME / "digits_scripted.pt") as source, zipfile.ZipFile(packed, "w", 8) as target:
        for member in source.namelist():
            target.writestr(member, source.read(member))
        start = target.getinfo("digits_scripted/data.pkl").header_offset
    data = bytearray(packed.read_bytes())
    damaged = 0
    for place in range(start, start + 400, 7):
        data[place] ^= 0xFF
        packed.write_bytes(data)
        try:
            torchscript.describe(packed, OpenOptions())
        except ModelFileError:
            damaged += 1
        data[place] ^= 0xFF
    assert damaged > 20
