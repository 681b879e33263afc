"""The Python interface: an opened model that answers questions about its batch."""

from __future__ import annotations

import contextlib
import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from kmr_cli.batch.fit import GivenInput, fit
from kmr_cli.batch.given import batch_size, from_arrays, read_files
from kmr_cli.batch.hints import hints
from kmr_cli.batch.synthetic import CHECKED, advised, choose_batch_size, synthesize
from kmr_cli.batch.words import count_samples
from kmr_cli.check.check import Policy
from kmr_cli.check.probes.masks import masks_of
from kmr_cli.config.arguments import layer_patterns, least_records, refuse_call, refuse_size_and_seed
from kmr_cli.config.layers import choose, unknown_layer
from kmr_cli.config.samples import Index, least_size, resolve_index
from kmr_cli.errors import BatchError, KmrError, LayerError
from kmr_cli.evidence.passes import SINGLY
from kmr_cli.formats import describe
from kmr_cli.formats.facts import programs
from kmr_cli.formats.interface import Format, OpenOptions, Session
from kmr_cli.formats.live import adopt, describe_live, refusal
from kmr_cli.process.child import Child
from kmr_cli.process.sessions import LiveSessions, Sessions
from kmr_cli.process.tasks import TASKS
from kmr_cli.records import LayerInfo, ModelInfo, Record, Report, Shapes, Snapshot, TensorSpec
from kmr_cli.snapshot.take import sketch_inputs

Data: TypeAlias = "Mapping[str, Any] | np.ndarray | str | Path | Sequence[str | Path] | None"

_SIDES = {"in": ("in",), "out": ("out",), "both": ("in", "out")}


def open_model(
    model: str | Path | Any,
    *,
    imports: Sequence[str] = (),
    signature: str | None = None,
    tags: Sequence[str] | None = None,
    in_process: bool = False,
) -> Model:
    """Open a saved model. Reads the file's own description only; the framework comes in when a sample is asked for.

    Args:
        model: a ``.keras`` or ``.h5`` file, a SavedModel directory, a TorchScript ``.pt`` file; with
            ``in_process``, also a live ``keras.Model`` or ``torch.jit.ScriptModule``.
        imports: modules that register custom layers, imported before the model is loaded.
        signature: SavedModel: the signature to run.
        tags: SavedModel: the tag set of the meta graph.
        in_process: run the model in this process instead of a child of its own.

    Raises:
        ModelFileError: nothing there, damaged, or not a model.

    >>> from kmr_cli import open_model
    >>> with open_model("sample_models/digits.keras") as model:
    ...     print(model.layers[1].path, model.layers[1].type)
    ...     (record,) = model.sample("conv1", 4, "sample_models/digits.npz", side="out")
    conv1 Conv2D
    >>> record.value.shape, record.index.kind
    ((8, 8, 16), 'separated')
    """
    options = OpenOptions(tuple(imports), signature, None if tags is None else tuple(tags))
    return Model(model, options, in_process=in_process)


