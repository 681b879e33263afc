"""How Keras names things in its weight files, without importing Keras."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

_NAMES = """
    Activation ActivityRegularization Add AdditiveAttention AlphaDropout Attention Average AveragePooling1D
    AveragePooling2D AveragePooling3D BatchNormalization Bidirectional CategoryEncoding CenterCrop Concatenate
    Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM1DCell ConvLSTM2D
    ConvLSTM2DCell ConvLSTM3D ConvLSTM3DCell Cropping1D Cropping2D Cropping3D Dense DepthwiseConv1D
    DepthwiseConv2D Discretization Dot Dropout ELU EinsumDense Embedding Flatten FlaxLayer Functional GRU
    GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
    GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization GroupQueryAttention
    GroupedQueryAttention HashedCrossing Hashing Identity InputLayer IntegerLookup LSTM LSTMCell Lambda
    LayerNormalization LeakyReLU Masking MaxPooling1D MaxPooling2D MaxPooling3D Maximum MelSpectrogram Minimum
    MultiHeadAttention Multiply Normalization PReLU Permute RMSNormalization RNN ReLU RepeatVector Rescaling
    Reshape Resizing ReversibleEmbedding STFTSpectrogram SeparableConv1D SeparableConv2D Sequential SimpleRNN
    SimpleRNNCell Softmax SpatialDropout1D SpatialDropout2D SpatialDropout3D SpectralNormalization
    StackedRNNCells StringLookup Subtract TextVectorization TimeDistributed UnitNormalization UpSampling1D
    UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
"""

BUILT_IN = tuple(_NAMES.split())
"""Layer classes of Keras whose names turn up, in snake case, in weight files."""


@functools.lru_cache(maxsize=1024)
def snake_case(class_name: str) -> str:
    """The name that Keras makes of a class for its default layer names and its container entries.

    Keras: ``keras/src/utils/naming.py``.
    """
    name = re.sub(r"\W+", "", class_name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


_CLASS_OF = {snake_case(name): name for name in BUILT_IN}


def class_of(entry: str) -> str:
    """The class behind a container entry such as ``dense_1``; camel case of it where the class is not Keras' own."""
    stem = re.sub(r"_\d+$", "", entry)
    for candidate in (entry, stem):
        if candidate in _CLASS_OF:
            return _CLASS_OF[candidate]
    return "".join(part[:1].upper() + part[1:] for part in stem.split("_")) or entry


def class_of_default_name(name: str) -> str | None:
    """The built-in class whose default layer name ``name`` is (``dense_7``), or None where it could be anyone's."""
    return _CLASS_OF.get(name) or _CLASS_OF.get(re.sub(r"_\d+$", "", name))


def container_entries(class_names: Iterable[str]) -> list[str]:
    """The group names of a container's members in the weights file: snake case with a counter per class.

    Keras: ``keras/src/saving/saving_lib.py``, ``_save_container_state``. Members that are saved elsewhere
    already still take their number.
    """
    used: dict[str, int] = {}
    entries = []
    for class_name in class_names:
        stem = snake_case(class_name)
        if stem in used:
            used[stem] += 1
            entries.append(f"{stem}_{used[stem]}")
        else:
            used[stem] = 0
            entries.append(stem)
    return entries
