"""Reading a certificate: a Statement, also inside the envelope of a signature, which is not checked here."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kmr_cli.errors import CertificateError

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:kmr-inspect:batch-independence:v1"
_MOST = 64 * 2**20
_HINT = "kmr-inspect check-batch-axis MODEL --certificate FILE makes one"
_SHA256 = 64


@dataclass(frozen=True)
class Certificate:
    """What a certificate says.

    Attributes:
        subjects: name of a file of the model -> its SHA-256.
        predicate: the rest, every part of the type that docs/certificate.schema.json gives it.
        enveloped: it lay in the envelope of a signature.
    """

    subjects: Mapping[str, str]
    predicate: Mapping[str, Any]
    enveloped: bool = False

    def part(self, *path: str) -> Mapping[str, Any]:
        """An object inside of the predicate."""
        found: Any = self.predicate
        for name in path:
            found = found[name]
        assert isinstance(found, Mapping)
        return found

    def text(self, *path: str) -> str:
        """A text inside of the predicate."""
        return str(self.part(*path[:-1])[path[-1]])


def read_certificate(path: Path) -> Certificate:
    """Read a certificate, and refuse what is none.

    Raises:
        CertificateError: nothing there, not readable, or no certificate of this kind.
    """
    try:
        if not path.is_file():
            raise CertificateError(f"{path}: no such file" if not path.exists() else f"{path}: isn't a file", _HINT)
        if path.stat().st_size > _MOST:
            raise CertificateError(f"{path}: too large for a certificate", _HINT)
        content = json.loads(path.read_bytes())
    except OSError as exc:
        raise CertificateError(f"{path}: cannot be read ({exc.strerror or exc})") from exc
    except (ValueError, RecursionError) as exc:
        raise CertificateError(f"{path}: isn't a certificate: it isn't JSON", _HINT) from exc
    try:
        statement, enveloped = _unpacked(content)
        return _checked(statement, enveloped=enveloped)
    except _NoneOfOursError as exc:
        raise CertificateError(f"{path}: isn't a certificate of kmr-inspect: {exc}", _HINT) from None


class _NoneOfOursError(ValueError):
    pass


def _unpacked(content: Any) -> tuple[Any, bool]:
    """The statement, out of a DSSE envelope or a Sigstore bundle if it is in one."""
    if isinstance(content, dict) and isinstance(content.get("dsseEnvelope"), dict):
        content = content["dsseEnvelope"]
    if not (isinstance(content, dict) and isinstance(content.get("payload"), str)):
        return content, False
    try:
        return json.loads(base64.b64decode(content["payload"], validate=True)), True
    except (ValueError, binascii.Error, RecursionError):
        raise _NoneOfOursError("its envelope holds no statement") from None


def _checked(statement: Any, *, enveloped: bool) -> Certificate:
    if not isinstance(statement, dict) or statement.get("_type") != STATEMENT:
        raise _NoneOfOursError(f"its _type isn't {STATEMENT}")
    if statement.get("predicateType") != PREDICATE:
        raise _NoneOfOursError(f"its predicateType isn't {PREDICATE}")
    subjects: dict[str, str] = {}
    for one in _of(statement, "subject", list):
        name, digest = _of(one, "name", str), _of(_of(one, "digest", dict), "sha256", str)
        if not _plain_name(name) or len(digest) != _SHA256 or set(digest) - set("0123456789abcdef"):
            raise _NoneOfOursError("a subject isn't a file with its SHA-256")
        subjects[name] = digest
    if not subjects:
        raise _NoneOfOursError("it is about no file")
    predicate = _of(statement, "predicate", dict)
    if predicate.get("schema") != 1:
        raise _NoneOfOursError(f"it has schema {predicate.get('schema')!r}, and this version reads 1")
    _hold(predicate, _PREDICATE, "predicate")
    return Certificate(subjects, predicate, enveloped)


def _plain_name(name: str) -> bool:
    """A file in the model's own folder, or below it."""
    parts = name.split("/")
    return bool(name) and "\0" not in name and "\\" not in name and not any(part in ("", ".", "..") for part in parts)


def _of(value: Any, name: str, kind: type) -> Any:
    if not isinstance(value, dict) or not isinstance(value.get(name), kind):
        raise _NoneOfOursError(f"its {name!r} is missing, or of the wrong type")
    return value[name]


Check = Callable[[Any], bool]


def _is(*kinds: type | None) -> Check:
    names = tuple(kind for kind in kinds if kind is not None)
    return lambda value: (None in kinds and value is None) or (isinstance(value, names) and type(value) in names)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and all(type(one) is int for one in value)


def _range(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and type(value[0]) is int and _is(int, None)(value[1])


_OPENED = {
    "signature": _is(str, None),
    "tags": lambda value: value is None or _texts(value),
    "method": _is(str, None),
    "constants": _is(dict),
    "imports": _texts,
}
_FINDING = {"rule": _is(str), "layer": _is(str), "severity": _is(str), "allowed": _is(bool)}
_PROOF = {
    "separate": _is(bool),
    "batch_size": _is(int, None),
    "batch_sizes": _range,
    "shapes": _texts,
    "rules": _is(str),
    "outputs": [{"name": _is(str), "claim": _is(str)}],
}
_EVIDENCE = {
    "forward_passes": _is(int),
    "batch_sizes": _numbers,
    "mode": _is(str),
    "masks": _texts,
    "data": ({"source": _is(str), "seed": _is(int), "files": [{"file": _is(str), "sha256": _is(str, None)}]}, None),
}
_PREDICATE: dict[str, Any] = {
    "model": {"name": _is(str), "format": _is(str), "opened_with": _OPENED},
    "verdict": _is(str),
    "basis": _is(str),
    "proof": (_PROOF, None),
    "evidence": (_EVIDENCE, None),
    "findings": [_FINDING],
    "inconclusive": _texts,
    "policy": _texts,
    "versions": lambda value: isinstance(value, dict) and all(isinstance(one, str) for one in value.values()),
    "run": {"date": _is(str)},
}
"""The parts that are read, each with what it must be: a check, an object, a list of objects, or an object or null."""


def _hold(value: Any, shape: Any, name: str) -> None:
    if isinstance(shape, tuple):
        if value is not None:
            _hold(value, shape[0], name)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise _NoneOfOursError(f"its {name!r} is missing, or of the wrong type")
        for one in value:
            _hold(one, shape[0], name)
    elif isinstance(shape, dict):
        if not isinstance(value, dict):
            raise _NoneOfOursError(f"its {name!r} is missing, or of the wrong type")
        for part, inner in shape.items():
            if part not in value:
                raise _NoneOfOursError(f"its {part!r} is missing, or of the wrong type")
            _hold(value[part], inner, part)
    elif not shape(value):
        raise _NoneOfOursError(f"its {name!r} is missing, or of the wrong type")
