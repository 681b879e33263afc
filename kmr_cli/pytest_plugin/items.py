"""One test per layer and rule of every model of ``--kmr-model``: ``model.keras::conv1::KMR101``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from kmr_cli.errors import KmrError
from kmr_cli.pytest_plugin import UPDATED, KmrWarning
from kmr_cli.pytest_plugin.asked import Asked, data_options, relative, shown_path
from kmr_cli.pytest_plugin.models import models_of
from kmr_cli.pytest_plugin.run import JUST_WRITTEN, Judgement, Kind, ModelRun, kind_of, needs_evidence
from kmr_cli.pytest_plugin.words import of_error, of_finding, properties, sample_command, shape_options
from kmr_cli.records import Finding
from kmr_cli.render.documents.findings import ITSELF, shown
from kmr_cli.render.escape import for_terminal
from kmr_cli.rules import RULES

_MODEL = "(model)"
_SHOWN = 20  # findings that one test tells in full


class ModelCollection:
    """Collects the models that are asked for: first those that pytest meets by its arguments, then the others."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def pytest_report_header(self, config: pytest.Config) -> str:
        """What is checked, and on what."""
        models = ", ".join(shown_path(config, path) for path in self._asked.models)
        data = ", ".join(relative(config, text) for text in self._asked.inputs)
        data = " ".join((data, *self._asked.reading.options)) if data else self._asked.function or "synthetic data"
        return f"kmr-inspect: {for_terminal(models)} on {for_terminal(data)}"

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """A model file among those that pytest collects, or named in its arguments."""
        return self._collect(file_path, parent)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """The same for a SavedModel."""
        return self._collect(path, parent)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Add the models that were not met. Before -k, -m and --lf choose among all."""
        if not self._asked.collected:
            return
        chosen = {item.run.path for item in items if isinstance(item, ModelItem)}
        for path in self._asked.models:
            if path not in chosen:
                node = self._collect(path, session)
                assert node is not None
                items.extend(session.genitems(node))

    def _collect(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        if path not in self._asked.models:
            return None
        run = ModelRun(path, shown_path(parent.config, path), self._asked, models_of(parent.config))
        return ModelFile.from_parent(parent, path=path, run=run)


class ModelFile(pytest.File):
    """A model."""

    def __init__(self, *, run: ModelRun, **node: object) -> None:
        super().__init__(**node)  # type: ignore[arg-type]
        self.run = run
        if self.config.pluginmanager.hasplugin("xdist"):  # --dist loadgroup: the model runs once
            self.add_marker(pytest.mark.xdist_group(name=for_terminal(run.shown)))

    def collect(self) -> Iterator[pytest.Collector]:
        """Its layers, then the model itself; then the same for the other ways into it."""
        yield from _layers_of(self, self.run)
        taken: set[str] = set()
        for way, run in self.run.others():
            yield WayNode.from_parent(self, name=f"({_name(way, taken)})", run=run)


class WayNode(pytest.Collector):
    """Another way into a model: an exported method, a signature."""

    def __init__(self, *, run: ModelRun, **node: object) -> None:
        super().__init__(**node)  # type: ignore[arg-type]
        self.run = run

    def collect(self) -> Iterator[pytest.Collector]:
        """The layers that it runs, then the model itself."""
        yield from _layers_of(self, self.run)


def _layers_of(parent: pytest.Collector, run: ModelRun) -> Iterator[pytest.Collector]:
    taken = {_MODEL}
    for layer, rules in run.places():
        name = _name(layer, taken) if layer else _MODEL
        yield LayerNode.from_parent(parent, name=name, run=run, layer=layer, rules=rules)


class LayerNode(pytest.Collector):
    """A layer, or the model itself."""

    def __init__(self, *, run: ModelRun, layer: str, rules: tuple[str, ...], **node: object) -> None:
        super().__init__(**node)  # type: ignore[arg-type]
        self.run, self.layer, self.rules = run, layer, rules

    def collect(self) -> Iterator[pytest.Item]:
        """One test per rule; of the model itself, also whether everything was shown."""
        for rule in self.rules:
            yield RuleItem.from_parent(self, name=rule, run=self.run, layer=self.layer, rule=rule)
        if not self.layer:
            kinds = {kind_of(rule) for rule in self.rules}
            if "check" in kinds or not kinds:
                yield ShownItem.from_parent(self, name="verified", run=self.run, kind="check", idle=not kinds)
            if "snapshot" in kinds:
                yield ShownItem.from_parent(self, name="compared", run=self.run, kind="snapshot")


class ModelItem(pytest.Item):
    """A test that reads what one run said. A run that failed is an error of each."""

    about = "(was everything shown?)"

    def __init__(self, *, run: ModelRun, kind: Kind, **node: object) -> None:
        super().__init__(**node)  # type: ignore[arg-type]
        self.run, self.kind = run, kind

    def setup(self) -> None:
        """Run the model, if no test before has."""
        problem = None
        try:
            wrote = self.run.judgement(self.kind).wrote
            if wrote is not None and self.run.snapshot is not None:
                self.user_properties.append((UPDATED, f"{shown_path(self.config, self.run.snapshot)} ({wrote})"))
        except KmrError as exc:
            problem = of_error(exc, self.run.path, self.run.shown)
        if problem is not None:  # out here, where no other exception is told along with it
            pytest.fail(problem, pytrace=False)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where, and what."""
        return self.path, 0, f"{self.nodeid} {self.about}"

    def judgement(self) -> Judgement:
        """What the run said."""
        return self.run.judgement(self.kind)

    def tell(self, findings: Iterable[Finding]) -> None:
        """Fail with the errors that are not allowed, and warn of the warnings."""
        failing = []
        for finding in findings:
            text = of_finding(finding, self._command(finding))
            if finding.severity == "error" and not finding.allowed:
                failing.append(text)
            elif not finding.allowed:
                try:
                    self.warn(KmrWarning(f"{for_terminal(self.run.shown)}: {text}"))
                except KmrWarning as exc:  # -W error
                    failing.append(str(exc))
        if failing:
            more = [f"… and {len(failing) - _SHOWN} more"] if len(failing) > _SHOWN else []
            pytest.fail("\n\n".join(failing[:_SHOWN] + more), pytrace=False)

    def _command(self, finding: Finding) -> str:
        asked = self.run.asked
        data = [*data_options(self.config, asked.data), *shape_options(asked.shapes)]
        if asked.size is not None:
            data += ["--batch-size", str(asked.size)]
        if asked.seed:
            data += ["--seed", str(asked.seed)]
        return sample_command(finding, shown_path(self.config, self.run.path), asked.opening, data)


