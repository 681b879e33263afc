"""The graph of a live eager module: exported by torch, saved, and read as any file is."""

from __future__ import annotations

import copy
import tempfile
import warnings
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

from kmr_cli.errors import BatchError, ModelLoadError
from kmr_cli.formats.common.frameworks import first_line
from kmr_cli.formats.exported import operators
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.proof.graph import Graph, shape_of_samples

_HINT = "check it with passes: check_batch_axis(model, batch)"
_LEAST = 2
"""Samples: what code does with one alone, torch does not follow where the size is left open."""
_VIOLATED, _MEANT = "Constraints violated", "its code does something else at other batch sizes, or fails there"
"""How torch says that it would have to take the number of samples as it is given; and what that comes to."""


def graph_of(module: Any, given: Mapping[str, Any], name: str) -> Graph:
    """The operators of an eager module, with the number of samples left open and every other size as it is given.

    Args:
        module: in inference mode; a copy of it is exported, since its code runs on tensors without content.
        given: a tensor for every argument, samples along axis 0.
        name: of its class, for messages.

    Raises:
        BatchError: an argument has no axis for samples.
        ModelLoadError: it does not export, because of what its code does with the batch.
    """
    import torch

    batch = torch.export.Dim("batch")

    def several(tensor: Any) -> Any:
        """A size of 1 would be taken for what broadcasts, whatever is declared of it."""
        if tensor.ndim == 0:
            raise BatchError(f"{name}: an input is a single number", "give one row per sample")
        return tensor if len(tensor) > 1 else torch.cat([tensor, tensor])

    arguments = {key: several(tensor) for key, tensor in given.items()}
    dynamic = {key: {0: batch} for key in arguments}
    try:
        with warnings.catch_warnings(), torch.no_grad(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            program = torch.export.export(copy.deepcopy(module), (), arguments, dynamic_shapes=dynamic, strict=False)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "module.pt2"
                torch.export.save(program, path)
                found = operators.graph(path, OpenOptions())
    except Exception as exc:
        why = _MEANT if _VIOLATED in str(exc) else first_line(exc)
        raise ModelLoadError(f"{name}: torch.export does not export it: {why}", _HINT) from exc
    least, most = found.ranges.get("batch", (1, None))
    return replace(
        found,
        ranges={**found.ranges, "batch": (max(least, _LEAST), most)},
        shapes=tuple(shape_of_samples(key, tensor.shape) for key, tensor in given.items()),
    )
