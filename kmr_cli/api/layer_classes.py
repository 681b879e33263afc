"""The Python interface to layers under development: a class is checked in the smallest model that holds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kmr_cli.api.versions import versions_of
from kmr_cli.batch.synthetic import speaks_of_dtype
from kmr_cli.batch.words import show_shape
from kmr_cli.config.limits import NONE, Limits
from kmr_cli.config.policy import Policy
from kmr_cli.errors import KmrError, ModelRunError
from kmr_cli.formats import all_formats
from kmr_cli.formats.interface import optional
from kmr_cli.process.child import Child
from kmr_cli.process.tasks import TASKS
from kmr_cli.records import DataSource, Report, TensorSpec


def _how_to_feed(inputs: Sequence[TensorSpec], error: ModelRunError) -> str:
    """What to type where a class fails on data that was made up for it."""
    given = ", ".join(f"{show_shape(spec.shape)} {spec.dtype}" for spec in inputs)
    hint = f"it was given {given}: --shape is that of ONE sample"
    if not speaks_of_dtype(error.message):
        return hint
    sizes = ",".join(map(str, (inputs[0].shape or ())[1:]))
    return f"{hint}, and takes a dtype as well, --shape {inputs[0].name}{'=' if inputs[0].name else ''}{sizes}:int64"


class LayerClasses:
    """Checks layer classes, one after the other, in one child process. Close it, or use it as a context manager.

    Raises:
        KmrError: a sandbox is required, and a layer class runs in none.
    """

    def __init__(
        self,
        *,
        fork: bool = False,
        debug: bool = False,
        report: Callable[[str, str], None] = lambda _kind, _text: None,
        limits: Limits = NONE,
    ) -> None:
        if limits.sandbox == "required":
            raise KmrError("--require-sandbox: a layer class is code of yours, which isn't contained", "leave it out")
        self._child = Child(TASKS, fork=fork, debug=debug)
        self._report, self._limits = report, limits

    def check(
        self,
        target: str,
        inputs: Sequence[TensorSpec],
        constructor: Mapping[str, Any] | None = None,
        *,
        imports: Sequence[str] = (),
        size: int | None = None,
        policy: Policy | None = None,
        seed: int = 0,
        training: bool = False,
        proof: bool = True,
    ) -> Report:
        """Check ``PKG.MOD:CLASS``, a ``keras.Layer`` or ``torch.nn.Module``; see :func:`kmr_cli.check.check.check`.

        Args:
            target: the class.
            inputs: shape (None for the batch) and dtype of each argument of its call; the first may be unnamed.
            constructor: arguments of the class.
            imports: modules to import first.
            size: batch size.
            policy: which rules, and what is by design.
            seed: of synthetic and replacement data.
            training: in training mode; see :func:`kmr_cli.check.training.check_session`.
            proof: ask the graph of operators too.

        Raises:
            LayerError, ModelLoadError, ModelRunError.
        """
        asked = {
            "target": target, "constructor": dict(constructor or {}), "inputs": tuple(inputs),
            "imports": tuple(imports), "size": size, "policy": policy or Policy(), "seed": seed,
            "training": training, "prove": proof,
        }  # fmt: skip
        try:
            report: Report = self._child.run("check_layer_class", asked, self._report, self._limits)
        except ModelRunError as exc:
            exc.hint = _how_to_feed(inputs, exc)
            raise
        data = DataSource("synthetic", seed=seed)
        formats = [format_.NAME for format_ in all_formats() if optional(format_, "LAYER_CLASS")]
        return replace(report, grounds=replace(report.grounds, data=data, versions=versions_of(*formats)))

    def close(self) -> None:
        """End the child process."""
        self._child.close()

    def __enter__(self) -> LayerClasses:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
