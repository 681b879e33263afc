"""Functional models on inputs of other sizes than they declare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_FUNCTIONAL = ("_inputs_struct", "_run_internal_graph")
"""What a functional or Sequential model has, of Keras 3 and of Keras 2."""


@contextmanager
def without_input_specs(layers: Sequence[Any]) -> Iterator[None]:
    """While it is open, the functional models among ``layers`` do not compare what they get with what they declare."""
    models = [one for one in layers if any(hasattr(one, name) for name in _FUNCTIONAL)]
    before = [one.__dict__.get("_manual_input_spec", one) for one in models]
    try:
        for one in models:
            one.input_spec = None
        yield
    finally:
        for one, spec in zip(models, before, strict=True):
            if spec is one:  # it had none of its own
                del one._manual_input_spec
            else:
                one.input_spec = spec
