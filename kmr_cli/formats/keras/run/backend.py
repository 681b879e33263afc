"""Which Keras, on which backend."""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import Any

from kmr_cli.errors import MissingFrameworkError
from kmr_cli.formats.common.frameworks import how_to_install, installed, require
from kmr_cli.formats.keras import EXTRA


def import_keras() -> ModuleType:
    """Import Keras 3 on the backend that is there.

    ``KERAS_BACKEND`` wins; else TensorFlow, else torch. Keras fixes its backend when it is imported.

    Raises:
        MissingFrameworkError: Keras or every backend is missing.
    """
    if "keras" in sys.modules:
        return sys.modules["keras"]
    if not installed("keras"):
        raise MissingFrameworkError("keras is not installed", how_to_install(EXTRA))
    if os.environ.get("KERAS_BACKEND"):
        return require("keras", EXTRA)
    backend = choose_backend()
    if backend is None:
        raise MissingFrameworkError("keras is installed, but none of its backends is", how_to_install(EXTRA))
    os.environ["KERAS_BACKEND"] = backend
    try:
        return require("keras", EXTRA)
    finally:
        del os.environ["KERAS_BACKEND"]


def choose_backend() -> str | None:
    """The backend that Keras is imported on, or will be; None where none is installed."""
    asked = os.environ.get("KERAS_BACKEND")
    return asked or next((name for name in ("tensorflow", "torch", "jax") if installed(name)), None)


def backend_name() -> str:
    """``tensorflow``, ``torch`` …; Keras must be imported."""
    return str(sys.modules["keras"].backend.backend())


def no_gradients() -> Any:
    """A context in which the backend records nothing for gradients, as far as that changes no value.

    Keras 3 need not be imported: tf_keras runs without it.
    """
    if "keras" in sys.modules and backend_name() == "torch":
        return require("torch", "torch").no_grad()
    import contextlib

    return contextlib.nullcontext()
