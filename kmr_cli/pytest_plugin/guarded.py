"""What the fixture ``kmr_model`` gives: a model, and assertions that say what the commands say."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kmr_cli.api.model import Model
from kmr_cli.batch.request import BatchRequest, Data
from kmr_cli.config.per_model import absolute
from kmr_cli.config.policy import Policy, combine
from kmr_cli.config.pyproject import Settings, read_settings
from kmr_cli.config.reading import WHOLE, InputFiles
from kmr_cli.config.samples import Index
from kmr_cli.config.tolerance import Tolerance, Tolerances
from kmr_cli.errors import KmrError
from kmr_cli.pytest_plugin import UPDATED
from kmr_cli.pytest_plugin.asked import Asked, asked_of, data_options, shown_path
from kmr_cli.pytest_plugin.models import models_of
from kmr_cli.pytest_plugin.named import Named, named_models, refuse
from kmr_cli.pytest_plugin.snapshots import Matched, match_snapshot
from kmr_cli.pytest_plugin.words import command_line, of_error, properties, shape_options
from kmr_cli.records import Comparison, Record, Report, Shapes
from kmr_cli.render.display import text_of
from kmr_cli.render.documents.findings import shown
from kmr_cli.render.documents.grounds import rests_on
from kmr_cli.render.screen.comparison import show_comparison
from kmr_cli.render.screen.report import show_report
from kmr_cli.snapshot.file import file_name

_HOW = 'name it with @pytest.mark.kmr_model("model.keras"), or run pytest --kmr-model PATH'


class GuardedModel:
    """A saved model under test.

    Attributes:
        model: the opened :class:`kmr_cli.Model`.
        path: of its file.
    """

    def __init__(self, model: Model, named: Named, request: pytest.FixtureRequest, settings: Settings) -> None:
        self.model, self.path = model, named.path
        self._named, self._config, self._settings = named, request.config, settings
        self._nodeid: str = request.node.nodeid
        self._properties: list[tuple[str, object]] = request.node.user_properties

    def sample(
        self, layer: str | Sequence[str], index: Index, batch: Data = None, **options: Any
    ) -> tuple[Record, ...]:
        """As :meth:`kmr_cli.Model.sample`."""
        return self.model.sample(layer, index, self._data(batch), **options)

    def assert_batch_independent(
        self,
        batch: Data = None,
        *,
        allow: Sequence[str] = (),
        allow_outputs: Sequence[str] = (),
        select: Sequence[str] = (),
        ignore: Sequence[str] = (),
        masks: Sequence[str] = (),
        size: int | None = None,
        batch_sizes: Sequence[int] = (),
        shapes: Shapes | None = None,
        inconclusive_ok: bool | None = None,
        unproven_ok: bool | None = None,
    ) -> Report:
        """Fail where samples of a batch mix, as ``kmr-inspect check-batch-axis`` says; and where that was not shown.

        Args:
            batch: arrays or files (relative to rootdir), as for :meth:`kmr_cli.Model.check_batch_axis`; None for
                ``--kmr-input`` where the model is that of ``--kmr-model``, else for synthetic data.
            allow: layers at which a mix is by design, besides those of ``[tool.kmr-inspect]``.
            allow_outputs: outputs that need not carry samples, the same.
            select: only rules that start with one of these.
            ignore: leave out rules that start with one of these.
            masks: inputs that are masks, ``NAME`` or ``NAME=VALUE``.
            size: of the batch.
            batch_sizes: other sizes to try, in place of those that are chosen.
            shapes: of one sample by input name, for synthetic data.
            inconclusive_ok: pass where nothing is wrong but not everything could be shown; None for what
                ``--kmr-allow-inconclusive`` and ``[tool.kmr-inspect]`` say.
            unproven_ok: the same under the name that it had in 0.1; deprecated, goes in 0.3.

        Raises:
            AssertionError: with the report.
        """
        __tracebackhide__ = True
        accepted = self._accepts_inconclusive(inconclusive_ok, unproven_ok)
        given = self._asked_for(batch, size=size, shapes=shapes)
        some_rules = False

        def check() -> Report:
            nonlocal some_rules
            policy = combine(
                self._settings, "check-batch-axis", select=select, ignore=ignore, allow=allow,
                allow_outputs=allow_outputs,
                masks=masks or given["masks"],
                sizes=batch_sizes or given["batch_sizes"],
            )  # fmt: skip
            some_rules = policy.some("check-batch-axis")
            return self.model.check_batch_axis(
                self._data(batch), policy=policy, size=given["size"], shapes=given["shapes"]
            )

        report: Report = self._try(check)
        self._properties.extend(properties(rests_on(report)))
        if not report.taps:
            raise AssertionError(f"{self._named.title}: nothing was checked: no layer was tapped and no output seen")
        if report.verdict == "fail" or (report.verdict == "inconclusive" and not accepted):
            report = replace(report, path=self._named.title)
            raise AssertionError(text_of(partial(show_report, report=report, some_rules=some_rules)))
        return report

    def assert_matches_snapshot(
        self,
        path: str | Path | None = None,
        batch: Data = None,
        *,
        rtol: float | None = None,
        atol: float | None = None,
        ulp: int | None = None,
        size: int | None = None,
        shapes: Shapes | None = None,
        inconclusive_ok: bool | None = None,
        unproven_ok: bool | None = None,
    ) -> Comparison | None:
        """Fail where the model is not what its snapshot says, as ``kmr-inspect compare`` says.

        ``pytest --kmr-update`` writes a snapshot that is missing or no longer matches, and tells which at the end.

        Args:
            path: of the snapshot, relative to rootdir; None for ``MODEL.kmr.json`` beside the model.
            batch: the data that it was taken on, as for :meth:`assert_batch_independent`.
            rtol: how far values may be off, relative to the largest; :class:`kmr_cli.config.tolerance.Tolerances`.
            atol: the same, absolute.
            ulp: the same in units in the last place, in place of both.
            size: of the batch that a snapshot is taken on.
            shapes: of one sample by input name, for synthetic data.
            inconclusive_ok: pass where nothing is wrong but an output could not be compared; None as above.
            unproven_ok: the same under the name that it had in 0.1; deprecated, goes in 0.3.

        Returns:
            The comparison, or None where the snapshot was written.

        Raises:
            AssertionError: with the comparison; or there is no snapshot.
        """
        __tracebackhide__ = True
        accepted = self._accepts_inconclusive(inconclusive_ok, unproven_ok)
        place = self.path.with_name(file_name(self.path)) if path is None else self._config.rootpath / path
        data = self._data(batch)
        given = self._asked_for(batch, size=size, shapes=shapes)
        update = self._config.getoption("kmr_update")
        if not place.exists() and not update:
            raise AssertionError(self._no_snapshot(place, data, given["size"], given["shapes"]))
        policy = self._try(lambda: combine(self._settings, "compare"))
        found: Matched = self._try(
            lambda: match_snapshot(
                self.model, place, data, size=given["size"], shapes=given["shapes"], update=update, policy=policy,
                tolerances=Tolerances(Tolerance(rtol, atol, ulp), self._settings.tolerance),
            )
        )  # fmt: skip
        if found.wrote is not None:
            self._properties.append((UPDATED, f"{shown_path(self._config, place)} ({found.wrote})"))
        result = found.comparison
        if result is None:
            return None
        self._properties.extend(properties(rests_on(result)))
        if result.verdict == "fail" or (result.verdict == "inconclusive" and not accepted):
            some_rules = policy.some("compare")
            result = replace(result, path=self._named.title, baseline=shown_path(self._config, place))
            raise AssertionError(text_of(partial(show_comparison, result=result, some_rules=some_rules)))
        if not result.compared:
            missing = f"no layer of {shown_path(self._config, place)} is in the model"
            raise AssertionError(f"{self._named.title}: nothing was compared: {missing}")
        return result

    def __repr__(self) -> str:
        return f"<kmr_model {self._named.title}>"

    def _data(self, batch: Data) -> Data:
        """The batch, files made absolute, in place of which the command line's may stand."""
        root = self._config.rootpath
        if batch is None:
            return self._said().data
        given = BatchRequest(batch)
        if not given.files:
            return batch
        return InputFiles.of((absolute(file, root) for file in given.files), given.reading)

    def _asked_for(self, batch: Data, *, size: int | None, shapes: Shapes | None) -> dict[str, Any]:
        """What the caller says, over what the command line says of its models."""
        said = self._said()
        return {
            "size": said.size if size is None else size,
            "shapes": shapes if shapes is not None else said.shapes if batch is None else {},
            "masks": said.policy.masks,
            "batch_sizes": said.policy.batch_sizes,
        }

    def _said(self) -> Asked:
        """What the command line says of its models, and ``[tool.kmr-inspect.models]`` of any."""
        asked = asked_of(self._config)
        if not self._named.asked:
            asked = replace(
                asked,
                inputs=(),
                reading=WHOLE,
                function=None,
                size=None,
                shapes={},
                policy=Policy(),
                typed_sizes=(),
            )
        return asked.of(self.path)

    def _accepts_inconclusive(self, asked: bool | None, as_before: bool | None) -> bool:
        """Whether what could not be shown is accepted: as the caller says, else as the project does."""
        said = _renamed(as_before) if asked is None else asked
        if said is not None:
            return said
        typed = self._named.asked and asked_of(self._config).allow_inconclusive
        return typed or self._settings.accepts_inconclusive(self.path)

    def _try(self, ask: Callable[[], Any]) -> Any:
        """Ask; a model that cannot be run is told in one line, not as a traceback."""
        __tracebackhide__ = True
        try:
            return ask()
        except KmrError as exc:
            error = exc
        pytest.fail(of_error(error, self.path, self._named.title, in_python=True))

    def _no_snapshot(self, place: Path, data: Data, size: int | None, shapes: Shapes) -> str:
        there = shown_path(self._config, place)
        how = f"pytest {shown(shlex.quote(self._nodeid))} --kmr-update"
        if BatchRequest(data).kind != "arrays":
            arguments = [*data_options(self._config, data), *shape_options(shapes)]
            arguments += ["--batch-size", str(size)] if size is not None else []
            how += ", or " + command_line("snapshot", self._named.title, self._named.opening, [*arguments, "-o", there])
        return f"{shown(there)}: no such snapshot\nhint:  {how}"


def _renamed(unproven_ok: bool | None) -> bool | None:
    """The value of the keyword that ``inconclusive_ok`` replaces."""
    if unproven_ok is not None:
        message = "unproven_ok is now called inconclusive_ok; the old name will be removed in kmr-inspect 0.3"
        warnings.warn(message, DeprecationWarning, stacklevel=4)
    return unproven_ok


def open_guarded(request: pytest.FixtureRequest) -> GuardedModel:
    """The model of a test. One that has none, or whose model cannot be opened, fails."""
    named = getattr(request, "param", None)
    if named is None:  # the marker of one of several parameters, or request.getfixturevalue
        candidates = named_models(request.config, request.node)
        if not candidates:
            refuse(f"kmr_model: no model is named\nhint:  {_HOW}")
        if len(candidates) > 1:
            refuse(f"kmr_model: {len(candidates)} models are named, and only one can be used here")
        (named,) = candidates
    try:
        model = models_of(request.config).open(named.path, named.opening)
        return GuardedModel(model, named, request, read_settings(request.config.rootpath))
    except KmrError as exc:
        problem = exc
    return refuse(of_error(problem, named.path, named.title))
