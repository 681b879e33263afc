"""A whole data set through an opened model: the values of layers, batch after batch, into one file."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kmr_cli.api.choice import chosen
from kmr_cli.api.dumping.one_batch import Plan, run_batch
from kmr_cli.api.feed import Feed
from kmr_cli.api.grounds import Digests, combined, data_files, digest_of, files_of
from kmr_cli.api.opened import Opened
from kmr_cli.api.versions import versions_of
from kmr_cli.batch.files.source import parse
from kmr_cli.batch.given_input import GivenInput
from kmr_cli.batch.request import BatchRequest
from kmr_cli.batch.words import count_samples
from kmr_cli.config.layers import choose
from kmr_cli.config.reading import InputFiles
from kmr_cli.dumps.about import About, threads
from kmr_cli.dumps.keys import keys
from kmr_cli.dumps.place import Place, reason
from kmr_cli.dumps.store import described
from kmr_cli.errors import BatchError, KmrError, LayerError, OutputError
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.records import Dump, DumpedValue, FileDigest

_TOLD = 5
"""Values that are left out, each with a line of its own."""


@dataclass(frozen=True)
class Asked:
    """What is wanted of every sample.

    Attributes:
        patterns: of layers.
        sides: ``in``, ``out`` or both.
        call: only this call of each layer; None for every call.
        verify: find out whose the values are.
        jobs: processes that run the model at a time.
        scheduler: address of a Dask scheduler, whose workers run it; None for none.
    """

    patterns: tuple[str, ...]
    sides: tuple[str, ...]
    call: int | None = None
    verify: bool = True
    jobs: int = 1
    scheduler: str | None = None


def dump_of(opened: Opened, asked: Asked, request: BatchRequest, place: Place) -> Dump:
    """Run all samples and write their values; raises as :meth:`kmr_cli.Model.dump`."""
    if asked.jobs < 1:
        raise KmrError(f"jobs must be 1 or more, not {asked.jobs}", "--jobs 2 runs the model in two processes")
    if asked.scheduler is not None and not place.divisible:
        raise OutputError(f"{place.path}: several machines cannot write one .h5 file", "write a .zarr")
    if opened.file is None and (asked.jobs > 1 or asked.scheduler is not None):
        raise KmrError("a live model runs in this process alone", "save it and give its path")
    layers, unresolved, named = _choice(opened, asked)
    with contextlib.ExitStack() as stack:
        cluster = None
        if asked.scheduler is not None:
            from kmr_cli.api.dumping.on_cluster import connected

            cluster = stack.enter_context(connected(asked.scheduler))
        feed = Feed(opened, request)
        with Digests({"model": files_of(opened), "data": _files(request)}) as digests:
            plan = _plan(opened, asked, feed, (layers, unresolved), request.seed)
            _settle(opened, plan, named)
            names = keys(plan.written)
            used = threads() if cluster is None else cluster.threads()
            about = _about(opened, asked, feed, request, plan, names, digests, used)
        store = place.store(about, plan.written, names)
        stack.callback(store.close)
        done = store.done()
        todo = [number for number in range(feed.batches) if number not in done]
        tell = _teller(opened, place, feed, len(todo))
        with _writing(place):
            if not todo:
                pass
            elif cluster is not None:
                cluster.run(opened, request, plan, place.path, about, todo, tell)
            elif asked.jobs > 1:
                from kmr_cli.api.dumping.in_processes import run_at_once

                run_at_once(
                    opened, asked.jobs, lambda twin, number: run_batch(twin, feed, plan, store, number), todo, tell
                )  # fmt: skip
            else:
                for finished, number in enumerate(todo, 1):
                    run_batch(opened, feed, plan, store, number)
                    tell(finished)
    size = sum(math.prod(one.shape) * _itemsize(one) for one in plan.written) * feed.data.samples
    return Dump(
        str(place.path),
        feed.data.samples,
        feed.size,
        feed.batches,
        feed.batches - len(todo),
        tuple(plan.written),
        tuple(one for one in plan.values if one.left_out is not None),
        0 if any(one.dtype == "string" for one in plan.written) else size,
    )


def _teller(opened: Opened, place: Place, feed: Feed, left: int) -> Callable[[int], None]:
    """What tells how far it is; of what was there before, at once."""
    before, each = feed.batches - left, count_samples(feed.size)

    def tell(finished: int) -> None:
        if finished < left:
            opened.report("progress", f"{before + finished + 1}/{feed.batches} batches of {each}")

    if before:
        some = "1 batch is" if before == 1 else f"{before} batches are"
        more = "nothing is left to do" if not left else f"{left} to go"
        opened.report("notice", f"{place.path}: {some} there already, {more}")
    tell(0)
    return tell


@contextlib.contextmanager
def _writing(place: Place) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise OutputError(
            f"{place.path}: cannot be written ({reason(exc)})",
            "what is written stays: the same command goes on from there once there is room",
        ) from exc


def _choice(opened: Opened, asked: Asked) -> tuple[tuple[str, ...], tuple[str, ...], frozenset[str]]:
    """Paths, patterns that only the loaded model can match, and those of the paths that were named one by one."""
    info = opened.info
    choice = chosen(opened, asked.patterns, asked.call)
    paths = {layer.path for layer in info.layers}
    plain = [one for one in asked.patterns if one in paths or not any(sign in one for sign in "*?[")]
    alone = choose(plain, info.layers, info.separator, info.root)
    return choice.paths, choice.unmatched, frozenset((*alone.paths, *alone.unmatched))


def _plan(opened: Opened, asked: Asked, feed: Feed, layers: tuple[tuple[str, ...], tuple[str, ...]], seed: int) -> Plan:
    calls = None if asked.call is None else (asked.call,)
    values: tuple[DumpedValue, ...] = opened.run(
        "plan_dump",
        {
            "layers": layers[0],
            "unresolved": layers[1],
            "separator": opened.info.separator,
            "calls": calls,
            "sides": asked.sides,
            "batch": feed.batch(0, tell=True),
            "spare": feed.batch(1) if feed.batches > 1 else None,
            "verify": asked.verify,
            "seed": seed,
        },
    )
    written = [number for number, one in enumerate(values) if one.left_out is None]
    return Plan(values, {number: place for place, number in enumerate(written)}, calls, asked.sides)


def _settle(opened: Opened, plan: Plan, named: frozenset[str]) -> None:
    """Tell of what is left out; refuse to leave out what was named.

    Raises:
        LayerError: that, or nothing is left.
    """
    left = [one for one in plan.values if one.left_out is not None]
    hint = "--batch-size 1 runs every sample alone; --no-verify takes the rows by their place, whosever they are"
    for one in left:
        if one.kind != "constant" and one.layer in named:
            raise LayerError(f"{one.layer!r} {one.port} is not written: {one.left_out}", hint)
    for one in left[:_TOLD]:
        opened.report("notice", f"{one.layer} {one.port} is left out: {one.left_out}")
    if len(left) > _TOLD:
        opened.report("notice", f"{len(left) - _TOLD} more values are left out, which the result lists")
    if not plan.numbers:
        first = left[0]
        raise LayerError(f"nothing can be written: {first.layer!r} {first.port}: {first.left_out}", hint)


def _files(request: BatchRequest) -> dict[str, Any]:
    """The files of the data, which are read as a whole for their digest, whatever rows are wanted."""
    if not request.files:
        return {}
    whole = InputFiles(request.files, resize=request.reading.resize, scale=request.reading.scale)
    return dict(data_files(replace(request, data=whole)))


def _about(
    opened: Opened,
    asked: Asked,
    feed: Feed,
    request: BatchRequest,
    plan: Plan,
    names: Sequence[str],
    digests: Digests,
    used: str,
) -> About:
    info = feed.info
    if request.files:
        opened.report("progress", "reading the data for its digest")
        found = [FileDigest(Path(one.name).name, one.sha256) for one in digests.of("data")]
        data = combined(found)
    else:
        data = digest_of([_arrays(feed.data.read(0, feed.data.samples))])
    model = digests.of("model")
    return About(
        model=Path(info.path).name,
        format=info.format,
        writer=info.writer,
        model_sha256=combined(model) if model else "",
        data=request.source,
        reading=_reading(request),
        data_sha256=data,
        samples=feed.data.samples,
        first=feed.data.first,
        batch_size=feed.size,
        opening=_opening(opened.options),
        verified=asked.verify,
        threads=used,
        versions=versions_of(info.format),
        values={name: described(value) for name, value in zip(names, plan.written, strict=True)},
    )


def _arrays(given: Sequence[GivenInput]) -> dict[str, np.ndarray]:
    """What was given in Python, or by a function."""
    found = {}
    for one in given:
        array = one.array
        if not isinstance(array, np.ndarray):
            raise BatchError(f"{one.source}: not an array")
        if array.dtype.kind in "UT":
            array = array.astype(object)
        if array.dtype == object:
            array = np.array([str(item).encode() if isinstance(item, str) else item for item in array.ravel()], object)
        found[one.name or ""] = array
    return found


def _reading(request: BatchRequest) -> str:
    """Which arrays of the files are read, and how; not which rows."""
    sources = [parse(argument) for argument in request.files]
    named = [f"{one.name or ''}={one.key or ''}" for one in sources if one.name or one.key]
    return " ".join((*named, *(one for one in request.reading.options if not one.startswith("--rows"))))


def _opening(options: OpenOptions) -> str:
    """Options that make another model of the same file."""
    said = {
        "imports": options.imports,
        "signature": options.signature,
        "tags": options.tags,
        "method": options.method,
        "constants": options.constants,
        "inputs": options.given,
        "custom": tuple(name for name, _ in options.custom or ()),
    }
    return " ".join(f"{name}={value!r}" for name, value in said.items() if value)


def _itemsize(value: DumpedValue) -> int:
    import ml_dtypes  # noqa: F401  (registers bfloat16 and float8 with NumPy)

    return 0 if value.dtype == "string" else np.dtype(value.dtype).itemsize
