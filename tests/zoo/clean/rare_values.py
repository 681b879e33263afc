"""The same questions, put to each sample alone."""

from collections.abc import Iterator

from zoo.cases import Case
from zoo.faults.rare_values import asking


def cases() -> Iterator[Case]:
    """Every question in every format."""
    yield from asking(alone=True)
