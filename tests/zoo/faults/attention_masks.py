"""Masks as attention takes them, heeded and not: added to scores, inverted, with axes to broadcast along, of memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from zoo.cases import Case
from zoo.exported import saved as exported
from zoo.faults.torch_faults import write

SIZE, STEPS = 6, 9
COUNTED = np.arange(STEPS)[None] < np.array([9, 7, 5, 8, 3, 4])[:, None]
IDS = np.random.default_rng(0).integers(2, 20, (SIZE, STEPS))
Data = Callable[[], dict[str, np.ndarray]]


class Attention(nn.Module):
    """Words that look at each other; subclasses say what a mask means.

    Args:
        heeds: whether it is applied.
    """

    def __init__(self, heeds: bool) -> None:
        super().__init__()
        self.heeds, self.words = heeds, nn.Embedding(20, 4)

    def attend(self, ids: Tensor, counts: Tensor) -> Tensor:
        vectors = self.words(ids)
        scores = vectors.bmm(vectors.transpose(1, 2))
        if self.heeds:
            scores = scores + (1.0 - counts.unsqueeze(1)) * -1e9
        read = scores.softmax(-1).bmm(vectors) * counts.unsqueeze(-1)
        return read.sum(1) / counts.sum(1, keepdim=True).clamp(min=1.0)


class Added(Attention):
    """0 where a step counts, very negative where it does not."""

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return self.attend(ids, (mask > -1.0).float())


class Inverted(Attention):
    """True where a step is padding."""

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return self.attend(ids, (mask == 0).float())


class Broadcast(Attention):
    """``(samples, 1, 1, steps)``."""

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return self.attend(ids, mask[:, 0, 0].float())


class FromIds(Attention):
    """What is padding shows in the ids alone.

    Args:
        heeds: whether it is applied.
        pad: the id that stands for it.
    """

    def __init__(self, heeds: bool, pad: int) -> None:
        super().__init__(heeds)
        self.pad = pad

    def forward(self, input_ids: Tensor) -> Tensor:
        counts = (input_ids != self.pad).float()
        return self.attend(input_ids.clamp(min=0), counts)


class Memory(nn.Module):
    """Attention of fewer steps to a memory that is padded: what leaves has no padded steps."""

    def __init__(self, heeds: bool) -> None:
        super().__init__()
        self.heeds = heeds

    def forward(self, tgt: Tensor, memory: Tensor, memory_mask: Tensor) -> Tensor:
        scores = tgt.bmm(memory.transpose(1, 2))
        if self.heeds:
            scores = scores.masked_fill(memory_mask.unsqueeze(1), -1e9)
        return scores.softmax(-1).bmm(memory)


class Pairs(Attention):
    """Causal attention; the mask says of every step which others it looks at. What is returned is the last that counts.

    Without it, attention is causal and no more.
    """

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        vectors = self.words(ids)
        later = torch.triu(torch.ones(ids.size(1), ids.size(1)), 1) > 0
        hidden = ~mask if self.heeds else later[None].expand(mask.shape)
        read = vectors.bmm(vectors.transpose(1, 2)).masked_fill(hidden, -1e9).softmax(-1).bmm(vectors)
        counts = mask.any(1).to(read.dtype).unsqueeze(-1)
        mean = (read * counts).sum(1) / counts.sum(1).clamp(min=1.0)
        if self.heeds:
            return mean
        return mean + read[:, -1]


class Channels(nn.Module):
    """``(samples, features, steps)``, padded with zeros; the mean over the steps."""

    def __init__(self, heeds: bool) -> None:
        super().__init__()
        self.heeds, self.turn = heeds, nn.Conv1d(4, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        counts = (x != 0).any(1, keepdim=True).float()
        turned = torch.relu(self.turn(x * counts))
        if self.heeds:
            return (turned * counts).sum(2) / counts.sum(2).clamp(min=1.0)
        return turned.mean(2)


class Types(Attention):
    """BERT's inputs: types of tokens and positions look like masks and lengths, and are none."""

    def __init__(self, heeds: bool) -> None:
        super().__init__(heeds)
        self.types, self.places = nn.Embedding(2, 4), nn.Embedding(16, 4)

    def forward(self, ids: Tensor, token_type_ids: Tensor, position_ids: Tensor, attention_mask: Tensor) -> Tensor:
        pooled = self.attend(ids, attention_mask.float())
        counts = attention_mask.float().unsqueeze(-1)
        return pooled + ((self.types(token_type_ids) + self.places(position_ids)) * counts).sum(1)