class Model:
    """An opened model. Made by :func:`open_model`; close it, or use it as a context manager.

    The framework runs in a child process that starts with the first sample and stays until :meth:`close`.
    """

    def __init__(
        self,
        model: str | Path | Any,
        options: OpenOptions,
        *,
        in_process: bool = False,
        fork: bool = False,
        debug: bool = False,
        report: Callable[[str, str], None] = lambda _kind, _text: None,
    ) -> None:
        self._options = options
        self._fork, self._debug, self._report = fork, debug, report
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._sessions: Sessions | None = None
        self.info: ModelInfo
        if isinstance(model, (str, Path)):
            self._path = Path(model)
            self._sessions = Sessions(reopens=False) if in_process else None
            _, self.info = describe(self._path, options)
        else:
            format_, session = _adopt(model, in_process=in_process)
            self._path = Path()
            self._sessions = LiveSessions(format_, model, session)
            self.info = describe_live(format_, session)

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """Every layer that the file tells, a parent before its children."""
        return self.info.layers

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What the model wants: name, shape (None for the batch), dtype."""
        return self.info.inputs

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the programs involved, for files that outlive this run."""
        found = {"kmr_inspect": metadata.version("kmr-inspect"), "python": platform.python_version()}
        for program in ("numpy", *programs(self.info.format)):
            with contextlib.suppress(metadata.PackageNotFoundError):
                found[program] = metadata.version(program)
        return found

    def sample(
        self,
        layer: str | Sequence[str],
        index: Index,
        batch: Data = None,
        *,
        side: str = "both",
        call: int | None = None,
        verify: bool = True,
        size: int | None = None,
        shapes: Shapes | None = None,
        seed: int = 0,
    ) -> tuple[Record, ...]:
        """What went into and came out of layers for given samples, with the proof that it is theirs.

        Args:
            layer: path, unique suffix or glob; or several.
            index: which samples: ``4``, ``-1``, ``slice(0, 8)``, ``[1, 4, 7]``; counted from 0.
            batch: one array per input with the samples along axis 0 (a mapping, or the array alone where the model
                takes one input), or npy/npz files as on the command line; None for synthetic data.
            side: ``in``, ``out`` or ``both``.
            call: only this call of each layer, counted from 0; None for every call.
            verify: prove whose the values are (one more pass, a second one in doubt).
            size: batch size: of synthetic data, or the first rows of ``batch`` (its other rows then serve as
                replacement data).
            shapes: shape of one sample by input name, ``(8, 8, 1)``, for synthetic data where the file does not tell
                it; with the dtype, ``(12, "bool")``, where the file does not tell that.
            seed: of synthetic and replacement data.

        Returns:
            One record per tap and sample, in the order in which the taps ran.

        Raises:
            LayerError, BatchError: what was asked for does not fit the model; found before a framework is imported
                where the file tells enough.
            MissingFrameworkError, ModelLoadError, ModelRunError.
        """
        if side not in _SIDES:
            raise LayerError(f"no side {side!r}", "it is in, out or both")
        patterns = layer_patterns(layer)
        choice = choose(patterns, self.info.layers, self.info.separator)
        if choice.unmatched and not self.info.opaque:
            raise unknown_layer(choice.unmatched[0], self.info.layers)
        for skipped in choice.skipped:
            self._report("notice", f"layer {skipped.path!r} is left out: {skipped.untappable}")
        if not choice.paths and not choice.unmatched:
            raise LayerError(f"none of the layers that {', '.join(map(repr, patterns))} matches can be tapped")
        refuse_call(self.info.layers, choice.paths, call)
        arrays, spare = self._batch(batch, index, size, shapes or {}, seed)
        arguments = {
            "layers": choice.paths,
            "unresolved": choice.unmatched,
            "separator": self.info.separator,
            "calls": None if call is None else (call,),
            "sides": _SIDES[side],
            "batch": arrays,
            "spare": spare,
            "samples": tuple(resolve_index(index, batch_size(arrays))),
            "verify": verify,
            "seed": seed,
        }
        with advised(self.info, synthetic=batch is None, shapes=shapes):
            records: tuple[Record, ...] = self._run("sample", arguments)
        return records

    def least_records(self, layer: str | Sequence[str], *, side: str = "both", call: int | None = None) -> int:
        """How many records :meth:`sample` returns at least for one sample, as far as the file tells."""
        choice = choose(layer_patterns(layer), self.info.layers, self.info.separator)
        return least_records(self.info.layers, choice.paths, _SIDES[side], call)

    def check_batch_axis(
        self,
        batch: Data = None,
        *,
        policy: Policy | None = None,
        size: int | None = None,
        shapes: Shapes | None = None,
        seed: int = 0,
        training: bool = False,
    ) -> Report:
        """Whether the samples of a batch are independent at every layer; see :func:`kmr_cli.check.check.check`.

        Args:
            batch: as in :meth:`sample`. Of more than eight samples the first eight are the batch, and the others
                replace them, unless ``size`` says otherwise.
            policy: which rules, and what is by design.
            size: batch size.
            shapes: as in :meth:`sample`.
            seed: of synthetic and replacement data.
            training: of the model in training mode; see :func:`kmr_cli.check.training.check_session`. Its variables
                stay as they are.

        Raises:
            BatchError, MissingFrameworkError, ModelLoadError, ModelRunError.
            ModelLoadError: the file has no training mode (SavedModel; traced or frozen TorchScript).
        """
        if self.info.fixed_batch == 1:
            raise BatchError(
                "the model takes exactly 1 sample at a time, which has no neighbours: nothing to check",
                "save or export it with a batch axis of any size (None), and check that file",
            )
        arrays, spare = self.take_batch(batch, size, shapes or {}, seed)
        if batch_size(arrays) < 2:
            raise BatchError("a batch of one sample has nothing to mix with", "give two samples at least")
        policy = policy or Policy()
        masks = masks_of(policy.masks, self.info.inputs, arrays)
        for line in hints(self.info, arrays, [mask.name for mask in masks]):
            self._report("notice", line)
        for mask in masks:
            if mask.implied:
                self._report("notice", f"input {mask.name!r}: steps of {mask.value:g} are padding to its layers")
        arguments = {"info": self.info, "batch": arrays, "spare": spare, "policy": policy, "seed": seed}
        with advised(self.info, synthetic=batch is None, shapes=shapes):
            report: Report = self._run("check_batch_axis", arguments, training=training)
        return report

    def snapshot(
        self,
        batch: Data = None,
        *,
        sides: tuple[str, ...] = ("out",),
        size: int | None = None,
        shapes: Shapes | None = None,
        seed: int = 0,
        folder: Path | None = None,
    ) -> Snapshot:
        """Run a batch and keep of every tap its shape, dtype, batch index and a value sketch.

        Args:
            batch: as in :meth:`check_batch_axis`.
            sides: ``out``, ``in`` or both: what is kept of every layer.
            size: batch size.
            shapes: as in :meth:`sample`.
            seed: of synthetic and replacement data.
            folder: save the whole tensors there too; see :func:`kmr_cli.snapshot.take.take`.

        Raises:
            BatchError, MissingFrameworkError, ModelLoadError, ModelRunError.
        """
        arrays, spare = self.take_batch(batch, size, shapes or {}, seed)
        return self.snapshot_of(arrays, spare, batch, sides=sides, shapes=shapes or {}, seed=seed, folder=folder)

    def snapshot_of(
        self,
        arrays: dict[str, np.ndarray],
        spare: dict[str, np.ndarray] | None,
        source: Data,
        *,
        sides: tuple[str, ...],
        shapes: Shapes,
        seed: int,
        folder: Path | None,
        v1: bool = False,
        repeat: bool = True,
    ) -> Snapshot:
        """The same for a batch that :meth:`take_batch` made; ``source`` is what it was made from.

        ``v1`` has the sketches of version 1 made too, ``repeat`` looks for chance in every sample; see
        :func:`kmr_cli.snapshot.take.take`.
        """
        arguments = {
            "batch": arrays, "spare": spare, "sides": sides, "seed": seed,
            "folder": None if folder is None else str(folder.resolve()), "v1": v1,
            "repeat": repeat,
        }  # fmt: skip
        with advised(self.info, synthetic=source is None, shapes=shapes):
            taps, outputs = self._run("snapshot", arguments)
        return Snapshot(
            self.info.path, self.info.format, self.info.writer, self.versions, _source(source), batch_size(arrays),
            seed, dict(shapes), sketch_inputs(arrays, self.info), outputs, sides, taps, self.info.separator,
        )  # fmt: skip

    def take_batch(
        self, data: Data, size: int | None, shapes: Shapes, seed: int
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray] | None]:
        """A small batch from data, or a synthetic one, and the rows that are left over to replace samples with."""
        if size is None and data is None and self.info.fixed_batch is None:
            size = choose_batch_size(self.info, minimum=CHECKED, shapes=shapes)
        arrays, spare = self._batch(data, 0, size, shapes, seed)
        if size is None and batch_size(arrays) > SINGLY and self.info.fixed_batch is None:
            have = batch_size(arrays)
            line = f"{SINGLY} of {have} samples are the batch, the rest replace them; --batch-size takes more"
            self._report("notice", line)
            spare = {name: values[SINGLY:] for name, values in arrays.items()}
            arrays = {name: values[:SINGLY] for name, values in arrays.items()}
        return arrays, spare

    def close(self) -> None:
        """End the child process, or free the model."""
        if self._child is not None:
            self._child.close()
            self._child = None
        if self._sessions is not None:
            self._sessions.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Model {self.info.path} ({self.info.writer}), {len(self.layers)} layers>"

    def _run(self, task: str, arguments: dict[str, Any], *, training: bool = False) -> Any:
        # A fork lives as long as the command; another child must find the file whatever folder one goes to.
        path = self._path if self._fork else self._path.resolve()
        asked = {"path": str(path), "options": replace(self._options, training=training), **arguments}
        with self._lock:
            if self._sessions is not None:
                return TASKS[task](report=self._report, sessions=self._sessions, **asked)
            if self._child is None:
                self._child = Child(TASKS, fork=self._fork, debug=self._debug)
            try:
                return self._child.run(task, asked, self._report)
            except BaseException as exc:
                if not isinstance(exc, KmrError) or not self._child.alive:
                    self._child = None
                raise

    def _batch(
        self, data: Data, index: Index, size: int | None, shapes: Shapes, seed: int
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray] | None]:
        refuse_size_and_seed(size, seed)
        fixed = self.info.fixed_batch
        if size is not None and fixed not in (None, size):
            raise BatchError(
                f"the model takes exactly {count_samples(fixed)} at a time, not {size}", f"give --batch-size {fixed}"
            )
        if data is None:
            chosen = size or choose_batch_size(self.info, least_size(index), shapes=shapes)
            batch = synthesize(self.info, chosen, seed, shapes)
            resolve_index(index, chosen)
            made = f"{count_samples(chosen)}, seed {seed}"
            self._report("notice", f"the data is synthetic ({made}); give your own with --input")
            return batch, None
        if shapes:
            raise BatchError("a shape for synthetic data, but data is given", "leave out --shape or --input")
        given = _given(data)
        rows = fixed if size is None else None
        batch = fit(given, self.info.inputs, fixed_batch=rows, notice=lambda text: self._report("notice", text))
        have = batch_size(batch)
        if size is None or size == have:
            return batch, None
        if size > have:
            raise BatchError(f"a batch of {size} samples, but the data holds {have}")
        return (
            {name: values[:size] for name, values in batch.items()},
            {name: values[size:] for name, values in batch.items()},
        )


def _source(data: Any) -> str:
    """Where a batch came from, for people: ``synthetic``, the names of files, or ``arrays``."""
    if data is None:
        return "synthetic"
    if isinstance(data, (str, Path)):
        return Path(data).name
    if isinstance(data, (list, tuple)) and data and all(isinstance(item, (str, Path)) for item in data):
        return ", ".join(Path(item).name for item in data)
    return "arrays"


def _given(data: Any) -> list[GivenInput]:
    if isinstance(data, (str, Path)):
        return read_files([str(data)])
    if isinstance(data, (list, tuple)) and data and all(isinstance(item, (str, Path)) for item in data):
        return read_files(map(str, data))
    return from_arrays(data)


def _adopt(model: Any, *, in_process: bool) -> tuple[Format, Session]:
    if not in_process:
        raise refusal(model) or KmrError(
            f"a live {type(model).__name__} cannot be sent to another process",
            "open_model(model, in_process=True), or save it and give its path",
        )
    return adopt(model)
