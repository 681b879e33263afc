"""A data set on the workers of a Dask cluster: each holds the model in a child of its own, and writes what it ran.

The workers see the files of model, data and result under the same paths. Nothing but numbers of batches goes back.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kmr_cli.api.dumping.one_batch import Plan, run_batch
from kmr_cli.api.feed import Feed
from kmr_cli.api.grounds import Digests, combined, files_of
from kmr_cli.api.opened import Opened, open_file
from kmr_cli.api.versions import versions_of
from kmr_cli.batch.files.source import parse
from kmr_cli.batch.request import BatchRequest
from kmr_cli.config.limits import Limits
from kmr_cli.config.per_model import absolute
from kmr_cli.config.reading import InputFiles
from kmr_cli.dumps import EXTRA, zarr
from kmr_cli.dumps.about import About, threads
from kmr_cli.dumps.store import Store
from kmr_cli.errors import BatchError, KmrError, ModelFileError, OutputError
from kmr_cli.formats.common.frameworks import first_line, require
from kmr_cli.formats.interface import OpenOptions

_PATIENCE = "20s"
_EACH = 2
"""Batches that a worker is given ahead, so that it never waits for the next."""


@dataclass(frozen=True)
class _Job:
    """All that a worker has to know.

    Attributes:
        key: of this run; what a worker holds for another one, it closes.
        path, options, limits: of the model.
        request: the data.
        plan: what every batch is run for.
        place: where the result is.
        names: of the values in it.
        about: what it is of.
        marks: size and time of the data's files.
    """

    key: str
    path: str
    options: OpenOptions
    limits: Limits
    request: BatchRequest
    plan: Plan
    place: str
    names: tuple[str, ...]
    about: About
    marks: tuple[tuple[int, int], ...]


class Cluster:
    """The workers of a scheduler.

    Args:
        client: connected to it.
        address: of the scheduler.
    """

    def __init__(self, client: Any, address: str) -> None:
        self._client, self._address = client, address

    def threads(self) -> str:
        """Threads that a model may use there: the same on all workers.

        Raises:
            KmrError: there are no workers, or they differ.
        """
        return str(self._same("threads", self._ask(threads)))

    def run(
        self,
        opened: Opened,
        request: BatchRequest,
        plan: Plan,
        place: Path,
        about: About,
        todo: Sequence[int],
        tell: Callable[[int], None],
    ) -> None:
        """Have these batches run; each is written by the worker that ran it.

        Raises:
            KmrError: as the first batch that failed raised it, or the workers are no use.
            OSError: a worker could not write.
        """
        programs = self._same("programs", self._ask(versions_of, about.format))
        if programs != about.versions:
            name = next(name for name in {**programs, **about.versions} if programs.get(name) != about.versions[name])
            raise KmrError(
                f"the workers have {name} {programs.get(name, 'not at all')}, and this machine {about.versions[name]}",
                "install the same versions: others give other bits",
            )
        job = _job(opened, request, plan, place, about)
        from distributed import as_completed

        waiting = iter(todo)
        (there,) = self._client.scatter([job], broadcast=True, hash=False)

        def submit(count: int) -> list[Any]:
            numbers = [number for _, number in zip(range(count), waiting, strict=False)]
            return [self._client.submit(run_on_worker, there, number, pure=False) for number in numbers]

        ahead = _EACH * len(self._client.scheduler_info()["workers"])
        running = as_completed(submit(ahead), loop=self._client.loop)
        try:
            for finished, future in enumerate(running, 1):
                future.result()
                running.update(submit(1))
                tell(finished)
        finally:
            running.clear()
            self._client.run(forget, job.key)

    def _ask(self, question: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
        try:
            answers: dict[str, Any] = self._client.run(question, *arguments)
        except Exception as exc:
            raise KmrError(
                f"the workers of {self._address} do not have this program: {first_line(exc)}",
                "install the same version of kmr-inspect where they run",
            ) from exc
        if not answers:
            raise KmrError(f"{self._address}: the scheduler has no workers", f"dask worker {self._address}")
        return answers

    def _same(self, what: str, answers: dict[str, Any]) -> Any:
        (first, expected), *others = answers.items()
        for worker, answer in others:
            if answer != expected:
                raise KmrError(
                    f"the workers have different {what}: {first} {expected}, {worker} {answer}",
                    "results would differ from worker to worker: make them alike",
                )
        return expected


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """The cluster of a scheduler.

    Raises:
        MissingFrameworkError: Dask is not installed.
        KmrError: no scheduler answers.
    """
    distributed = require("distributed", EXTRA)
    try:
        client = distributed.Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as exc:
        raise KmrError(
            f"--scheduler {address}: no Dask scheduler answers ({first_line(exc)})",
            "dask scheduler starts one, and says its address: tcp://HOST:8786",
        ) from exc
    try:
        yield Cluster(client, address)
    finally:
        client.close()


def _job(opened: Opened, request: BatchRequest, plan: Plan, place: Path, about: About) -> _Job:
    assert opened.file is not None
    here = Path.cwd()
    if request.files:
        files = InputFiles.of((absolute(one, here) for one in request.files), request.reading)
        request = replace(request, data=files)
    return _Job(
        uuid.uuid4().hex,
        os.path.abspath(opened.file),  # noqa: PTH100  (links are not followed: the name may tell the format)
        opened.options,
        opened.limits,
        replace(request, size=about.batch_size),
        plan,
        os.path.abspath(place),  # noqa: PTH100
        tuple(about.values),
        about,
        _marks(request),
    )


def _marks(request: BatchRequest) -> tuple[tuple[int, int], ...]:
    """Size and time of the data's files: a worker that sees others has another disk."""
    found = []
    for argument in request.files:
        try:
            seen = parse(argument).path.stat()
            found.append((seen.st_size, seen.st_mtime_ns))
        except OSError:
            found.append((-1, -1))
    return tuple(found)


