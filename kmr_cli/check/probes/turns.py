"""Batch sizes at which a model does something else: it asks for the number of samples, and its own code tells when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from kmr_cli.batch.words import count_samples
from kmr_cli.check.probes.computed import compares
from kmr_cli.check.probes.large import AT_LEAST, FAR, MOST_BYTES, try_large
from kmr_cli.check.probes.sizes import comparable, dimensions_of, in_batch_of, try_size
from kmr_cli.check.run import Run
from kmr_cli.errors import ModelRunError
from kmr_cli.formats.asking import BranchingSession
from kmr_cli.formats.common.alone import Alone
from kmr_cli.formats.interface import ProbingSession
from kmr_cli.proof.engine import Owners
from kmr_cli.proof.graph import Operator
from kmr_cli.proof.owners import Free
from kmr_cli.records import Batch

MOST = 4
"""Kinds of sizes that are run, those of most sizes first."""
_SIZES = (2, 8, 32, 64, 128, 256, 512, 1024)
_LARGEST, _NUMBERS = 4096, 8
"""Numbers that the model compares with or holds are tried too, and one more than them."""


def try_turns(run: Run, spare: Batch | None, *, chosen: bool) -> None:
    """Run a batch of every kind of size that was not run yet, and note what is found in ``run``.

    As many passes for each as for the large batch, or one where it is smaller than the batch. Nothing where a proof
    covers every size.

    Args:
        run: the check, its other sizes done.
        spare: further rows of the inputs, preferred as replacement data.
        chosen: the user has chosen the sizes: no further one is run, and what is left out is only named.
    """
    if run.info.fixed_batch is not None or not comparable(run):
        return
    if run.structure is not None and all(run.structure.separate(run.evidence.names, tap) for tap in run.outputs):
        return
    run.tell("asking which numbers of samples the model treats in another way")
    kinds = _kinds(run)
    for number, kind in enumerate(sorted(_new(run, kinds), key=len, reverse=True)):
        if run.large is not None:
            return  # what was looked for
        size = _size(run, kind)
        needed = run.evidence.nbytes * size // run.evidence.size
        if chosen or number >= MOST:
            run.unrun.append(in_words(kind, kinds))
        elif needed > MOST_BYTES:
            run.unaffordable.append((in_words(kind, kinds), size, needed))
        elif size > run.evidence.size:
            try_large(run, size, spare)
        else:
            run.budget += 1
            run.sizes.append((try_size(run, size), False))


def _kinds(run: Run) -> Sequence[Sequence[int]]:
    asked = {int(number) for number in (*run.comparands.compared, *run.comparands.others) if 1 < number <= _LARGEST}
    told = sorted(asked)[-_NUMBERS:]
    ran = (run.evidence.size, *(found.size for found, _ in run.sizes))
    sizes = sorted({*ran, *_SIZES, *told, *(size + 1 for size in told)})
    kinds: Sequence[Sequence[int]]
    if isinstance(run.session, BranchingSession):
        kinds = run.session.kinds_of_sizes(run.batch, sizes)
    else:
        kinds = _by_questions(run, sizes, told)
    return kinds or _as_told(run)


def _as_told(run: Run) -> list[list[int]]:
    """Where nothing can be asked of the model: each of the largest numbers in its code, as ``len(x) % 24`` has them."""
    if run.structure is not None:
        return []
    numbers = {int(one) for one in run.comparands.compared if 1 < one < FAR and one == int(one)}
    return [[number] for number in sorted(numbers)[-MOST:] if run.evidence.nbytes * number <= MOST_BYTES]


def _by_questions(run: Run, sizes: Sequence[int], told: Sequence[int]) -> list[list[int]]:
    """By what the graph's comparisons of the number of samples come to: each is asked at every size.

    A loop may take the samples in pieces, so many in each round: then by every number that may be so many, too.
    """
    if run.structure is None or not isinstance(run.session, ProbingSession):
        return []
    owners = run.structure.proof.owners
    names = list(_questions(owners))
    pieces = told if any(map(_loops, owners.graph.operators)) else ()
    found: dict[tuple[object, ...], list[int]] = {}
    for size in sizes if names or pieces else ():
        try:
            asked = run.session.alone(names, in_batch_of(run, size)) if names else {}
            answers = [answer.tolist() for name in names if name in asked for answer in _answers(asked[name])]
        except ModelRunError:
            continue
        found.setdefault((*map(str, answers), *(size > number for number in pieces)), []).append(size)
    return list(found.values())


def _loops(operator: Operator) -> bool:
    kind = operator.kind.partition(".")[2].lower()
    return bool(operator.graphs) and any(word in kind for word in ("while", "loop", "scan"))


def _answers(question: Alone) -> Sequence[np.ndarray]:
    return question.run(question.operands)


def _questions(found: Owners) -> Iterator[str]:
    """Comparisons in the graph, outside of its loops, that the number of samples decides, and no sample."""
    for operator in found.graph.operators:
        owners = [found.of.get(name) for name in operator.reads]
        free = [owner for owner in owners if isinstance(owner, Free)]
        if compares(operator) and len(free) == len(owners) and any(owner.count for owner in free):
            yield operator.name


def _new(run: Run, kinds: Sequence[Sequence[int]]) -> list[Sequence[int]]:
    """Those of which no size was run; sizes that the model does not take are left out."""
    ran = {run.evidence.size, *(found.size for found, _ in run.sizes)}
    taken = ([size for size in kind if run.info.takes(size)] for kind in kinds)
    return [kind for kind in taken if kind and not ran & set(kind)]


def _size(run: Run, kind: Sequence[int]) -> int:
    """The least that servers form, if there is one."""
    dimensions = dimensions_of(run)
    usual = [size for size in kind if size >= AT_LEAST] or kind[-1:]
    return next((size for size in usual if size not in dimensions), usual[0])


def in_words(kind: Sequence[int], kinds: Sequence[Sequence[int]]) -> str:
    """Batch sizes of one kind: ``91 samples or more``, ``7, 14, 21, … samples``."""
    known = sorted(size for one in kinds for size in one)
    first, last = kind[0], kind[-1]
    if len(kind) == 1 and first != known[-1]:
        return count_samples(first)
    if len(kind) == len(known) - known.index(first):
        return f"{count_samples(first)} or more"
    if len(kind) == known.index(last) - known.index(first) + 1:
        return f"{first} to {last} samples"
    return f"{', '.join(map(str, kind[:3]))}{', …' if len(kind) > 3 else ''} samples"
