"""The Python interface: an opened model that answers questions about its batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kmr_cli.api.batches import make_batch, refuse_sizes, take_batch
from kmr_cli.api.choice import chosen
from kmr_cli.api.custom import custom_of
from kmr_cli.api.grounds import Groundwork
from kmr_cli.api.opened import Opened, open_file, open_live
from kmr_cli.api.snapshots import snapshot_of
from kmr_cli.api.traces import trace_of
from kmr_cli.api.versions import versions_of
from kmr_cli.api.ways import others
from kmr_cli.batch.given import batch_size
from kmr_cli.batch.hints import hints
from kmr_cli.batch.request import Data, GivenShapes, request
from kmr_cli.batch.synthetic import advised
from kmr_cli.check.by_proof import report_of
from kmr_cli.config import arguments as given
from kmr_cli.config.arguments import layer_patterns
from kmr_cli.config.batch_sizes import checked_sizes
from kmr_cli.config.constants import constants_of
from kmr_cli.config.layers import choose
from kmr_cli.config.limits import NONE, Limits, limits_of
from kmr_cli.config.masks import masks_of
from kmr_cli.config.policy import Policy
from kmr_cli.config.samples import Index, resolve_index
from kmr_cli.errors import BatchError, LayerError
from kmr_cli.formats.facts import proven_with_data
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.records import Dump, LayerInfo, ModelInfo, Record, Report, Snapshot, StructuralProof, TensorSpec, Trace

_SIDES = {"in": ("in",), "out": ("out",), "both": ("in", "out")}


def open_model(
    model: str | Path | Any,
    *,
    imports: Sequence[str] = (),
    signature: str | None = None,
    tags: Sequence[str] | None = None,
    method: str | None = None,
    constants: Mapping[str, Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    in_process: bool = False,
    trust: bool = False,
    timeout: float | None = None,
    memory: int | str | None = None,
    sandbox: str = "offered",
) -> Model:
    """Open a saved model. Reads only what the file declares; the framework comes in when the model is to be run.

    The file is read, and the model is run, in a child process. What could do harm is refused before it is loaded: see
    :func:`scan_model`.

    Args:
        model: a ``.keras`` or ``.h5`` file, a SavedModel directory, a TorchScript ``.pt``, a ``.pt2`` or an ``.onnx``
            file; with ``in_process``, also a live ``keras.Model``, ``torch.jit.ScriptModule`` or ``torch.nn.Module``.
        imports: modules that register custom layers, imported before the model is loaded.
        signature: SavedModel: the signature to run.
        tags: SavedModel: the tag set of the meta graph.
        method: TorchScript: the exported method to run in place of ``forward``.
        constants: arguments that are the same for the whole batch, ``{"sr": 16000}``: of TorchScript those that
            aren't tensors, or a single number; of ONNX and of a SavedModel those without a batch axis.
        custom_objects: Keras: classes and functions by the name that the file has for them, for those that are not
            registered. Without ``in_process`` they must be defined in a module.
        in_process: run the model in this process instead of a child of its own.
        trust: load the file whatever a scan finds in it, the code of Keras' Lambda layers included.
        timeout: seconds that each question to the model may take; None for as long as it takes.
        memory: what its process may hold, in bytes or as ``"4G"``; None for as much as it needs.
        sandbox: keep the model from files and the network: ``"offered"`` as far as this machine can, ``"required"``
            (refuse to load it otherwise), or ``"off"``, for modules that read files of their own.

    Raises:
        ModelFileError: nothing there, damaged, or not a model.
        UnsafeModelError: when it is to be run: a scan found what could do harm.
        LimitError: it took longer, or more memory, than allowed.
        KmrError: a live model that no format takes, or without ``in_process``.

    >>> from kmr_cli import open_model
    >>> with open_model("sample_models/digits.keras") as model:
    ...     print(model.layers[1].path, model.layers[1].type)
    ...     (record,) = model.sample("conv1", 4, "sample_models/digits.npz", side="out")
    conv1 Conv2D
    >>> record.value.shape, record.index.kind
    ((8, 8, 16), 'separated')
    """
    fixed = constants_of(constants) if constants else None
    custom = custom_of(custom_objects, in_process=in_process) if custom_objects else None
    options = OpenOptions(
        tuple(imports), signature, None if tags is None else tuple(tags), method=method, constants=fixed, custom=custom,
        trust=trust,
    )  # fmt: skip
    return Model(model, options, in_process=in_process, limits=limits_of(timeout, memory, sandbox))


class Model:
    """An opened model. Made by :func:`open_model`; close it, or use it as a context manager.

    The framework runs in a child process, which stays until :meth:`close`: what is asked second is answered faster.
    A closed model still shows what its file declares, and runs no more.
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
        limits: Limits = NONE,
    ) -> None:
        if isinstance(model, (str, Path)):
            self._opened = open_file(
                Path(model), options, in_process=in_process, fork=fork, debug=debug, report=report, limits=limits
            )
        else:
            self._opened = open_live(model, options, in_process=in_process, report=report, limits=limits)

    @property
    def path(self) -> str:
        """Where the file is, as it was given."""
        return self.info.path

    @property
    def info(self) -> ModelInfo:
        """All that the file declares: inputs, outputs, layers, parameters, who wrote it."""
        return self._opened.info

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """Every layer that the file declares, a parent before its children."""
        return self.info.layers

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What the model wants: name, shape (None for the batch), dtype."""
        return self.info.inputs

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the programs involved, for files that outlive this run."""
        return versions_of(self.info.format)

    def prove(self, batch: Data = None, *, shapes: GivenShapes = None) -> StructuralProof:
        """What the graph of the model allows at all: whether samples can mix, for every input and every batch size.

        Reads the operators from the file, of ``.pt2``, ONNX and SavedModels: nothing is run, no weight is read, no
        framework is imported. Of ``.keras`` and ``.h5``, and of a live Keras model, TensorFlow traces them. A live
        ``torch.nn.Module`` and TorchScript are exported by ``torch.export``, for inputs of one shape, and proven from
        two samples on. What is proven needs no data; what is not decided, :meth:`check_batch_axis` looks for in passes.

        Args:
            batch: of TorchScript or a live ``torch.nn.Module``, which do not tell what they take: as in :meth:`sample`.
            shapes: the same, where synthetic data will do.

        Raises:
            KmrError: a format, or a live model, that does not provide its graph; data for one that needs none.
            BatchError: the data does not fit the model, or a live ``torch.nn.Module`` is given none.
            ModelLoadError: the framework cannot trace or export the model, and why.

        >>> from kmr_cli import open_model
        >>> with open_model("sample_models/digits.onnx") as model:
        ...     print(model.prove())
        proven: samples never mix, for every input, at every batch size
        """
        arguments: dict[str, Any] = {}
        told = batch is not None or shapes is not None
        exported = proven_with_data(self.info.format)
        if (exported and told) or (self._opened.file is None and any(one.shape is None for one in self.info.inputs)):
            asked = request(batch, None, shapes, 0)
            with advised(self.info, synthetic=asked.synthetic, shapes=asked.shapes):
                arguments["batch"], _ = take_batch(self._opened, asked)
        elif told:
            raise BatchError("the graph is read without data", "leave out the batch and its shapes")
        found: StructuralProof = self._opened.run("prove", arguments)
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
        shapes: GivenShapes = None,
        seed: int = 0,
    ) -> tuple[Record, ...]:
        """What went into and came out of layers for given samples, with the evidence that it is theirs.

        Args:
            layer: path, unique suffix or glob; or several.
            index: which samples: ``4``, ``-1``, ``slice(0, 8)``, ``[1, 4, 7]``; counted from 0.
            batch: one array per input with the samples along axis 0 (a mapping, or the array alone where the model
                takes one input), or files as ``--input`` takes them, with rows, size and scale as
                :class:`kmr_cli.InputFiles`; None for synthetic data.
            side: ``in``, ``out`` or ``both``.
            call: only this call of each layer, counted from 0; None for every call.
            verify: find out whose the values are (one more pass, a second one in doubt); else trust the shape.
            size: batch size: of synthetic data, or the first rows of ``batch`` (its other rows then serve as
                replacement data).
            shapes: shape of one sample by input name, ``{"image": (8, 8, 1)}`` or ``"image=8,8,1"``, for synthetic
                data where the file does not declare it; with the dtype, ``(12, "bool")``, where it does not declare
                that.
            seed: of synthetic and replacement data.

        Returns:
            One record per tap and sample, in the order in which the taps ran.

        Raises:
            LayerError, BatchError: what was asked for does not fit the model; found before a framework is imported
                where the file tells enough.
            MissingFrameworkError, ModelLoadError, ModelRunError.
        """
        if side not in _SIDES:
            raise LayerError(f"the side must be in, out or both, not {side!r}")
        choice = chosen(self._opened, layer_patterns(layer), call)
        asked = request(batch, size, shapes, seed)
        arrays, spare = make_batch(self._opened, asked, index)
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
        with advised(self.info, synthetic=asked.synthetic, shapes=asked.shapes):
            records: tuple[Record, ...] = self._opened.run("sample", arguments)
        return records

    def trace(
        self,
        batch: Data = None,
        *,
        layer: str | Sequence[str] = "*",
        size: int | None = None,
        shapes: GivenShapes = None,
        seed: int = 0,
    ) -> Trace:
        """Run the batch once, and tell for every layer and sample: NaN, Inf, all zeros, saturated, largest magnitude.

        A pass that fails half-way shows what was seen until then, and why it failed.

        Args:
            batch: as in :meth:`sample`.
            layer: path, unique suffix or glob; or several.
            size: batch size.
            shapes: as in :meth:`sample`.
            seed: of synthetic data.

        Raises:
            LayerError, BatchError, MissingFrameworkError, ModelLoadError.

        >>> from kmr_cli import open_model
        >>> with open_model("sample_models/digits.onnx") as model:
        ...     trace = model.trace("sample_models/digits.npz")
        >>> trace.findings, trace.values[-1].largest[4] > 0
        ((), True)
        """
        return trace_of(self._opened, layer_patterns(layer), request(batch, size, shapes, seed))

    def dump(
        self,
        layer: str | Sequence[str],
        batch: Data,
        out: str | Path,
        *,
        size: int | None = None,
        side: str = "out",
        call: int | None = None,
        verify: bool = True,
        jobs: int = 1,
        scheduler: str | None = None,
        overwrite: bool = False,
        seed: int = 0,
    ) -> Dump:
        """Run a whole data set, batch after batch, and write what layers hold for every sample into a file.

        One value of one batch is in memory at a time. A run that was killed is continued when the same is asked for
        again: batches that are done are not run once more. See :mod:`kmr_cli.dumps` for what is in the file.

        Args:
            layer: path, unique suffix or glob; or several. What a glob matches is left out where its rows don't belong
                to samples; what is named is refused then.
            batch: the samples: files as for :meth:`sample`, which are read a batch at a time, or arrays.
            out: where to, a ``.zarr`` or an ``.h5``.
            size: samples that are run together; None for 32, or what the model takes. The last batch is filled up with
                copies of its last sample, whose rows are not written.
            side: ``in``, ``out`` or ``both``.
            call: only this call of each layer, counted from 0; None for every call.
            verify: write only what is proven to be the sample's, by the graph for every batch, or else by passes with
                the first batch; else trust the shape.
            jobs: processes that run the model at a time.
            scheduler: address of a Dask scheduler whose workers run it, ``"tcp://host:8786"``; they see the same files.
            overwrite: begin again where a dump stands at that place.
            seed: of replacement data.

        Raises:
            LayerError: a layer that the model does not have, or rows of a named one that are no sample's.
            OutputError: something else stands at that place, or the system refuses to write.
            BatchError, MissingFrameworkError, ModelLoadError, ModelRunError.
        """
        if side not in _SIDES:
            raise LayerError(f"the side must be in, out or both, not {side!r}")
        from kmr_cli.api.dumping.dump import Asked, dump_of  # no other command needs it
        from kmr_cli.dumps.place import Place

        asked = Asked(layer_patterns(layer), _SIDES[side], call, verify, jobs, scheduler)
        return dump_of(self._opened, asked, request(batch, size, None, seed), Place(out, overwrite=overwrite))

    def check_batch_axis(
        self,
        batch: Data = None,
        *,
        policy: Policy | None = None,
        size: int | None = None,
        batch_sizes: Sequence[int] = (),
        shapes: GivenShapes = None,
        seed: int = 0,
        training: bool = False,
        proof: bool = True,
    ) -> Report:
        """Whether the samples of a batch are independent at every layer.

        Runs the model with samples replaced, made extreme and NaN, and at other batch sizes, one of at least 32: at
        most B + 31 passes for B of up to eight samples, 2·⌈log2 B⌉ + 31 above, and five more where something shows
        in the batch of 32, and two where samples seem to change each other, which may be chance; up to twelve more of
        several inputs, four more for masks, one more in training mode. Where the file holds its graph (``.pt2``,
        ONNX, SavedModel), and where TensorFlow traces it (Keras), the proof of :meth:`prove` is part of the verdict: it
        settles what no pass shows, and is checked against the passes.

        Args:
            batch: as in :meth:`sample`. Of more than eight samples the first eight are the batch, and the others
                replace them, unless ``size`` says otherwise.
            policy: which rules, and what is by design.
            size: batch size.
            batch_sizes: the other batch sizes to try, ``[1, 8, 32, 64]``, in place of those that are chosen: each is
                run once, and the largest a few times more with other samples.
            shapes: as in :meth:`sample`.
            seed: of synthetic and replacement data.
            training: check the model in training mode. Its variables stay as they are.
            proof: ask the graph too.

        Raises:
            BatchError, MissingFrameworkError, ModelLoadError, ModelRunError.
            ProofError: a pass contradicts the proof, which is a bug in this program.
            BatchError: the model takes one sample at a time and keeps nothing between calls: nothing can mix.
            ModelLoadError: the file has no training mode (SavedModel, ``.pt2``, ONNX; traced or frozen TorchScript).
        """
        asked = request(batch, size, shapes, seed)
        arrays, spare = take_batch(self._opened, asked)
        if batch_size(arrays) < 2 and self.info.fixed_batch != 1:
            raise BatchError("a batch of one sample has nothing to mix with", "give at least two samples")
        policy = policy or Policy()
        if batch_sizes != ():
            policy = replace(policy, batch_sizes=checked_sizes(batch_sizes))
        refuse_sizes(self._opened, policy.batch_sizes, arrays)
        masks = masks_of(policy.masks, self.info.inputs, arrays)
        for line in hints(self.info, arrays, [mask.name for mask in masks]):
            self._opened.report("notice", line)
        for mask in masks:
            if mask.implied:
                self._opened.report("notice", f"input {mask.name!r}: steps of {mask.value:g} are padding to its layers")
        arguments = {
            "info": self.info, "batch": arrays, "spare": spare, "policy": policy, "seed": seed, "prove": proof,
        }  # fmt: skip
        groundwork: Groundwork[Report] = Groundwork(self._opened, asked, (arrays, spare))
        with groundwork, advised(self.info, synthetic=asked.synthetic, shapes=asked.shapes):
            report: Report = groundwork.complete(self._opened.run("check_batch_axis", arguments, training=training))
        return replace(report, not_examined=(*report.not_examined, *others(self.info)))

    def check_by_proof(self, *, policy: Policy | None = None) -> Report:
        """The verdict of :meth:`check_batch_axis` on the graph alone: nothing is run, and no framework is needed.

        ``pass`` where the graph proves every output, for every input; else ``inconclusive``, and what is not proven is
        named with its operator and layer.

        Args:
            policy: which rules, and what is by design.

        Raises:
            KmrError: a format, or a live model, that does not provide its graph.
        """
        groundwork: Groundwork[Report] = Groundwork(self._opened, None)
        with groundwork:
            report = groundwork.complete(report_of(self.prove(), self.info, policy or Policy()))
        return replace(report, not_examined=(*report.not_examined, *others(self.info)))

    def snapshot(
        self,
        batch: Data = None,
        *,
        sides: tuple[str, ...] = ("out",),
        size: int | None = None,
        shapes: GivenShapes = None,
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
            folder: save the whole tensors there too: ``0.npy``, ``1.npy``, … in the order of the taps.

        Raises:
            BatchError, MissingFrameworkError, ModelLoadError, ModelRunError.
        """
        asked = request(batch, size, shapes, seed)
        arrays, spare = take_batch(self._opened, asked)
        return snapshot_of(self._opened, arrays, spare, asked, sides=sides, folder=folder)

    def close(self) -> None:
        """End the child process, or free the model, for good."""
        self._opened.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _repr_html_(self) -> str:
        return self.info._repr_html_()

    def __repr__(self) -> str:
        return f"<Model {self.info.path!r} {self.info.format}, {len(self.layers)} layers>"


def opened(model: Model) -> Opened:
    """What stands behind a model, for the other parts of this program."""
    return model._opened


def least_records(model: Model, layer: str | Sequence[str], side: str, call: int | None) -> int:
    """How many records ``model.sample`` returns at least for one sample, as far as the file tells."""
    choice = choose(layer_patterns(layer), model.info.layers, model.info.separator, model.info.root)
    return given.least_records(model.info.layers, choice.paths, _SIDES[side], call)