class _Ready:
    """What a worker holds while a job lasts: the model in its child, the data, and the file."""

    def __init__(self, job: _Job) -> None:
        where = f"on the worker at {os.uname().nodename}"
        if _marks(job.request) != job.marks:
            raise BatchError(f"the data is another file {where}", "workers need the same files under the same paths")
        place = Path(job.place)
        if not place.is_dir():
            raise OutputError(f"{place}: is not there {where}", "workers need the same files under the same paths")
        self.opened: Opened = open_file(
            Path(job.path), job.options, in_process=False, report=lambda _kind, _text: None, limits=job.limits
        )
        try:
            with Digests({"model": files_of(self.opened)}) as digests:
                if combined(digests.of("model")) != job.about.model_sha256:
                    raise ModelFileError(f"{job.path}: another file {where}", "copy the model there")
            self.feed = Feed(self.opened, job.request)
            self.store: Store = zarr.open_store(place, job.about, job.plan.written, job.names, alone=False)
        except BaseException:
            self.opened.close()
            raise

    def close(self) -> None:
        """End the child."""
        self.opened.close()
        self.store.close()


_lock = threading.Lock()
_ready: dict[str, _Ready] = {}


def run_on_worker(job: _Job, number: int) -> int:
    """Run one batch on this worker, in its child. Threads of one worker take turns.

    Raises:
        KmrError, OSError: as :func:`kmr_cli.api.dumping.one_batch.run_batch`.
    """
    with _lock:
        for other in [key for key in _ready if key != job.key]:
            _ready.pop(other).close()
        if job.key not in _ready:
            _ready[job.key] = _Ready(job)
        ready = _ready[job.key]
        run_batch(ready.opened, ready.feed, job.plan, ready.store, number)
    return number


def forget(key: str) -> None:
    """End what this worker holds for a job."""
    with _lock:
        ready = _ready.pop(key, None)
        if ready is not None:
            ready.close()
