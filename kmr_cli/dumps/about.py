"""What a dump is of. A later run goes on with it only where all of this is the same."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from kmr_cli.errors import OutputError

VERSION = 1
KIND = "kmr_inspect_dump"
"""The attribute of a file by which it is known."""


@dataclass(frozen=True)
class About:
    """What decides every bit in a file.

    Attributes:
        model: the name of its file.
        format: and ``writer``, what it is.
        model_sha256: of the file; of several, of the lines that ``sha256sum`` prints of them.
        data: where the samples come from, in words.
        reading: what is read of it, and how: arrays of the files, size and scale of images.
        data_sha256: of the files, or of the arrays.
        samples: how many.
        first: the number of the first of them in the data.
        batch_size: samples that are run together.
        opening: how the model is opened, where that is not as usual.
        verified: whether it was found out whose the values are.
        threads: that a model may use.
        versions: of the programs involved.
        values: name in the file -> dtype and shape of one sample's part, and where that stands.
    """

    model: str
    format: str
    writer: str
    model_sha256: str
    data: str
    reading: str
    data_sha256: str
    samples: int
    first: int
    batch_size: int
    opening: str = ""
    verified: bool = True
    threads: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)

    def attributes(self) -> dict[str, Any]:
        """The same as attributes of a file; the values have attributes of their own."""
        found = {KIND: VERSION, **{name: value for name, value in asdict(self).items() if name != "values"}}
        return {**found, "versions": json.dumps(dict(self.versions), sort_keys=True)}

    @classmethod
    def of(cls, attributes: Mapping[str, Any], values: Mapping[str, str], path: str) -> About:
        """What a file says of itself.

        Raises:
            OutputError: it was written by another version of this program, or is damaged.
        """
        if attributes.get(KIND) != VERSION:
            raise OutputError(f"{path}: written by another version of kmr-inspect", _OTHER_NAME)
        try:
            names = [name for name in cls.__dataclass_fields__ if name not in ("versions", "values")]
            plain = {name: attributes[name] for name in names}
            return cls(**plain, versions=json.loads(attributes["versions"]), values=dict(values))
        except (KeyError, ValueError, TypeError) as exc:
            raise OutputError(f"{path}: damaged: it does not say what it is of", _OTHER_NAME) from exc

    def refuse_other(self, there: About, path: str) -> None:
        """Refuse to go on with a dump that is another one than this.

        Args:
            there: what the file says of itself.
            path: of the file.

        Raises:
            OutputError: that, and what differs.
        """
        for name, what in _WHAT.items():
            mine, other = getattr(self, name), getattr(there, name)
            if mine != other:
                shown = f" ({_shown(other)} there, {_shown(mine)} now)" if name not in _DIGESTS else ""
                raise OutputError(f"{path}: begun with {what}{shown}: not continued", _OTHER_NAME)
        for name in {**self.versions, **there.versions}:
            now, before = self.versions.get(name, "none"), there.versions.get(name, "none")
            if now != before:
                raise OutputError(f"{path}: begun with {name} {before}, which is {now} now: not continued", _OTHER_NAME)
        for name in {**there.values, **self.values}:
            now, before = self.values.get(name, "nothing"), there.values.get(name, "nothing")
            if now != before:
                raise OutputError(
                    f"{path}: begun with other values: {name} is {before} there, {now} now: not continued", _OTHER_NAME
                )


_OTHER_NAME = "give another name, or --force to begin again"
_DIGESTS = ("model_sha256", "data_sha256")
_WHAT = {
    "model_sha256": "another model, or it changed since",
    "data_sha256": "other data, or it changed since",
    "samples": "another number of samples",
    "first": "other rows of the data",
    "reading": "data that is read in another way",
    "batch_size": "another batch size",
    "opening": "other options for the model",
    "verified": "another choice of --no-verify",
    "threads": "another number of threads",
}


def _shown(value: object) -> str:
    return repr(value)[:200] if isinstance(value, str) else str(value)


def threads() -> str:
    """Threads that frameworks take: the environment's, else one for each processor that is allowed.

    TensorFlow does not ask the variable that the others ask.
    """
    try:
        processors = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        processors = os.cpu_count() or 1
    usual, tensorflow = (
        int(told) if (told := os.environ.get(name, "")).isdigit() and int(told) else processors
        for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    )
    return str(usual) if usual == tensorflow else f"{usual}, of TensorFlow {tensorflow}"
