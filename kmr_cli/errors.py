"""Every error a user can cause: what is wrong in one line, and what to type instead."""

from __future__ import annotations

from importlib import import_module

_LONGEST = 2000
"""Characters of a message."""


class KmrError(Exception):
    """An expected failure. The command line shows it as one line with a hint, never as a traceback.

    As text it is both, so that whoever meets it in Python sees the hint as well, and in the words of Python: ``batch=``
    where the command line has ``--input``.

    Attributes:
        message: what is wrong, one line, naming the thing (file, layer, input).
        hint: what to do or type instead, one line, in the words of the command line; None where nothing helps.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        if len(message) > _LONGEST:  # what libraries say may hold the file's bytes
            message = f"{message[: _LONGEST - 1]}…"
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        # Not as a note (PEP 678): Python 3.10 has none.
        text = self.message if self.hint is None else f"{self.message}\nhint:  {self.hint}"
        if "--" not in text and "kmr-inspect" not in text:
            return text
        said: str = import_module("kmr_cli.api.in_python").in_python(text)
        return said


class ModelFileError(KmrError):
    """The file is missing, empty, cut, mislabelled or not a model."""


class LayerError(KmrError):
    """A layer, call or port that the model does not have, or that cannot be tapped."""


class BatchError(KmrError):
    """Input data whose names, rank, shape, dtype or sample index do not fit the model."""


class MissingFrameworkError(KmrError):
    """The framework (or an extra) that this model needs is not installed."""


class ModelLoadError(KmrError):
    """The framework refused to load the model."""


class ModelRunError(KmrError):
    """The framework failed while it ran the model.

    Attributes:
        layer: the path of the innermost layer that failed, where that is known.
        after: the path of the last layer that ran to its end before, where that is known.
        left: least, largest, mean and root mean square of what was there last before it failed, where that is known.
    """

    layer: str | None = None
    after: str | None = None
    left: tuple[float, float, float, float] | None = None

    def retold(self, message: str) -> ModelRunError:
        """The same failure, at the same place, in other words."""
        found = type(self)(message, self.hint)
        found.layer, found.after, found.left = self.layer, self.after, self.left
        return found


class UnsafeModelError(KmrError):
    """The file was not loaded: a scan of its bytes found what could do harm, and nobody said that it is trusted."""


class LimitError(KmrError):
    """Something took longer, or more memory, than allowed."""


class CertificateError(KmrError):
    """A certificate that cannot be read, or that kmr-inspect did not write."""


class ProofError(KmrError):
    """A pass contradicts what the structural proof claims: a bug in this program, never in the model."""


class OutputError(KmrError):
    """A result cannot be written to the place the user named."""


class SnapshotError(KmrError):
    """A snapshot that cannot be read, or does not fit what it is compared with."""
