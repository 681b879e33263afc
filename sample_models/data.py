"""The real data behind the sample models: the 8x8 handwritten digits that ship inside scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SEED = 20
BATCH_SIZE = 11
"""Samples in each bundled .npz. No model here has another dimension of this size, so that nobody who looks at
a shape can mistake something else for the batch."""
INKED = 0.5
"""Pixels at least this dark (of 0 to 1) are on the path that the sequence model reads."""
SEQUENCE_LENGTH = 40
VOCABULARY = 1 + 8 * 8
"""0 is padding, 1 to 64 are the pixels in reading order."""


@dataclass(frozen=True)
class Samples:
    """Model inputs by name, each with the samples along axis 0, and the true class of every sample."""

    inputs: dict[str, np.ndarray]
    label: np.ndarray

    def first(self, count: int) -> Samples:
        """The first ``count`` samples."""
        return Samples({name: array[:count] for name, array in self.inputs.items()}, self.label[:count])

    def arrays(self) -> dict[str, np.ndarray]:
        """What goes into a .npz: the inputs and ``label``."""
        return {**self.inputs, "label": self.label}


@dataclass(frozen=True)
class Split:
    """Data to train on, and data held out to measure accuracy with."""

    train: Samples
    held_out: Samples


def digits() -> Split:
    """1347 digits to train on and 450 held out; ``image`` is ``(N, 8, 8, 1)`` float32 in [0, 1]."""
    source = load_digits()
    images = (source.images / 16.0).astype(np.float32)[..., np.newaxis]
    labels = source.target.astype(np.int64)
    train_x, test_x, train_y, test_y = train_test_split(
        images, labels, test_size=450, stratify=labels, random_state=SEED
    )
    return Split(Samples({"image": train_x}, train_y), Samples({"image": test_x}, test_y))


def pairs() -> Split:
    """Pairs of digits, half of them of the same class: ``left``, ``right``, label 1 for same and 0 for different.

    No digit of a held-out pair occurs in a training pair.
    """
    split = digits()
    return Split(_pairs_of(split.train, 24_000, SEED), _pairs_of(split.held_out, 4_000, SEED + 1))


def sequences() -> Split:
    """The inked pixels of every digit in reading order: ``tokens``, ``(N, 40)`` int32, padded with 0 at the end."""
    split = digits()
    return Split(_sequences_of(split.train), _sequences_of(split.held_out))


def _pairs_of(samples: Samples, count: int, seed: int) -> Samples:
    random = np.random.default_rng(seed)
    images, classes = samples.inputs["image"], samples.label
    left = random.integers(len(images), size=count)
    same = random.integers(2, size=count)
    right = np.empty_like(left)
    for position, (one, is_same) in enumerate(zip(left, same, strict=True)):
        candidates = np.flatnonzero((classes == classes[one]) == bool(is_same))
        right[position] = random.choice(candidates[candidates != one])
    return Samples({"left": images[left], "right": images[right]}, same.astype(np.int64))


def _sequences_of(samples: Samples) -> Samples:
    images = samples.inputs["image"]
    tokens = np.zeros((len(images), SEQUENCE_LENGTH), np.int32)
    for row, image in zip(tokens, images, strict=True):
        inked = np.flatnonzero(image.ravel() >= INKED) + 1
        if inked.size > SEQUENCE_LENGTH:
            raise ValueError(f"a digit has {inked.size} inked pixels, more than {SEQUENCE_LENGTH}")
        row[: inked.size] = inked
    return Samples({"tokens": tokens}, samples.label)
