"""Four of the Keras networks once more in PyTorch, for ``.pt2`` and ONNX: the same layers, names, weights and inputs.

An export of Keras' own model would show one module with nothing in it, since its layers aren't called as PyTorch's are.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from data import VOCABULARY


class Tower(nn.Module):
    """What both images of a pair pass through."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.embed = nn.Linear(32 * 4 * 4, 64)

    def forward(self, image: Tensor) -> Tensor:
        """``image`` (B, 8, 8, 1) -> (B, 64)."""
        x = self.relu(self.conv1(image.permute(0, 3, 1, 2)))
        x = self.pool(self.relu(self.conv2(x)))
        # Keras flattens with the channels last.
        return self.relu(self.embed(x.permute(0, 2, 3, 1).flatten(1)))


class Pair(nn.Module):
    """Do two images show the same digit? ``tower`` and ``project`` run twice."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = Tower()
        self.project = nn.Linear(64, 32)
        self.head = nn.Linear(32, 1)
        self.same = nn.Sigmoid()

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """``left`` and ``right`` (B, 8, 8, 1) -> probability (B, 1)."""
        difference = self.project(self.tower(left)) - self.project(self.tower(right))
        return self.same(self.head(difference.square()))


class LastInked(nn.Module):
    """The state after the last token that isn't padding, which is what a mask makes of an LSTM in Keras."""

    def forward(self, states: Tensor, tokens: Tensor) -> Tensor:
        """``states`` (B, T, 64), ``tokens`` (B, T) -> (B, 64)."""
        last = (tokens != 0).sum(1) - 1
        return states.gather(1, last[:, None, None].expand(-1, -1, states.shape[2])).squeeze(1)


class Sequence(nn.Module):
    """The digit from its inked pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, 32)
        self.lstm = nn.LSTM(32, 64, batch_first=True)
        self.last = LastInked()
        self.head = nn.Linear(64, 10)
        self.softmax = nn.Softmax(dim=-1)

    def forward(self, tokens: Tensor) -> Tensor:
        """``tokens`` (B, 40) int32, 0 is padding -> probabilities (B, 10)."""
        states, _ = self.lstm(self.embed(tokens))
        return self.softmax(self.head(self.last(states, tokens)))


class PatchEmbedding(nn.Module):
    """A dense layer with a bias of its own for every patch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(32, 32))
        self.bias = nn.Parameter(torch.zeros(16, 32))

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, 16, 32) -> (B, 16, 32)."""
        return tokens @ self.weight.T + self.bias


class Attention(nn.Module):
    """Self-attention of four heads."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(32, 32)
        self.key = nn.Linear(32, 32)
        self.value = nn.Linear(32, 32)
        self.softmax = nn.Softmax(dim=-1)
        self.attention_output = nn.Linear(32, 32)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, 16, 32) -> the same shape; ``softmax`` sees (B, 4, 16, 16)."""
        query, key, value = (
            linear(tokens).unflatten(-1, (4, 8)).transpose(1, 2) for linear in (self.query, self.key, self.value)
        )
        weights = self.softmax(query @ key.transpose(2, 3) / 8**0.5)
        return self.attention_output((weights @ value).transpose(1, 2).flatten(2))


class Transformer(nn.Module):
    """One pre-norm transformer block over 16 patches of 2x2 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 32, 2, stride=2)
        self.embed = PatchEmbedding()
        self.norm1 = nn.LayerNorm(32, eps=1e-3)
        self.attention = Attention()
        self.norm2 = nn.LayerNorm(32, eps=1e-3)
        self.expand = nn.Linear(32, 64)
        self.gelu = nn.GELU()
        self.contract = nn.Linear(64, 32)
        self.norm3 = nn.LayerNorm(32, eps=1e-3)
        self.head = nn.Linear(32, 10)
        self.softmax = nn.Softmax(dim=-1)

    def forward(self, image: Tensor) -> Tensor:
        """``image`` (B, 8, 8, 1) -> probabilities (B, 10)."""
        x = self.embed(self.patches(image.permute(0, 3, 1, 2)).flatten(2).transpose(1, 2))
        x = x + self.attention(self.norm1(x))
        x = x + self.contract(self.gelu(self.expand(self.norm2(x))))
        return self.softmax(self.head(self.norm3(x).mean(1)))


class OneMore(nn.Module):
    """The person as one item."""

    def forward(self, person: Tensor) -> Tensor:
        """(B, 5) -> (B, 1, 5)."""
        return person.unsqueeze(1)


