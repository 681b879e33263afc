"""Values out of a JSON file that anybody may have written: each of the type and in the range that it must have."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ml_dtypes  # noqa: F401  (registers bfloat16 and float8 with NumPy)
import numpy as np

from kmr_cli.records import SampleShape

_SHOWN = 40  # characters of a wrong value or a name in a message


class Damaged(ValueError):  # noqa: N818  (what it is, not that it is an error)
    """A value that isn't what it must be; the message says where it stands and what was expected."""


@dataclass(frozen=True)
class Value:
    """A value of a JSON document and where it stands. Every method raises :class:`Damaged` for anything else.

    Attributes:
        content: as the JSON parser returned it.
        place: ``taps[3].samples[0].rms``; empty for the document itself.
    """

    content: Any
    place: str = ""

    def wrong(self, expected: str) -> Damaged:
        """The error that names this place."""
        return Damaged(f"{self.place or 'the file'}: expected {expected}, not {self.content!r:.{_SHOWN}}")

    def __getitem__(self, key: str) -> Value:
        """A member of a table, which must be there."""
        table = self._table()
        if key not in table:
            raise Damaged(f"{self.place}: {key!r} is missing" if self.place else f"{key!r} is missing")
        return self._member(key)

    def __contains__(self, key: str) -> bool:
        """Whether a table has this member."""
        return key in self._table()

    def table(self) -> dict[str, Value]:
        """A table of anything."""
        return {key: self._member(key) for key in self._table()}

    def _table(self) -> dict[str, Any]:
        if not isinstance(self.content, dict):
            raise self.wrong("a table")
        return self.content

    def _member(self, key: str) -> Value:
        before = f"{self.place}." if self.place else ""
        return Value(self.content[key], before + _shown(key))

    def items(self) -> list[Value]:
        """A list of anything."""
        return [Value(value, f"{self.place}[{number}]") for number, value in enumerate(self._list())]

    def _list(self) -> list[Any]:
        if not isinstance(self.content, list):
            raise self.wrong("a list")
        return self.content

    def text(self) -> str:
        """Text."""
        if not isinstance(self.content, str):
            raise self.wrong("text")
        return self.content

    def name(self) -> str:
        """Text with something in it."""
        if self.content == "":
            raise self.wrong("text with something in it")
        return self.text()

    def one_of(self, known: Sequence[str]) -> str:
        """One of a few words."""
        if self.content not in known:
            raise self.wrong(f"one of {', '.join(known)}")
        return self.text()

    def flag(self) -> bool:
        """True or false."""
        if not isinstance(self.content, bool):
            raise self.wrong("true or false")
        return self.content

    def whole(self, least: int = 0) -> int:
        """A whole number, ``least`` or more, that fits into 64 bits."""
        if not _is_whole(self.content) or not least <= self.content < 2**63:
            raise self.wrong(f"a whole number, {least} or more")
        return int(self.content)

    def signed(self, most: int) -> int:
        """A whole number from ``-most`` to ``most``."""
        if not _is_signed(self.content, most):
            raise self.wrong(_range(most))
        return int(self.content)

    def number(self) -> float:
        """A finite number."""
        if not _is_number(self.content):
            raise self.wrong("a finite number")
        return float(self.content)

    def all_signed(self, most: int) -> list[int]:
        """A list of whole numbers from ``-most`` to ``most``."""
        return [int(value) for value in self._all(lambda value: _is_signed(value, most), _range(most))]

    def all_numbers(self) -> list[float]:
        """A list of finite numbers."""
        return [float(value) for value in self._all(_is_number, "a finite number")]

    def _all(self, fits: Callable[[Any], bool], expected: str) -> list[Any]:
        """A list, without a place made for every member: there may be millions."""
        members = self._list()
        for number, value in enumerate(members):
            if not fits(value):
                raise Value(value, f"{self.place}[{number}]").wrong(expected)
        return members

    def length(self) -> int | str:
        """A dimension: a number, ``B`` or ``4*B``."""
        if not isinstance(self.content, str):
            return self.whole()
        if not re.fullmatch(r"([0-9]{1,15}\*)?B", self.content):
            raise self.wrong("a number, B or a multiple such as 4*B")
        return self.content

    def checksum(self) -> str:
        """A checksum of 32 bits."""
        if not re.fullmatch("[0-9a-f]{8}", self.text()):
            raise self.wrong("a checksum of eight hexadecimal digits")
        return self.text()

    def dtype(self) -> str:
        """A dtype that NumPy or ml_dtypes knows by this very name, or ``string``."""
        name = self.text()
        try:
            known = name == "string" or np.dtype(name).name == name
        except (TypeError, ValueError):
            known = False
        if not known:
            raise self.wrong("a dtype")
        return name

    def sample_shape(self) -> SampleShape:
        """Sizes, and a dtype as the last one if it was given."""
        members = self.items()
        if members and isinstance(members[-1].content, str):
            return (*(member.whole() for member in members[:-1]), members[-1].dtype())
        return tuple(member.whole() for member in members)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_signed(value: Any, most: int) -> bool:
    return _is_whole(value) and abs(value) <= most


def _is_number(value: Any) -> bool:
    """An integer too large for a float is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _range(most: int) -> str:
    return f"a whole number from -{most} to {most}"


def _shown(key: str) -> str:
    """A name as part of a place: as it is where it is plain."""
    return key if re.fullmatch(r"\w{1,40}", key, re.ASCII) else f"{key!r:.{_SHOWN}}"