def _with(mask: np.ndarray) -> Data:
    return lambda: {"ids": IDS, "mask": mask}


def _memory() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    tgt, memory = (rng.standard_normal((SIZE, steps, 4)).astype(np.float32) for steps in (5, STEPS))
    return {"tgt": tgt, "memory": memory, "memory_mask": ~COUNTED}


def _as_long() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    tgt, memory = (rng.standard_normal((SIZE, STEPS, 4)).astype(np.float32) for _ in range(2))
    return {"tgt": tgt, "memory": memory, "memory_mask": ~COUNTED}


def _channels() -> dict[str, np.ndarray]:
    values = np.random.default_rng(1).standard_normal((SIZE, 4, STEPS)) * COUNTED[:, None]
    return {"x": values.astype(np.float32)}


def _types() -> dict[str, np.ndarray]:
    second = (np.arange(STEPS)[None] >= COUNTED.sum(1)[:, None] // 2).astype(np.int64)
    places = np.tile(np.arange(STEPS), (SIZE, 1))
    return {"ids": IDS, "token_type_ids": second, "position_ids": places, "attention_mask": COUNTED.astype(np.int64)}


KINDS: dict[str, tuple[Callable[[bool], nn.Module], Data, str]] = {
    "mask of -10000": (Added, _with(np.where(COUNTED, 0, -1e4).astype(np.float32)), "mask"),
    "mask of -inf": (Added, _with(np.where(COUNTED, 0, -np.inf).astype(np.float32)), "mask"),
    "inverted mask": (Inverted, _with(~COUNTED), "mask"),
    "inverted mask of integers": (Inverted, _with((~COUNTED).astype(np.int64)), "mask"),
    "mask with axes of length 1": (Broadcast, _with(COUNTED[:, None, None].astype(np.float32)), "mask"),
    "mask of pairs": (Pairs, _with(np.tril(np.ones((STEPS, STEPS), bool))[None] & COUNTED[:, None]), "mask"),
    "mask of the memory": (Memory, _memory, "memory_mask"),
    "mask of a memory of as many steps": (Memory, _as_long, "memory_mask"),
    "channels first": (Channels, _channels, "x=0"),
    "types and positions": (Types, _types, "attention_mask"),
    **{
        f"pad id {pad}": (
            partial(FromIds, pad=pad), lambda pad=pad: {"input_ids": np.where(COUNTED, IDS, pad)}, f"input_ids={pad}",
        )
        for pad in (1, -1, -100)
    },
}  # fmt: skip


def _program(heeds: bool, data: Data, _folder: Path) -> Path:
    return exported(Memory(heeds), {name: values[:2] for name, values in data().items()})


def _cases(*, heeds: bool) -> Iterator[Case]:
    rules, kind = ((), "") if heeds else (("KMR201",), "mask")
    for name, (make, data, mask) in KINDS.items():
        build = partial(write, partial(make, heeds), "script", ())
        layer = "softmax" if "memory" in name and not heeds else ""  # its operators are its layers
        yield Case(f"attention, {name}", "torchscript", build, kind, rules, layer, data=data, masks=(mask,))
    for name, data in (("mask of the memory", _memory), ("mask of a memory of as many steps", _as_long)):
        build = partial(_program, heeds, data)  # its steps cannot be made more
        layer = "" if heeds else "softmax"
        yield Case(f"attention, {name}", "pt2", build, kind, rules, layer, data=data, masks=("memory_mask",))


def cases() -> Iterator[Case]:
    """Those that do not heed it."""
    return _cases(heeds=False)


def clean() -> Iterator[Case]:
    """Those that do."""
    return _cases(heeds=True)
