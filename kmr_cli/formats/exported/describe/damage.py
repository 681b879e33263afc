"""What is wrong with a program that torch.export can't have written, for people who don't read Python."""

from __future__ import annotations


class UnexpectedError(ValueError):
    """Something that torch.export doesn't write; the message says what."""


DAMAGES = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What reading a damaged program may raise."""


def reason(damage: Exception) -> str:
    """One clause on what is wrong.

    Args:
        damage: one of ``DAMAGES``.
    """
    if isinstance(damage, UnexpectedError):
        return str(damage)
    if isinstance(damage, KeyError):
        return f"{damage.args[0]!r} is missing"
    if isinstance(damage, RecursionError):
        return "it is nested too deeply"
    # What Python says here ("'int' object is not subscriptable") is about our code, not about the file.
    return "a value is of another kind, or a list of another length, than there must be"
