"""What the command line, the ini file and ``[tool.kmr-inspect]`` ask of the plugin."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kmr_cli.batch.files.source import parse
from kmr_cli.batch.request import BatchRequest, Data
from kmr_cli.config.batch_sizes import parse_batch_sizes
from kmr_cli.config.constants import parse_constants
from kmr_cli.config.limits import NONE, Limits, limits_of
from kmr_cli.config.per_model import PerModel, absolute, settings_of
from kmr_cli.config.policy import Policy, combine
from kmr_cli.config.pyproject import Settings, read_settings
from kmr_cli.config.reading import WHOLE, InputFiles, InputFunction, Reading
from kmr_cli.config.shapes import parse_shapes
from kmr_cli.config.tolerance import Tolerance, Tolerances
from kmr_cli.errors import KmrError
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.records import Shapes
from kmr_cli.rules import RULES


@dataclass(frozen=True)
class Asked:
    """What to do with every model.

    Attributes:
        models: files, absolute.
        collected: they are tests of this run: they stand on the command line, or in the ini file and the run is of no
            chosen tests.
        inputs: files of data, absolute, as ``FILE`` or ``NAME=FILE``.
        size, shapes: of the batch.
        opening: how models are opened.
        snapshot: a file, or a folder of them.
        policy, tolerances: what counts, from ``[tool.kmr-inspect]``.
        update: write snapshots.
        per_model: what ``[tool.kmr-inspect.models]`` says.
        typed_sizes: other batch sizes, where the command line says them.
        all_methods: every exported method or signature is checked.
        limits: what a model's process may take.
        seed: of all random data.
        training: training mode is checked.
        proof: the graph is asked as well.
        allow_inconclusive: the command line or the ini file accepts what could not be verified.
        reading: how files of data are read.
        function: that gives the data, ``module:function``.
    """

    models: tuple[Path, ...]
    collected: bool
    inputs: tuple[str, ...]
    size: int | None
    shapes: Shapes
    opening: OpenOptions
    snapshot: Path | None
    policy: Policy
    tolerances: Tolerances
    update: bool
    per_model: PerModel = ()
    typed_sizes: tuple[int, ...] = ()
    all_methods: bool = False
    limits: Limits = NONE
    seed: int = 0
    training: bool = False
    proof: bool = True
    allow_inconclusive: bool = False
    reading: Reading = WHOLE
    function: str | None = None

    @property
    def data(self) -> InputFiles | InputFunction | None:
        """The batch; None for synthetic data."""
        if self.function is not None:
            return InputFunction(self.function)
        return InputFiles.of(self.inputs, self.reading) if self.inputs else None

    def of(self, model: Path) -> Asked:
        """The same for one model, completed with what ``[tool.kmr-inspect.models]`` says of it."""
        said = settings_of(self.per_model, model)
        inputs, shapes, function = self.inputs, self.shapes, self.function
        typed = bool(inputs or shapes or function)
        if not typed:
            inputs, shapes, function = said.input, parse_shapes(said.shape), said.input_from
        policy = replace(
            self.policy,
            masks=self.policy.masks or said.mask_input,
            batch_sizes=self.typed_sizes or said.batch_sizes or self.policy.batch_sizes,
            allow_inconclusive=self.allow_inconclusive or (
                self.policy.allow_inconclusive if said.allow_inconclusive is None else said.allow_inconclusive
            ),
        )  # fmt: skip
        opening = self.opening.trusting(said.trust)
        return replace(
            self, inputs=inputs, shapes=shapes, policy=policy, opening=opening, function=function,
            reading=self.reading.or_else(said.reading, rows=not typed),
        )  # fmt: skip

    def snapshot_of(self, model: Path) -> Path | None:
        """The snapshot that a model is compared with, or None."""
        from kmr_cli.snapshot.file import file_name

        if self.snapshot is None or not self.snapshot.is_dir():
            return self.snapshot
        return self.snapshot / file_name(model)


_KEY = pytest.StashKey[Asked]()


def asked_of(config: pytest.Config) -> Asked:
    """What this run asks for; read once.

    Raises:
        pytest.UsageError: a file that is not there, not a shape, not a rule, a bad ``[tool.kmr-inspect]``.
    """
    if _KEY not in config.stash:
        try:
            config.stash[_KEY] = _read(config)
        except KmrError as exc:
            raise pytest.UsageError(f"{exc.message}\nhint:  {exc.hint}" if exc.hint else exc.message) from None
    return config.stash[_KEY]


def shown_path(config: pytest.Config, path: Path) -> str:
    """A file as people know it: relative to rootdir if it lies below."""
    try:
        return path.relative_to(config.rootpath).as_posix()
    except ValueError:
        return str(path)


def relative(config: pytest.Config, argument: str) -> str:
    """``FILE`` or ``NAME=FILE`` as people know it: relative to rootdir if it lies below."""
    name, equals, file = argument.partition("=")
    if not equals or Path(argument).exists():
        return shown_path(config, Path(argument))
    return f"{name}={shown_path(config, Path(file))}"


def data_options(config: pytest.Config, data: Data) -> list[str]:
    """The data as options of a command: ``--input`` and how files are read, or ``--input-from``; none for arrays."""
    asked = BatchRequest(data)
    words = [word for file in asked.files for word in ("--input", relative(config, file))]
    words += [word for option in asked.reading.options for word in option.split(" ", 1)]
    return [*words, *(["--input-from", asked.function] if asked.function is not None else [])]


def _read(config: pytest.Config) -> Asked:
    here, root = config.invocation_params.dir, config.rootpath
    whole = config.args_source is not pytest.Config.ArgsSource.ARGS
    collected = whole or bool(config.getoption("kmr_models"))
    given = config.getoption("kmr_models") or config.getini("kmr_models")
    models = tuple(dict.fromkeys(Path(os.path.normpath(here / path)) for path in given))
    for model in models:
        if not model.exists():
            raise KmrError(f"--kmr-model {shown_path(config, model)}: no such file", "give the path of a model")
    typed = config.getoption("kmr_inputs")
    inputs = tuple(absolute(text, here if typed else root) for text in typed or config.getini("kmr_inputs"))
    for text in inputs:
        if not parse(text).path.exists():
            raise KmrError(f"--kmr-input {text}: no such file", "it is FILE or NAME=FILE")
    settings = read_settings(root)
    snapshot = _snapshot(config, models)
    masks = config.getoption("kmr_mask_inputs") or config.getini("kmr_mask_inputs")
    sizes = config.getoption("kmr_batch_sizes") or config.getini("kmr_batch_sizes")
    policy = combine(settings, masks=masks, sizes=parse_batch_sizes(sizes) if sizes else ())
    if collected and models:
        _refuse_nothing(policy, compared=snapshot is not None)
    asked = Asked(
        models,
        collected,
        inputs,
        _number(config, "kmr_batch_size", "8"),
        parse_shapes(config.getoption("kmr_shapes") or config.getini("kmr_shapes")),
        _opening(config),
        snapshot,
        policy,
        Tolerances(Tolerance(), settings.tolerance),
        bool(config.getoption("kmr_update")),
        settings.models,
        parse_batch_sizes(sizes) if sizes else (),
        bool(config.getoption("kmr_all_methods") or config.getini("kmr_all_methods")),
        _limits(config, settings),
        _number(config, "kmr_seed", "1") or 0,
        bool(config.getoption("kmr_training") or config.getini("kmr_training")),
        not (config.getoption("kmr_no_proof") or config.getini("kmr_no_proof")),
        bool(config.getoption("kmr_allow_inconclusive") or config.getini("kmr_allow_inconclusive")),
        _reading(config),
        config.getoption("kmr_input_from") or config.getini("kmr_input_from") or None,
    )
    _refuse_contradictions(asked)
    # Workers of xdist get these: they may stand in another folder, and are always told which tests to run.
    config.option.kmr_models = [str(path) for path in models] if collected else []
    config.option.kmr_inputs = list(inputs)
    config.option.kmr_snapshot = None if asked.snapshot is None else str(asked.snapshot)
    return asked


def _refuse_contradictions(asked: Asked) -> None:
    """Refuse data from two sources, and to read files where there are none.

    Raises:
        KmrError: that is asked for.
    """
    reading = asked.reading.option and asked.reading.option.replace("--", "--kmr-")
    if asked.function is not None and (asked.inputs or asked.shapes):
        raise KmrError("--kmr-input-from gives the batch", "leave out --kmr-input and --kmr-shape")
    if asked.function is not None and reading:
        raise KmrError("--kmr-input-from gives the batch", f"leave out {reading}")
    if reading and not (asked.inputs or any(said.input for _, said in asked.per_model)):
        raise KmrError(f"{reading} says how --kmr-input is read", "give --kmr-input FILE too")


def _reading(config: pytest.Config) -> Reading:
    """How files of data are read."""
    said = (config.getoption(name) or config.getini(name) or None for name in ("kmr_rows", "kmr_resize", "kmr_scale"))
    return Reading(*said)


def _number(config: pytest.Config, name: str, example: str) -> int | None:
    typed: int | None = config.getoption(name)
    text = config.getini(name)
    if typed is not None or not text:
        return typed
    try:
        return int(text)
    except ValueError:
        raise KmrError(f"{name} = {text}: isn't a whole number", f"as in {name} = {example}") from None


def _opening(config: pytest.Config) -> OpenOptions:
    """How models are opened, as the command line says, else the ini file."""
    imports, tags, constants, method, signature = (
        config.getoption(name) or config.getini(name)
        for name in ("kmr_imports", "kmr_tags", "kmr_constants", "kmr_method", "kmr_signature")
    )
    return OpenOptions(
        tuple(imports),
        signature or None,
        tuple(tags) or None,
        method=method or None,
        constants=parse_constants(constants) if constants else None,
        trust=bool(config.getoption("kmr_trust") or config.getini("kmr_trust")),
    )


def _limits(config: pytest.Config, settings: Settings) -> Limits:
    """What a model's process may take: as the command line says, else the ini file, else ``[tool.kmr-inspect]``."""
    timeout, memory = config.getoption("kmr_timeout"), config.getoption("kmr_memory") or config.getini("kmr_memory")
    text = config.getini("kmr_timeout")
    if timeout is None and text:
        try:
            timeout = float(text)
        except ValueError:
            raise KmrError(f"kmr_timeout = {text}: isn't a number of seconds", "as in kmr_timeout = 60") from None
    sandbox = config.getoption("kmr_sandbox") or config.getini("kmr_sandbox") or settings.sandbox or "offered"
    return limits_of(settings.timeout if timeout is None else timeout, memory or settings.memory, sandbox)


def _refuse_nothing(policy: Policy, *, compared: bool) -> None:
    """A run without any rule that could fail must not be green."""
    failing = {
        command: any(RULES[rule].severity != "note" for rule in policy.counting(command))
        for command in ("check-batch-axis", "compare")
    }
    if compared and not failing["compare"]:
        raise KmrError(
            "select and ignore leave no rule of compare, and --kmr-snapshot asks for it", "ignore fewer rules"
        )
    if not compared and not failing["check-batch-axis"]:
        raise KmrError(
            "select and ignore leave no rule of check-batch-axis, so nothing would be checked", "ignore fewer rules"
        )


def _snapshot(config: pytest.Config, models: Sequence[Path]) -> Path | None:
    typed = config.getoption("kmr_snapshot")
    text = typed or config.getini("kmr_snapshot")
    if not text:
        return None
    path: Path = (config.invocation_params.dir if typed else config.rootpath) / text
    if len(models) > 1 and not path.is_dir():
        raise KmrError(f"--kmr-snapshot {text}: one snapshot for {len(models)} models", "give a folder of snapshots")
    return path
