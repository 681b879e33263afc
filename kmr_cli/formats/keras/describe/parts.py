"""The layers that Keras' own composite layers are made of, by the attribute that holds them."""

from __future__ import annotations

_ATTENTION = (
    ("key_dense", "EinsumDense"),
    ("output_dense", "EinsumDense"),
    ("query_dense", "EinsumDense"),
    ("value_dense", "EinsumDense"),
    ("_dropout_layer", "Dropout"),
    ("_softmax", "Softmax"),
)

PARTS: dict[str, tuple[tuple[str, str], ...]] = {
    "Bidirectional": (("backward_layer", "RNN"), ("forward_layer", "RNN")),
    "ConvLSTM1D": (("cell", "ConvLSTM1DCell"),),
    "ConvLSTM2D": (("cell", "ConvLSTM2DCell"),),
    "ConvLSTM3D": (("cell", "ConvLSTM3DCell"),),
    "GRU": (("cell", "GRUCell"),),
    "GroupQueryAttention": _ATTENTION,
    "GroupedQueryAttention": _ATTENTION,
    "LSTM": (("cell", "LSTMCell"),),
    "MultiHeadAttention": _ATTENTION,
    "RNN": (("cell", "RNNCell"),),
    "SimpleRNN": (("cell", "SimpleRNNCell"),),
    "SpectralNormalization": (("layer", "Layer"),),
    "TimeDistributed": (("layer", "Layer"),),
}
"""Class -> (attribute, class of what it holds unless the config says). Attributes in the order of Keras' own walk."""

LOOPS = frozenset(("GRU", "LSTM", "RNN", "SimpleRNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "TimeDistributed"))
"""Layers that run what they hold once per time step."""


def loop_reason(class_name: str, path: str) -> str | None:
    """Why what such a layer holds cannot be tapped, or None where it can."""
    if class_name not in LOOPS:
        return None
    return f"runs once per time step inside {path or 'the model'}; tap the layer around the loop"
