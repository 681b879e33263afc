"""The check of a model in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kmr_cli.api.model import Model, open_model
from kmr_cli.batch.request import Data, GivenShapes
from kmr_cli.config.policy import Policy
from kmr_cli.records import Report


def check_batch_axis(
    model: str | Path | Any,
    batch: Data = None,
    *,
    policy: Policy | None = None,
    size: int | None = None,
    batch_sizes: Sequence[int] = (),
    shapes: GivenShapes = None,
    seed: int = 0,
    training: bool = False,
    proof: bool = True,
    imports: Sequence[str] = (),
    signature: str | None = None,
    tags: Sequence[str] | None = None,
    method: str | None = None,
    constants: Mapping[str, Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    trust: bool = False,
    timeout: float | None = None,
    memory: int | str | None = None,
    sandbox: str = "offered",
) -> Report:
    """Whether the samples of a batch are independent at every layer of a model: all in one call.

    Args:
        model: a model file as for :func:`open_model`, a live model, which is run in this process, or a model that is
            open already; then imports, signature, tags, method and constants were given when it was opened.
        batch: as for :meth:`Model.check_batch_axis`, and so are policy, size, batch_sizes, shapes, seed and training.
        policy: which rules, and what is by design.
        size: batch size.
        batch_sizes: other batch sizes to try.
        shapes: shape of one sample by input name.
        seed: of synthetic and replacement data.
        training: check training mode.
        proof: ask the graph of the model too, where its format hands it out.
        imports: as for :func:`open_model`, and so are signature, tags, method and constants.
        signature: SavedModel: the signature to run.
        tags: SavedModel: the tag set of the meta graph.
        method: TorchScript: the exported method to run.
        constants: arguments that are the same for the whole batch.
        custom_objects: Keras: classes and functions by name, as for :func:`open_model`.
        trust: load the file whatever a scan finds in it.
        timeout: seconds that it may take, as for :func:`open_model`, and so are memory and sandbox.
        memory: what its process may hold.
        sandbox: keep the model from files and the network: ``"offered"``, ``"required"`` or ``"off"``.

    Raises:
        ModelFileError, UnsafeModelError, LimitError, BatchError, MissingFrameworkError, ModelLoadError, ModelRunError.

    >>> from kmr_cli import check_batch_axis
    >>> check_batch_axis("sample_models/digits.keras", "sample_models/digits.npz").verdict
    'pass'
    """
    if isinstance(model, Model):
        return model.check_batch_axis(
            batch, policy=policy, size=size, batch_sizes=batch_sizes, shapes=shapes, seed=seed, training=training,
            proof=proof,
        )  # fmt: skip
    live = not isinstance(model, (str, Path))
    with open_model(
        model,
        imports=imports,
        signature=signature,
        tags=tags,
        method=method,
        constants=constants,
        custom_objects=custom_objects,
        in_process=live,
        trust=trust,
        timeout=timeout,
        memory=memory,
        sandbox=sandbox,
    ) as opened_model:
        return opened_model.check_batch_axis(
            batch, policy=policy, size=size, batch_sizes=batch_sizes, shapes=shapes, seed=seed, training=training,
            proof=proof,
        )  # fmt: skip
