# ruff: noqa: UP006, UP035  (every torch reads the old spellings of types)
"""TorchScript files as people have them: what is in them that most examples do not show."""

import enum
from typing import Dict, List, Tuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from zoo import torchscript as zoo

from kmr_cli import open_model
from kmr_cli.errors import BatchError, ModelFileError, ModelLoadError
from kmr_cli.formats.torchscript.run import failures, instrument


@pytest.fixture
def saved(tmp_path):
    return lambda module: zoo.save(module, tmp_path / "model.pt")


@pytest.fixture
def opened(saved):
    """Save a model, and open it in this process."""

    def open_it(module, **options):
        path = saved(module if isinstance(module, torch.jit.ScriptModule) else zoo.script(module))
        return open_model(path, in_process=True, **options)

    return open_it


def ways(report):
    """The methods that a report says it did not examine."""
    return [line for line in report.not_examined if line.startswith("method ")]


def unproven(report):
    """Why a report has no proof."""
    return next(line for line in report.not_examined if "proof" in line)


def normal(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


class Layout(enum.Enum):
    PLANES = "planes"
    ROWS = "rows"


class Size(enum.Enum):
    SMALL = 3
    LARGE = 11


class Patches(nn.Module):
    layout: Layout
    size: Size

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 4, 4)
        self.layout, self.size = Layout.ROWS, Size.LARGE

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if self.layout == Layout.ROWS and self.size == Size.LARGE:
            x = x.flatten(2).transpose(1, 2)
        return x


def test_members_of_an_enum_are_read(opened):
    with opened(Patches()) as model:
        assert [layer.path for layer in model.layers] == ["conv"]
        assert model.info.parameters == 3 * 8 * 16 + 8
        assert model.check_batch_axis({"x": normal(5, 3, 8, 8)}).verdict == "pass"


def test_members_of_an_enum_that_nobody_imported(saved):
    with open_model(saved(zoo.script(Patches()))) as model:
        report = model.check_batch_axis({"x": normal(5, 3, 8, 8)})
    assert report.verdict == "pass"
    assert "holds a value that only TorchScript has, such as a member of an Enum" in unproven(report)


def test_a_value_without_a_counterpart_in_python_is_none():
    def hidden():
        raise RuntimeError("Unknown reference to ScriptClass __torch__.Layout. (Did you forget to import it?)")

    assert instrument._in_python(hidden) is None
    assert instrument._in_python(lambda: 3) == 3


class Forces(nn.Module):
    def __init__(self, leaks=False):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
        self.leaks = leaks

    def forward(self, pos: Tensor) -> Tuple[Tensor, Tensor]:
        pos = pos.detach().requires_grad_(True)
        energy = self.net(pos).sum(dim=[1, 2])
        if self.leaks:
            energy = energy * energy.sum()
        grad = torch.autograd.grad([energy.sum()], [pos])[0]
        assert grad is not None
        return energy, -grad


def test_a_gradient_is_taken_inside_forward(opened):
    pos = normal(6, 5, 3)
    eager = Forces()
    with opened(eager) as model:
        report = model.check_batch_axis({"pos": pos})
        assert report.verdict == "pass"
        assert "takes gradients (torch.autograd.grad)" in unproven(report)
        (record,) = model.sample("net.1", 2, {"pos": pos}, side="out")
        right = torch.tanh(eager.net[0](torch.from_numpy(pos)))[2]
        np.testing.assert_array_equal(record.value, right.detach().numpy())
    with opened(Forces(leaks=True)) as model:
        assert model.check_batch_axis({"pos": pos}).verdict == "fail"


def test_nothing_is_recorded_where_no_gradient_is_taken(saved):
    from kmr_cli.formats.torchscript.run.instrument import Loaded

    assert Loaded(str(saved(zoo.script(Forces())))).takes_gradients
    assert not Loaded(str(saved(zoo.script(nn.Linear(3, 2))))).takes_gradients


