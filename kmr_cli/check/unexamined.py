"""What a check looks at where it can, and did not look at this time: a verdict says nothing of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from kmr_cli.batch.hints import likely_masks
from kmr_cli.check.run import Run
from kmr_cli.config.masks import Mask
from kmr_cli.formats.interface import training_mode


def not_examined(run: Run, masks: Sequence[Mask], tried: Collection[int]) -> Iterator[str]:
    """Modes, likely masks and batch sizes; one line each.

    Args:
        run: the check, done.
        masks: that were checked.
        tried: every batch size.
    """
    yield "training mode" if training_mode(run.session) is None else "inference mode"
    for name, value in likely_masks(run.info, run.batch) if not masks else ():
        if value is None:
            yield f"what input {name!r} may mask (--mask-input {name})"
        else:
            yield f"padding in input {name!r} (--mask-input {name}={value})"
    if run.info.fixed_batch is None:
        yield f"batch sizes above {max(tried)}"
    else:
        yield f"batch sizes other than {run.info.fixed_batch}"
