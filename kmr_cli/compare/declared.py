"""How the shapes that a model's file declares for its inputs differ from those of a baseline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kmr_cli.records import InputSketch, Shape


def narrowed(now: Sequence[InputSketch], before: Sequence[InputSketch]) -> Iterator[tuple[str, bool]]:
    """What callers can no longer feed, or can feed now as well, input by input.

    Sizes that both fix are left out: data of another size is another finding already.

    Yields:
        (message, whether something that was free is fixed now).
    """
    if len(now) != len(before):
        return
    for new, old in zip(now, before, strict=True):
        if new.declared is None or old.declared is None or len(new.declared) != len(old.declared):
            continue
        sizes = list(enumerate(zip(new.declared, old.declared, strict=True)))
        fixed = [(axis, size) for axis, (size, was) in sizes if was is None and size is not None]
        freed = [(axis, was) for axis, (size, was) in sizes if size is None and was is not None]
        change = f"{_shown(old.declared)} is now {_shown(new.declared)}"
        if fixed:
            yield f"input {new.name!r} {change}: it takes {_only(fixed)} where it took any number", True
        if freed:
            yield f"input {new.name!r} {change}: it takes any number where it took {_only(freed)}", False


def _only(fixed: Sequence[tuple[int, int | None]]) -> str:
    return " and ".join(
        f"exactly {size} {('sample' if size == 1 else 'samples') if axis == 0 else f'along axis {axis}'}"
        for axis, size in fixed
    )


def _shown(shape: Shape) -> str:
    """As Python writes it: ``(None, 8, 8, 3)``."""
    return repr(tuple(shape))
