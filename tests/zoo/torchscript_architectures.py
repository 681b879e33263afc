# ruff: noqa: UP006, UP035, UP045  (every torch reads the old spellings of types)
"""Tiny versions of thirty architectures: each builder gives a Python module and a batch for it."""

from collections.abc import Callable
from typing import Dict, List, Optional, Tuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

Built = tuple[nn.Module, dict[str, np.ndarray]]


def _normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def _tokens(*shape: int, limit: int = 13) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, limit, shape)


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Dropout(0.5), nn.Linear(8, 3), nn.LogSoftmax(-1))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class Residual(nn.Module):
    def __init__(self, width: int, wider: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, wider, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(wider)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(wider, wider, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(wider)
        self.down: Optional[nn.Module] = None
        if stride != 1:
            self.down = nn.Sequential(nn.Conv2d(width, wider, 1, stride, bias=False), nn.BatchNorm2d(wider))

    def forward(self, x: Tensor) -> Tensor:
        kept = x
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        if self.down is not None:
            kept = self.down(x)
        y += kept
        return self.relu(y)


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2))
        self.layer1 = nn.Sequential(Residual(4, 4, 1), Residual(4, 4, 1))
        self.layer2 = nn.Sequential(Residual(4, 8, 2), Residual(8, 8, 1))
        self.pool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.layer2(self.layer1(self.stem(x))))
        return self.fc(torch.flatten(x, 1))