class Together(nn.Module):
    """The person before the places."""

    def forward(self, person: Tensor, places: Tensor) -> Tensor:
        """(B, 1, 5) and (B, 13, 5) -> (B, 14, 5)."""
        return torch.cat([person, places], dim=1)


class Clusters(nn.Module):
    """The share of each of 32 regions in each item: ``kmr_cli.layers.SpatialFeatureClustering``."""

    def __init__(self) -> None:
        super().__init__()
        self.centroids = nn.Parameter(torch.zeros(32, 5))

    def forward(self, items: Tensor) -> Tensor:
        """(B, 14, 5) -> (B, 14, 32)."""
        closeness = 2 * (items @ self.centroids.T) - self.centroids.square().sum(-1)
        return torch.softmax(closeness / 0.1, dim=-1)


class Ranking(nn.Module):
    """The score of every pair of items: ``kmr_cli.layers.GeospatialScoreRanking``."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(16, 32))

    def forward(self, clusters: Tensor) -> Tensor:
        """(B, 14, 32) -> (B, 14, 14)."""
        embedding = clusters @ self.weight.T
        return torch.sigmoid(embedding @ embedding.transpose(1, 2) / 16**0.5)


class Preference(nn.Module):
    """The person's row, without the person."""

    def forward(self, scores: Tensor) -> Tensor:
        """(B, 14, 14) -> (B, 13)."""
        return scores[:, 0, 1:]


class Top(nn.Module):
    """The best three: ``kmr_cli.layers.TopKRecommendationSelector``, where the first of equal scores comes first."""

    def forward(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 13) -> indices (B, 3) int32, and scores (B, 3)."""
        # Without ``stable=True``, which torch.onnx cannot export: so few are kept in order on the CPU anyway.
        order = torch.argsort(scores, dim=-1, descending=True)[:, :3]
        return order.int(), scores.gather(-1, order)


class Recommender(nn.Module):
    """The three places a person likes best."""

    def __init__(self) -> None:
        super().__init__()
        self.one_more, self.together = OneMore(), Together()
        self.clusters, self.ranking = Clusters(), Ranking()
        self.preference, self.top = Preference(), Top()

    def forward(self, person: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """``person`` (B, 5), ``places`` (B, 13, 5) -> indices and scores (B, 3)."""
        scores = self.ranking(self.clusters(self.together(self.one_more(person), places)))
        return self.top(self.preference(scores))


TWINS: dict[str, type[nn.Module]] = {
    "pair": Pair, "recommender": Recommender, "sequence": Sequence, "transformer": Transformer,
}  # fmt: skip
OUTPUTS: dict[str, tuple[str, ...]] = {"recommender": ("indices", "scores")}
"""What they return, by name; ``probabilities`` for all that are not here."""
_ENDS = {
    "centroids": "centroids",
    "kernel": "weight",
    "embeddings": "weight",
    "gamma": "weight",
    "beta": "bias",
    "bias": "bias",
    "lstm_cell/kernel": "weight_ih_l0",
    "lstm_cell/recurrent_kernel": "weight_hh_l0",
    "lstm_cell/bias": "bias_ih_l0",
}
"""What Keras and PyTorch call a layer's weights. Of an LSTM's, Keras has one bias where PyTorch has two."""


def twin_of(name: str, weights: Mapping[str, np.ndarray]) -> nn.Module:
    """The network of a name with the weights of the Keras model, by their paths (``conv1/kernel``); in eval mode."""
    model = TWINS[name]()
    wanted = dict(model.named_parameters())
    if name == "sequence":
        nn.init.zeros_(wanted.pop("lstm.bias_hh_l0"))
    for path, array in weights.items():
        end = next(one for one in sorted(_ENDS, key=len, reverse=True) if path.endswith(f"/{one}"))
        layer = path.removesuffix(f"/{end}")
        theirs = f"{layer.replace('/', '.')}.{_ENDS[end]}"
        (match,) = [one for one in wanted if one == theirs or one == f"tower.{theirs}"]
        parameter = wanted.pop(match)
        parameter.data = torch.from_numpy(_as_torch_has_it(array, end, tuple(parameter.shape)).copy())
    if wanted:
        raise ValueError(f"{name}: the Keras model has no weights for {', '.join(wanted)}")
    return model.eval()


def _as_torch_has_it(array: np.ndarray, end: str, shape: tuple[int, ...]) -> np.ndarray:
    """A convolution's kernel with the channels first, every other one as (outputs, inputs)."""
    if not end.endswith("kernel"):
        return array.reshape(shape)
    return array.transpose(3, 2, 0, 1) if len(shape) == 4 else array.reshape(*shape[::-1]).T
