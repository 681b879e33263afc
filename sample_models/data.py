"""The data behind the sample models: the 8x8 handwritten digits that ship inside scikit-learn.

The recommender alone has other data: choices of places, plainly generated here.
"""

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
PLACES = 13
"""Among which a person chooses."""
KINDS = 3
"""Of places: say, cafés, museums and parks."""


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


def choices() -> Split:
    """Generated choices: 6000 people to train on and 2000 held out, each with 13 places of their own.

    ``person`` is ``(N, 5)``: where the person is in a town of size 1 by 1, and how much of their liking goes to each of
    three kinds of places. ``places`` is ``(N, 13, 5)``: where each place is, and which kind it is, as a one-hot code.
    The label is the place chosen: that of the highest ``3 * liking - 6 * distance``, with a little Gumbel noise.
    """
    return Split(_choices_of(6_000, SEED), _choices_of(2_000, SEED + 1))


def _choices_of(count: int, seed: int) -> Samples:
    random = np.random.default_rng(seed)
    here, liking = random.uniform(size=(count, 2)), random.dirichlet([0.5] * KINDS, count)
    there, kind = random.uniform(size=(count, PLACES, 2)), np.eye(KINDS)[random.integers(KINDS, size=(count, PLACES))]
    distance = np.linalg.norm(there - here[:, np.newaxis], axis=-1)
    liked = np.einsum("nk,npk->np", liking, kind)
    appeal = 3 * liked - 6 * distance + 0.2 * random.gumbel(size=distance.shape)
    person = np.concatenate([here, liking], axis=-1).astype(np.float32)
    places = np.concatenate([there, kind], axis=-1).astype(np.float32)
    return Samples({"person": person, "places": places}, appeal.argmax(axis=1))


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