class SqueezeExcite(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(width, 2, 1)
        self.expand = nn.Conv2d(2, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale = x.mean((2, 3), keepdim=True)
        return x * F.hardsigmoid(self.expand(F.relu(self.reduce(scale))), inplace=True)


class MobileNet(nn.Module):
    """Inverted residuals with depthwise convolutions and squeeze-and-excite."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Conv2d(3, 6, 1)
        self.depthwise = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.act = nn.Hardswish(inplace=True)
        self.se = SqueezeExcite(6)
        self.project = nn.Conv2d(6, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.se(self.act(self.depthwise(self.act(self.expand(x)))))
        return (x + self.project(y)).mean([2, 3])


class DenseNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3 + 2 * i, 2, 3, padding=1) for i in range(3)])
        self.norm = nn.BatchNorm2d(9)

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.layers:
            features.append(torch.relu(layer(torch.cat(features, 1))))
        return self.norm(torch.cat(features, 1)).amax((2, 3))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)])
        self.up = nn.ModuleDict({"a": nn.ConvTranspose2d(6, 4, 2, 2), "b": nn.ConvTranspose2d(8, 3, 2, 2)})
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        skips: List[Tensor] = []
        for layer in self.down:
            x = F.leaky_relu(layer(x), 0.1)
            skips.append(x)
            x = self.pool(x)
        x = torch.cat([self.up["a"](x), self.pool(skips[0])], 1)
        return torch.sigmoid(F.interpolate(self.up["b"](x), scale_factor=2.0, mode="nearest"))


class Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(2, 2, 1)
        self.three = nn.Sequential(nn.Conv2d(2, 2, 1), nn.Conv2d(2, 3, 3, padding=1))
        self.pool = nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.Conv2d(2, 1, 1))

    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        y = torch.cat([self.one(x), self.three(x), self.pool(x)], dim=1)
        return y, y.flatten(1).std(1)


class VisionTransformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.positions = nn.Parameter(torch.randn(1, 5, 8))
        self.blocks = nn.Sequential(PreNorm(8), PreNorm(8))
        self.head = nn.Linear(8, 3)

    def forward(self, image: Tensor) -> Tensor:
        x = self.patches(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.size(0), -1, -1), x], 1) + self.positions
        return self.head(self.blocks(x)[:, 0])


class PreNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = SelfAttention(width, 2)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 16), nn.GELU(), nn.Linear(16, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int, causal: bool = False) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.heads = heads
        self.causal = causal

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        qkv = self.qkv(x).reshape(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = qkv[0], qkv[1], qkv[2]
        scores = (query @ key.transpose(-2, -1)) * (width // self.heads) ** -0.5
        if self.causal:
            mask = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()
            scores = scores.masked_fill(~mask, float("-inf"))
        mixed = scores.softmax(-1) @ value
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class Gpt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(13, 8)
        self.places = nn.Embedding(16, 8)
        self.attention = SelfAttention(8, 2, causal=True)
        self.norm = nn.LayerNorm(8)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids) + self.places(torch.arange(ids.size(1)))
        x = self.norm(x + self.attention(x))
        return torch.matmul(x, self.tokens.weight.t())


class Bert(nn.Module):
    """Inputs in a fixed order, one of them a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(13, 8, padding_idx=0)
        self.kinds = nn.Embedding(2, 8)
        self.encoder = nn.ModuleList(
            [nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu") for _ in range(2)]
        )
        self.pooler = nn.Linear(8, 4)

    def forward(self, ids: Tensor, kinds: Tensor, mask: Tensor) -> Dict[str, Tensor]:
        x = self.words(ids) + self.kinds(kinds)
        for layer in self.encoder:
            x = layer(x, src_key_padding_mask=mask == 0)
        return {"hidden": x, "pooled": torch.tanh(self.pooler(x[:, 0]))}


class Seq2Seq(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.transformer = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        return self.transformer(source, target)


class Convolutions1d(nn.Module):
    """Gated, dilated convolutions over time."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.ModuleList([nn.Conv1d(3, 3, 2, dilation=d) for d in (1, 2, 4)])
        self.gates = nn.ModuleList([nn.Conv1d(3, 3, 2, dilation=d) for d in (1, 2, 4)])
        self.out = nn.Conv1d(3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        for filtered, gate in zip(self.filters, self.gates):  # noqa: B905  (TorchScript has no strict=)
            y = torch.tanh(filtered(x)) * torch.sigmoid(gate(x))
            x = x[:, :, -y.size(2) :] + y
        return self.out(x)


class CellLoop(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(3, 4)
        self.out = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        state = torch.zeros(x.size(0), 4)
        outputs: List[Tensor] = []
        for place in range(x.size(1)):
            state = self.cell(x[:, place], state)
            outputs.append(self.out(state))
        return torch.stack(outputs, 1)


class StackedLstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True, dropout=0.3)

    def forward(self, x: Tensor) -> Tuple[Tensor, Tuple[Tensor, Tensor]]:
        return self.lstm(x)


class Decoder(nn.Module):
    """Feeds back what it has decoded, until an end that the data decide."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(13, 4)
        self.cell = nn.LSTMCell(4, 4)
        self.out = nn.Linear(4, 13)

    def forward(self, start: Tensor) -> Tensor:
        hidden = torch.zeros(start.size(0), 4)
        memory = torch.zeros(start.size(0), 4)
        token, steps = start, 0
        while steps < 6 and bool((token != 0).any()):
            hidden, memory = self.cell(self.embed(token), (hidden, memory))
            token = self.out(hidden).argmax(1)
            steps += 1
        return hidden


class Autoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 3, 3, 2), nn.ELU(), nn.Flatten(), nn.Linear(27, 4))
        self.mean = nn.Linear(4, 2)
        self.spread = nn.Linear(4, 2)
        self.decoder = nn.Sequential(nn.Linear(2, 9), nn.Unflatten(1, (1, 3, 3)), nn.ConvTranspose2d(1, 1, 3, 3))

    def encode(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        h = self.encoder(x)
        return self.mean(h), self.spread(h)

    def forward(self, x: Tensor) -> Dict[str, Tensor]:
        mean, spread = self.encode(x)
        return {"image": self.decoder(mean), "mean": mean, "spread": spread.exp()}


class ConvNext(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.norm = nn.LayerNorm(4)
        self.wide = nn.Linear(4, 8)
        self.narrow = nn.Linear(8, 4)
        self.scale = nn.Parameter(torch.full((4,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.mix(x).permute(0, 2, 3, 1))
        y = self.scale * self.narrow(F.gelu(self.wide(y)))
        return x + y.permute(0, 3, 1, 2)


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Linear(5, 5)
        self.channels = nn.Linear(6, 6)
        self.norm = nn.GroupNorm(1, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        x = x + self.tokens(x.transpose(1, 2)).transpose(1, 2)
        return x + self.channels(x)


class Siamese(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Sequential(nn.Linear(5, 4), nn.PReLU(), nn.Linear(4, 4))

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return F.cosine_similarity(self.tower(left), self.tower(right))


class Experts(nn.Module):
    """Rows go to the expert that the gate chooses."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(4, 3)
        self.experts = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])

    def forward(self, x: Tensor) -> Tensor:
        weight, chosen = self.gate(x).softmax(-1).max(-1)
        y = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            rows = torch.nonzero(chosen == number).flatten()
            if rows.numel() > 0:
                y.index_add_(0, rows, expert(x[rows]))
        return y * weight.unsqueeze(-1)


class Recommender(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.user = nn.Embedding(7, 4)
        self.item = nn.Embedding(13, 4)
        self.bag = nn.EmbeddingBag(13, 4, mode="mean")
        self.deep = nn.Sequential(nn.Linear(12, 6), nn.SELU(), nn.Linear(6, 1))

    def forward(self, user: Tensor, item: Tensor, history: Tensor) -> Tensor:
        u, i = self.user(user), self.item(item)
        deep = self.deep(torch.cat([u, i, self.bag(history)], -1))
        return torch.sigmoid((u * i).sum(-1, keepdim=True) + deep)


class GraphNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.message = nn.Linear(4, 4)
        self.update = nn.Linear(8, 4)

    def forward(self, nodes: Tensor, adjacency: Tensor) -> Tensor:
        for _ in range(2):
            gathered = torch.bmm(adjacency, self.message(nodes))
            nodes = torch.relu(self.update(torch.cat([nodes, gathered], -1)))
        return nodes.sum(1)


class PointNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.local = nn.Sequential(nn.Conv1d(3, 8, 1), nn.BatchNorm1d(8), nn.ReLU())
        self.head = nn.Linear(8, 2)

    def forward(self, points: Tensor) -> Tensor:
        features, _ = self.local(points.transpose(1, 2)).max(dim=2)
        return self.head(features)


class Video(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(2, 3, 3, padding=1)
        self.norm = nn.InstanceNorm3d(3, affine=True)
        self.pool = nn.AdaptiveMaxPool3d(1)

    def forward(self, clip: Tensor) -> Tensor:
        return self.pool(self.norm(self.conv(clip))).flatten(1)


class Detector(nn.Module):
    """Returns a list of dictionaries."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 4, 3, 2)
        self.heads = nn.ModuleDict({"boxes": nn.Conv2d(4, 4, 1), "scores": nn.Conv2d(4, 2, 1)})

    def forward(self, image: Tensor) -> List[Dict[str, Tensor]]:
        x = F.silu(self.body(image))
        found: List[Dict[str, Tensor]] = []
        for scale in range(2):
            table: Dict[str, Tensor] = {}
            for name, head in self.heads.items():
                table[name] = head(x * (scale + 1)).flatten(2)
            found.append(table)
        return found


class Einsum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(6, 6, bias=False)
        self.key = nn.Linear(6, 6, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        query = self.query(x).view(x.size(0), -1, 2, 3)
        key = self.key(x).view(x.size(0), -1, 2, 3)
        return torch.einsum("bihd,bjhd->bhij", query, key).softmax(-1)


class FourierMixing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(6)
        self.dense = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        mixed = torch.fft.fft2(x.to(torch.complex64)).real
        return self.dense(self.norm(x + mixed))


class Products(nn.Module):
    """Many products of one matrix, which the executor's optimizer merges into one."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.randn(8, 6, 5))
        self.last = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        w = self.weights
        first = torch.mm(x, w[0]) + torch.mm(x * 2, w[1]) + torch.mm(x * 3, w[2]) + torch.mm(x * 4, w[3])
        rest = [torch.mm(x, w[4]), torch.mm(x, w[5]), torch.mm(x, w[6]), torch.mm(x, w[7])]
        return self.last(first), torch.cat(rest, 1)


class SplitProduct(nn.Module):
    """A product in one layer and the sum outside: what an optimizer could fuse across the tap."""

    def __init__(self) -> None:
        super().__init__()
        self.product = Product()
        self.bias = nn.Parameter(torch.randn(9))

    def forward(self, x: Tensor) -> Tensor:
        y = self.product(x) + self.bias
        return torch.sigmoid(y) * torch.tanh(y) + y * 3.1 - y / 7.3


class Product(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(37, 9))

    def forward(self, x: Tensor) -> Tensor:
        return torch.mm(x, self.weight)


class Counter(nn.Module):
    """Counts its calls in a buffer: every run gives something else."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        return self.fc(x) * self.count


class Double(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Bilinear(3, 2, 4)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return F.normalize(self.fc(x, y), dim=-1)


BATCHES: dict[type[nn.Module], Callable[[], dict[str, np.ndarray]]] = {
    Mlp: lambda: {"x": _normal(3, 6)},
    ResNet: lambda: {"x": _normal(2, 3, 16, 16)},
    MobileNet: lambda: {"x": _normal(2, 3, 6, 6)},
    DenseNet: lambda: {"x": _normal(2, 3, 5, 5)},
    UNet: lambda: {"x": _normal(2, 3, 8, 8)},
    Inception: lambda: {"x": _normal(3, 2, 5, 5)},
    VisionTransformer: lambda: {"image": _normal(3, 3, 8, 8)},
    Gpt: lambda: {"ids": _tokens(3, 7)},
    Bert: lambda: {"ids": _tokens(3, 5), "kinds": _tokens(3, 5, limit=2), "mask": np.ones((3, 5), np.int64)},
    Seq2Seq: lambda: {"source": _normal(3, 5, 8), "target": _normal(3, 4, 8)},
    Convolutions1d: lambda: {"x": _normal(2, 3, 12)},
    CellLoop: lambda: {"x": _normal(4, 5, 3)},
    StackedLstm: lambda: {"x": _normal(2, 5, 3)},
    Decoder: lambda: {"start": _tokens(5) + 0},
    Autoencoder: lambda: {"x": _normal(2, 1, 8, 8)},
    ConvNext: lambda: {"x": _normal(2, 4, 5, 5)},
    Mixer: lambda: {"x": _normal(2, 5, 6)},
    Siamese: lambda: {"left": _normal(3, 5), "right": _normal(3, 5) + 1},
    Experts: lambda: {"x": _normal(9, 4)},
    Recommender: lambda: {"user": _tokens(4, limit=7), "item": _tokens(4), "history": _tokens(4, 3)},
    GraphNet: lambda: {"nodes": _normal(2, 5, 4), "adjacency": _normal(2, 5, 5)},
    PointNet: lambda: {"points": _normal(3, 7, 3)},
    Video: lambda: {"clip": _normal(2, 2, 4, 5, 5)},
    Detector: lambda: {"image": _normal(2, 3, 7, 7)},
    Einsum: lambda: {"x": _normal(2, 5, 6)},
    FourierMixing: lambda: {"x": _normal(2, 5, 6)},
    Products: lambda: {"x": _normal(4, 6)},
    SplitProduct: lambda: {"x": _normal(5, 37)},
    Counter: lambda: {"x": _normal(3, 4)},
    Double: lambda: {"x": _normal(3, 3).astype(np.float64), "y": _normal(3, 2).astype(np.float64)},
}


def build(kind: type[nn.Module]) -> Built:
    torch.manual_seed(0)
    batch = BATCHES[kind]()
    module = kind().eval()
    return (module.double() if kind is Double else module), batch
