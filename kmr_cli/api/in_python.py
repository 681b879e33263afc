"""What an error tells to type, in the words of Python: ``batch=`` where the command line has ``--input``.

Found by its name where an error is shown as text (:mod:`kmr_cli.errors`): the ground imports nothing of ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_NAMED = r"(?:'[^']*'|(?=\S*[=./…\d]|[A-Z])[^\s;]+)"
"""A value that shows that it is one: ``x=FILE.npy``, ``8,8,1``, ``FILE``."""
_WORD = r"(?!(?:or|and|runs?|with|gives?|in|to|for|a|an|the|is|are|states?|takes?|examines|all|out)\b)'?[\w.*/-]+'?"
"""A name, and not how a sentence goes on."""


def in_python(text: str) -> str:
    """A message or a hint with Python's arguments in place of the options of the command line."""
    for pattern, said in _RULES:
        text = pattern.sub(said, text)
    return text


def _values(found: re.Match[str]) -> tuple[list[str], str]:
    """The values of a run of one option, and the punctuation behind the last of them."""
    values = [value.strip("'") for value in re.findall(rf"--[a-z-]+ ({_NAMED}|{_WORD})", found[0])]
    if not values:
        return [], ""
    last = values[-1].rstrip(".,:)")
    end = values[-1][len(last) :]
    return [*values[:-1], last], end


def _mapping(name: str, show: Callable[[str], str]) -> Callable[[re.Match[str]], str]:
    """``--shape a=8 --shape b=9`` as ``shapes={'a': '8', 'b': '9'}``; a single value without a name as it is."""

    def said(found: re.Match[str]) -> str:
        values, end = _values(found)
        if not values:
            return f"{name}="
        pairs = [value.partition("=") for value in values]
        if all(equals for _, equals, _ in pairs):
            inside = ", ".join(f"{key!r}: {show(value)}" for key, _, value in pairs)
            return f"{name}={{{inside}}}{end}"
        return f"{name}={', '.join(repr(value) for value in values)}{end}"

    return said


def _list(name: str) -> Callable[[re.Match[str]], str]:
    def said(found: re.Match[str]) -> str:
        values, end = _values(found)
        return f"{name}=[{', '.join(repr(value) for value in values)}]{end}" if values else f"{name}="

    return said


def _one(form: str) -> Callable[[re.Match[str]], str]:
    """``form`` with the value in the place of ``{}``."""

    def said(found: re.Match[str]) -> str:
        values, end = _values(found)
        if values:
            return form.format(repr(values[0])) + end
        return form.format("…") if "(" in form else form.partition("{")[0]

    return said


def _number(name: str) -> Callable[[re.Match[str]], str]:
    def said(found: re.Match[str]) -> str:
        return f"{name}={found[1] or ''}"

    return said


def _one_text(name: str) -> Callable[[re.Match[str]], str]:
    def said(found: re.Match[str]) -> str:
        return f"{name}={found[1]!r}" if found[1] else f"{name}="

    return said


def _option(name: str, value: str, said: Callable[[re.Match[str]], str]) -> tuple[re.Pattern[str], Callable[..., str]]:
    run = rf"--{name}\b(?!-)(?: {value})?(?: --{name} {value})*"
    return re.compile(run), said


_RULES: Sequence[tuple[re.Pattern[str], Callable[[re.Match[str]], str] | str]] = (
    (re.compile(r"`kmr-inspect layers MODEL`"), "`model.layers`"),
    (re.compile(r"run again with --debug"), "run it as kmr-inspect with --debug"),
    (re.compile(r"--batch-sizes\b(?: ([\d,]+))?"), _number("batch_sizes")),
    (re.compile(r"--batch-size\b(?: (\d+|[A-Z]\b))?"), _number("size")),
    (re.compile(r"--all-methods all of them"), "method= and signature= take any of them"),
    (re.compile(r"--all-methods"), "method="),
    (re.compile(r"--no-verify"), "verify=False"),
    (re.compile(r"--force\b"), "overwrite=True"),
    (re.compile(r"--scheduler (\S+?)(?=:?(?:\s|$))"), r"scheduler='\1'"),
    (re.compile(r"--scheduler\b"), "scheduler="),
    (re.compile(r"--jobs\b(?: (\d+))?"), _number("jobs")),
    (re.compile(r"--training"), "training=True"),
    (re.compile(r"--trust\b"), "trust=True"),
    (re.compile(r"--require-sandbox\b"), "sandbox='required'"),
    (re.compile(r"--no-sandbox\b"), "sandbox='off'"),
    (re.compile(r"--timeout\b(?: (\d+))?"), _number("timeout")),
    (re.compile(r"--memory\b(?: (\d+\w*))?"), _one_text("memory")),
    (re.compile(r"--(rows|resize|scale) (\d+x\d+(?::crop)?|-?\d*:-?\d+|imagenet|HEIGHTxWIDTH)"), r"\1='\2'"),
    (re.compile(r"--(rows|resize|scale)\b"), r"\1="),
    (re.compile(r"--input-from MODULE:FUNCTION\b"), "batch=array"),
    (re.compile(r"--input-from (\S+?:\w+)"), r"InputFunction('\1')"),
    (re.compile(r"--input-from\b"), "InputFunction"),
    _option("input", _NAMED, _mapping("batch", lambda _: "array")),
    _option("shape", _NAMED, _mapping("shapes", repr)),
    _option("constant", _NAMED, _mapping("constants", str)),
    _option("mask-input", rf"(?:{_NAMED}|{_WORD})", _one("policy=Policy(masks={})")),
    _option("allow-output", _WORD, _one("policy=Policy(allow_outputs={})")),
    _option("allow", _WORD, _one("policy=Policy(allow={})")),
    _option("method", _WORD, _one("method={}")),
    _option("signature", _WORD, _one("signature={}")),
    _option("side", _WORD, _one("side={}")),
    _option("tag", _WORD, _list("tags")),
    _option("import", _WORD, _list("imports")),
    (re.compile(r"--(rtol|atol|ulp|seed|call|index|layer)\b"), r"\1="),
)
