"""Trace the recommender, on Keras' torch backend, into TorchScript.

``python keras_to_torchscript.py recommender.keras recommender.pt``: a process of its own, since Keras' backend is
chosen when it is imported. ``torch.jit.trace`` does not see Keras layers as modules, so each is put into one.
"""

from __future__ import annotations

import os
import sys
import warnings

os.environ["KERAS_BACKEND"] = "torch"

import keras
import torch
from torch import Tensor, nn

import kmr_cli.layers  # noqa: F401  (of which the recommender is built)


class Step(nn.Module):
    """One Keras layer; several inputs reach it as the list that it wants."""

    def __init__(self, layer: keras.layers.Layer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """What the layer makes of its inputs."""
        return self.layer(inputs[0] if len(inputs) == 1 else list(inputs), training=False)


class Preference(nn.Module):
    """The person's row out of the scores of every pair, without the person."""

    def forward(self, scores: Tensor) -> Tensor:
        """(B, 14, 14) -> (B, 13)."""
        return scores[:, 0, 1:]


class Recommender(nn.Module):
    """The layers of ``recommender.keras`` under the names that they have there."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        self.one_more = Step(model.get_layer("one_more"))
        self.together = Step(model.get_layer("together"))
        self.clusters = Step(model.get_layer("clusters"))
        self.ranking = Step(model.get_layer("ranking"))
        self.preference = Preference()
        self.top = Step(model.get_layer("top"))

    def forward(self, person: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """``person`` (B, 5), ``places`` (B, 13, 5) -> indices and scores (B, 3)."""
        together = self.together(self.one_more(person), places)
        indices, scores = self.top(self.preference(self.ranking(self.clusters(together))))
        return indices, scores


def main() -> None:
    """Load the archive, trace it and write the program."""
    archive, place = sys.argv[1:]
    model = keras.models.load_model(archive, compile=False)
    example = tuple(torch.rand(2, *tensor.shape[1:]) for tensor in model.inputs)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        # Sizes that become constants are those of one sample; the tests run batches of other sizes.
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        torch.jit.trace(Recommender(model).eval(), example).save(place)


if __name__ == "__main__":
    main()