def test_a_file_optimized_for_inference_is_explained(opened):
    net = nn.Sequential(nn.Conv2d(2, 1, (1, 2)), nn.ReLU()).eval()
    fast = zoo.quietly(torch.jit.optimize_for_inference, zoo.trace(net, torch.rand(1, 2, 2, 2)))
    with opened(fast) as model, pytest.raises(ModelLoadError, match=r"optimized for inference.*mkldnn") as raised:
        model.check_batch_axis({"input": normal(4, 2, 2, 2)})
    assert "before torch.jit.optimize_for_inference" in raised.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "Unknown type name '__torch__.torch.classes.xnnpack.Conv2dOpContext':",
        "Unknown builtin op: prepacked::conv2d_clamp_run.",
    ],
)
def test_a_file_optimized_for_mobile_is_explained(text):
    error = failures.while_loading("model.ptl", RuntimeError(text))
    assert "optimized for mobile devices" in error.message
    assert "before" in error.hint
    assert "--import" not in error.hint


class Asks(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if self.training else x


class Modes(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.InstanceNorm2d(8, affine=True, track_running_stats=True),
            nn.InstanceNorm2d(8),
            nn.Dropout(0.5),
        )
        self.asks = Asks()
        self.rnn = nn.LSTM(8, 4, 2, dropout=0.2, batch_first=True)
        self.plain = nn.LSTM(4, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        h = self.asks(self.net(x)).flatten(2).transpose(1, 2)
        return self.plain(self.rnn(h)[0])[0]


def test_every_layer_that_training_changes_is_named(saved):
    training = zoo.quietly(torch.jit.script, Modes().train())
    with open_model(saved(training)) as model:
        assert model.info.trains == ("net.1", "net.3", "asks", "rnn")


class Mlp(nn.Module):
    def __init__(self, between):
        super().__init__()
        self.l1, self.between, self.bn = nn.Linear(8, 16), between, nn.BatchNorm1d(16)
        self.l2 = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.l2(self.bn(self.between(self.l1(x))))


class Ids(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb, self.out = nn.Embedding(50, 8), nn.Linear(8, 2)

    def forward(self, ids: Tensor) -> Tensor:
        return self.out(self.emb(ids).mean(1))


@pytest.mark.parametrize("between", [nn.Identity(), nn.ReLU()], ids=["linear", "linear and relu"])
def test_batch_norm_after_a_linear_layer_tells_the_rank(opened, between):
    with opened(Mlp(between)) as model:
        (spec,) = model.inputs
        assert (spec.shape, spec.presumed) == ((None, 8), ("rank",))
        assert model.check_batch_axis().verdict == "pass"
        assert model.check_batch_axis({"x": normal(5, 8)}).verdict == "pass"


def test_the_hint_for_ids_has_one_axis(opened):
    with opened(Ids()) as model, pytest.raises(BatchError) as raised:
        model.check_batch_axis()
    assert raised.value.hint.endswith("--shape N")


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(x)


def test_a_linear_layer_alone_tells_no_rank(opened):
    with opened(Plain()) as model:
        assert model.inputs[0].shape is None


class Voice(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc, self.dec = nn.Conv1d(1, 8, 16, 8), nn.Linear(8, 1)

    def forward(self, x: Tensor, sr: int, scale: float, sizes: List[int], name: str, offset: Tensor) -> Tensor:
        if sr != 16000 or len(sizes) != 2 or name != "voice":
            raise ValueError("unknown rate")
        return self.dec(torch.relu(self.enc(x[:, None])).mean(-1)) * scale + offset + sizes[1]


CONSTANTS = {"sr": 16000, "scale": 2, "sizes": [1, 3], "name": "voice", "offset": 0.5}


def test_arguments_that_are_the_same_for_the_whole_batch(opened):
    x, eager = normal(6, 64), Voice().eval()
    with opened(eager, constants=CONSTANTS) as model:
        assert [spec.name for spec in model.inputs] == ["x"]
        assert model.check_batch_axis({"x": x}).verdict == "pass"
        (record,) = model.sample("dec", 3, {"x": x}, side="out")
        with torch.no_grad():
            right = eager(torch.from_numpy(x), 16000, 2.0, [1, 3], "voice", torch.tensor(0.5))
        np.testing.assert_array_equal(record.value * np.float32(2) + np.float32(0.5) + np.float32(3), right[3].numpy())


def test_what_a_batch_cannot_feed_says_how_to_give_it(opened):
    with opened(Voice()) as model, pytest.raises(ModelLoadError, match="'sr' \\(int\\) cannot be fed") as raised:
        model.check_batch_axis({"x": normal(6, 64), "offset": normal(6, 1)})
    assert "--constant sr=VALUE" in raised.value.hint


@pytest.mark.parametrize(
    ("constants", "said"),
    [
        ({"rate": 1}, "forward has no argument 'rate'"),
        ({"sr": 0.5}, "'sr' is of type int, not 0.5"),
        ({"sr": True}, "'sr' is of type int, not True"),
        ({"sizes": [1, "a"]}, "'sizes' is of type List\\[int\\]"),
        ({"offset": "much"}, "'offset' is of type Tensor"),
    ],
)
def test_constants_that_do_not_fit(opened, constants, said):
    with pytest.raises(ModelFileError, match=said):
        opened(Voice(), constants=constants)


class Prior(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 4)

    def forward(self, image: Tensor, prior: Tensor | None = None, other: Tensor | None = None) -> Tensor:
        h = image.mean((2, 3))
        if prior is not None:
            h = h + prior - prior.mean(0)
        if other is not None:
            h = h * other
        return self.head(h)


def test_an_optional_tensor_is_fed_where_the_batch_names_it(opened):
    image, prior, other = normal(6, 4, 8, 8), normal(6, 4), normal(5, 6, 4)[0]
    with opened(Prior()) as model:
        assert model.check_batch_axis({"image": image}).verdict == "pass"
        assert model.check_batch_axis({"image": image, "prior": prior}).verdict == "fail"
        assert [spec.name for spec in model.inputs] == ["image", "prior"]
        assert model.check_batch_axis({"image": image, "other": other}).verdict == "pass"
        assert model.check_batch_axis({"image": image}).verdict == "pass"
        assert [spec.name for spec in model.inputs] == ["image"]
        assert model.check_batch_axis(shapes={"image": (4, 8, 8), "prior": (4,)}).verdict == "fail"
        with pytest.raises(BatchError, match="no input 'third'"):
            model.check_batch_axis({"image": image, "third": prior})
    assert "--input prior=FILE" in " ".join(model.info.notes)


class Images(nn.Module):
    """Takes a list with one image a sample."""

    def __init__(self, leaks=False):
        super().__init__()
        self.body, self.leaks = nn.Conv2d(3, 4, 3), leaks

    def forward(self, images: List[Tensor]) -> Tensor:
        high = max([image.shape[1] for image in images])
        x = images[0].new_zeros(len(images), 3, high, high)
        for place, image in enumerate(images):
            x[place, :, : image.shape[1], : image.shape[2]] = image
        h = self.body(x)
        return h - h.mean(0) if self.leaks else h


class Levels(nn.Module):
    """Takes a list with one level of a pyramid after the other."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, levels: List[Tensor]) -> Tensor:
        total = torch.zeros(1)
        for level in levels:
            total = total + self.conv(level).mean((2, 3))
        return total


def test_a_list_with_one_tensor_a_sample(opened):
    images, eager = normal(5, 3, 8, 8), Images().eval()
    with opened(eager) as model:
        assert [spec.name for spec in model.inputs] == ["images"]
        assert model.check_batch_axis({"images": images}).verdict == "pass"
        assert model.check_batch_axis(shapes="3,8,8").verdict == "pass"
        (record,) = model.sample("body", 1, {"images": images}, side="out")
        with torch.no_grad():
            np.testing.assert_array_equal(record.value, eager(list(torch.from_numpy(images)))[1].numpy())
    with opened(Images(leaks=True)) as model:
        assert model.check_batch_axis({"images": images}).verdict == "fail"


def test_a_list_whose_members_hold_all_samples(opened):
    levels = {"levels.0": normal(5, 3, 8, 8), "levels.1": normal(5, 3, 4, 4)}
    with opened(Levels()) as model:
        assert model.check_batch_axis(levels).verdict == "pass"
        assert [spec.name for spec in model.inputs] == ["levels.0", "levels.1"]


class Both(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc, self.dec = nn.Linear(6, 3), nn.Linear(3, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.dec(self.helper(x))

    @torch.jit.export
    def encode(self, x: Tensor) -> Tensor:
        z = self.helper(x)
        return z - z.mean(0)

    def helper(self, x: Tensor) -> Tensor:
        return self.enc(x)


class NoForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc, self.dec = nn.Linear(6, 3), nn.Linear(3, 6)

    @torch.jit.export
    def encode(self, x: Tensor) -> Tensor:
        return self.enc(x)

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        return self.dec(z)


def test_an_exported_method_is_named_and_can_be_chosen(opened):
    x, eager = normal(5, 6), Both()
    with opened(eager) as model:
        report = model.check_batch_axis({"x": x})
        assert (report.verdict, ways(report)) == ("pass", ["method 'encode'"])
    with opened(eager, method="encode") as model:
        report = model.check_batch_axis({"x": x})
        assert (report.verdict, ways(report)) == ("fail", ["method 'forward'"])
        assert [layer.untappable for layer in model.layers] == [None, "never called in encode"]
    with pytest.raises(ModelFileError, match="no method 'decode'"):
        opened(eager, method="decode")


def test_a_module_without_forward_names_its_methods(opened):
    refused = pytest.raises(BatchError, match=r"no method forward, but .*encode")
    with opened(NoForward()) as model, refused as raised:
        model.check_batch_axis({"x": normal(5, 6)})
    assert "--method " in raised.value.hint
    assert "Keras" not in str(raised.value) + raised.value.hint
    with opened(NoForward(), method="decode") as model:
        assert model.check_batch_axis({"z": normal(5, 3)}).verdict == "pass"


class Detector(nn.Module):
    """Returns a list of dictionaries, one a sample, of as many boxes as were found."""

    def __init__(self, leaks: str = ""):
        super().__init__()
        self.body, self.cls, self.box = nn.Conv2d(3, 8, 3, 4, 1), nn.Conv2d(8, 2, 1), nn.Conv2d(8, 4, 1)
        self.leaks = leaks

    def forward(self, x: Tensor) -> List[Dict[str, Tensor]]:
        f = torch.relu(self.body(x))
        scores, boxes = self.cls(f).flatten(2).sigmoid(), self.box(f).flatten(2)
        if self.leaks == "values":
            boxes = boxes - boxes.mean(0)
        floor = torch.full([1], 0.5)
        if self.leaks == "number":
            floor = scores.mean()
        found: List[Dict[str, Tensor]] = []
        for i in range(x.shape[0]):
            score, label = scores[i].max(0)
            keep = torch.where(score > floor)[0]
            found.append({"boxes": boxes[i][:, keep].t(), "scores": score[keep], "labels": label[keep]})
        return found


@pytest.mark.parametrize("size", [6, 10])
def test_each_sample_owns_its_element_of_a_list(opened, size):
    with opened(Detector()) as model:
        report = model.check_batch_axis({"x": normal(size, 3, 32, 32)}, size=size)
        assert not [finding for finding in report.findings if finding.severity == "error"]
        assert report.verdict == "pass"


@pytest.mark.parametrize("size", [6, 10])
@pytest.mark.parametrize("leaks", ["values", "number"])
def test_a_leak_into_an_element_of_a_list_is_found(opened, leaks, size):
    with opened(Detector(leaks)) as model:
        report = model.check_batch_axis({"x": normal(size, 3, 32, 32)}, size=size)
        assert report.verdict == "fail"
        assert {"KMR101", "KMR104"} & {finding.rule for finding in report.findings if finding.severity == "error"}


class Pyramid(nn.Module):
    """Returns a list of six levels, of which each holds all samples: no element is one sample's."""

    def forward(self, x: Tensor) -> List[Tensor]:
        return [x * i for i in range(1, 7)]


def test_a_list_as_long_as_the_batch_that_holds_all_samples(opened):
    with opened(Pyramid()) as model:
        assert model.check_batch_axis({"x": normal(6, 4)}).verdict == "pass"