class RuleItem(ModelItem):
    """Passes where a layer keeps a rule, is skipped where that was not looked at or not shown."""

    def __init__(self, *, run: ModelRun, layer: str, rule: str, **node: object) -> None:
        super().__init__(run=run, kind=kind_of(rule), **node)
        self.layer, self.rule = layer, rule
        self.about = RULES[rule].name

    def runtest(self) -> None:
        """Judge."""
        found = self.judgement()
        findings = found.findings.get((self.layer, self.rule), ())
        self.tell(findings)
        who = shown(self.layer) or ITSELF
        if not findings and self.layer not in found.layers:
            missing = (
                "it did not run" if self.kind == "check" else "not in the snapshot, or its values could not be compared"
            )
            pytest.skip(f"{who}: not examined: {JUST_WRITTEN if found.wrote else missing}")
        if not findings and needs_evidence(self.rule) and self.layer in found.silent:
            pytest.skip(f"{who}: not verified: {found.silent[self.layer]}")


class ShownItem(ModelItem):
    """Passes where everything was shown one way or the other; fails where something was not, or is skipped.

    Args:
        idle: no rule that counts applies to the model; then it fails, for nothing is checked.
    """

    def __init__(self, *, run: ModelRun, kind: Kind, idle: bool = False, **node: object) -> None:
        super().__init__(run=run, kind=kind, **node)
        self.idle = idle

    def runtest(self) -> None:
        """Judge."""
        if self.idle:
            pytest.fail("nothing is checked: no rule that select and ignore leave applies to this model", pytrace=False)
        found = self.judgement()
        self.user_properties.extend(properties(found.rests_on))
        self.tell(found.findings.get(("", ""), ()))
        if not found.inconclusive:
            return
        told = "not verified: " + "; ".join(for_terminal(reason, 500) for reason in found.inconclusive)
        if found.wrote or (found.layers and self.run.asked.policy.allow_inconclusive):
            pytest.skip(told)
        accepted_by = "\nhint:  --kmr-allow-inconclusive skips this test instead" if found.layers else ""
        pytest.fail(f"{told}{accepted_by}", pytrace=False)


def _name(layer: str, taken: set[str]) -> str:
    """A layer's name as part of a test's: printable, unique, and without what pytest splits at."""
    name = unique = for_terminal(layer).replace("::", "\\x3a\\x3a")
    number = 1
    while unique in taken:
        number += 1
        unique = f"{name}~{number}"
    taken.add(unique)
    return unique
