"""No module is imported because a file names it: Keras does that for some, and Keras 2 for any."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

from kmr_cli.formats.keras.run.libraries import LIBRARIES

_LEGACY = "TF_USE_LEGACY_KERAS"
"""TensorFlow's own variable: whether ``tf.keras`` is Keras 2."""


@contextmanager
def only_of_the_user(modules: Sequence[str], library: str = "keras") -> Iterator[None]:
    """While it is open, a config makes Keras import nothing but its own modules and those of the user's packages.

    What else it names is not found, as if it were not installed; at what it names of Keras a scan has looked.

    Args:
        modules: that the user has named to be imported.
        library: ``keras`` or ``tf_keras``.
    """
    serialization: Any = importlib.import_module(f"{library}.src.saving.serialization_lib")
    known = LIBRARIES | {name.partition(".")[0] for name in modules}

    def import_module(name: str) -> ModuleType:
        if name.partition(".")[0] not in known:
            raise ModuleNotFoundError(name)
        return importlib.import_module(name)

    original = serialization.importlib
    serialization.importlib = SimpleNamespace(import_module=import_module)
    try:
        yield
    finally:
        serialization.importlib = original


@contextmanager
def tensorflow_with_keras_2() -> Iterator[None]:
    """While it is open, ``tf.keras`` becomes Keras 2, where nobody has used it before.

    What a module of the time of Keras 2 defines with it is then a layer of ``tf_keras``, and registered there.
    """
    before = os.environ.get(_LEGACY)
    os.environ[_LEGACY] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_LEGACY]
        else:
            os.environ[_LEGACY] = before
