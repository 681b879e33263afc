"""Write docs/reference.md from the docstrings of what ``import kmr_cli`` offers, or check that it is up to date.

Run with ``--check`` (lint does) nothing is written and a difference is an error.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import importlib
import inspect
import re
import sys
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kmr_cli

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference.md"
TITLES = {
    "Functions": ("open_model", "check_batch_axis", "compare_models", "compare_with_snapshot", "write_snapshot",
                  "scan_model"),
    "A model": ("Model", "ModelInfo", "LayerInfo", "TensorSpec"),
    "What you can ask for": ("Data", "InputFiles", "InputFunction", "Index", "Shapes", "GivenShapes", "Policy",
                              "Tolerance", "Tolerances"),
    "What comes back": ("Record", "BatchIndex", "Report", "Finding", "OutputVerdict", "StructuralProof",
                        "OutputClaim", "ProbedOperator", "RecordedPath", "Snapshot", "Comparison", "ScanReport",
                        "Trace", "TracedValue", "Dump", "DumpedValue"),
    "Errors": (
        "KmrError", "ModelFileError", "LayerError", "BatchError", "CertificateError", "MissingFrameworkError",
        "UnsafeModelError", "ModelLoadError", "ModelRunError", "LimitError", "OutputError", "ProofError",
        "SnapshotError",
    ),
}  # fmt: skip
"""The page, chapter by chapter."""
WITH_METHODS = ("Model",)
SECTIONS = ("Args", "Attributes", "Returns", "Raises")
WIDTH = 100


def page() -> str:
    """The whole page."""
    listed = [name for names in TITLES.values() for name in names]
    if sorted([*listed, "__version__"]) != sorted(kmr_cli.__all__):
        raise SystemExit(f"TITLES is not what is public: {set(listed) ^ set(kmr_cli.__all__)}")
    parts = [
        "# Reference",
        "Made from the docstrings by `scripts/reference.py`; edit those, and run it again. Everything here is imported"
        " from `kmr_cli`.",
        "\n".join(f"- [{title}](#{anchor(title)}): {', '.join(map(link, names))}" for title, names in TITLES.items()),
    ]
    for title, names in TITLES.items():
        parts.append(f"## {title}")
        for name in names:
            parts += entry(name)
    return "\n\n".join(parts) + "\n"


def entry(name: str) -> Iterator[str]:
    """One public name: heading, signature, docstring; a class with its methods."""
    value = getattr(kmr_cli, name)
    yield f"### {name}"
    # On Python 3.10 an alias such as Mapping[str, int] counts as a type.
    if isinstance(value, types.GenericAlias) or not (isinstance(value, type) or inspect.isfunction(value)):
        stands, said = alias(name)
        yield code(f"{name} = {stands}")
        yield from markdown(said)
        return
    if isinstance(value, type) and issubclass(value, Exception):
        if value is not kmr_cli.KmrError:
            yield f"A `{value.__bases__[0].__name__}`."
    elif name not in WITH_METHODS:
        yield code(call(name, value))
    yield from markdown(inspect.getdoc(value) or "")
    if name in WITH_METHODS:
        yield from methods(name, value)


def methods(owner: str, cls: type) -> Iterator[str]:
    """The public properties and methods of a class."""
    for name, member in vars(cls).items():
        if name.startswith("_"):
            continue
        yield f"#### {owner}.{name}"
        if isinstance(member, property):
            returned = annotation(inspect.signature(member.fget).return_annotation)  # type: ignore[arg-type]
            yield code(f"{name}: {returned}")
        else:
            yield code(call(name, member))
        yield from markdown(inspect.getdoc(member) or "")


def call(name: str, value: Any) -> str:
    """The signature, in one line where it fits."""
    signature = inspect.signature(value)
    parts, stars = [], False
    for parameter in signature.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not stars:
            stars = True
            parts.append("*")
        prefix = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        text = f"{prefix}{parameter.name}: {annotation(parameter.annotation)}"
        parts.append(text if parameter.default is parameter.empty else f"{text} = {default(parameter.default)}")
    returned = "" if isinstance(value, type) else f" -> {annotation(signature.return_annotation)}"
    line = f"{name}({', '.join(parts)}){returned}"
    if len(line) <= WIDTH:
        return line
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){returned}"


def annotation(value: Any) -> str:
    """As it stands in the source."""
    return value if isinstance(value, str) else inspect.formatannotation(value)


def default(value: Any) -> str:
    """A default as it can be typed."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return f"{type(value).__name__}()"
    shown = repr(value)
    return "..." if shown.startswith("<") else shown


def alias(name: str) -> tuple[str, str]:
    """A type alias and what stands below it, from the source: an alias has no docstring of its own."""
    module = kmr_cli._HOMES[name]
    while True:
        tree = ast.parse(Path(str(importlib.import_module(module).__file__)).read_text(encoding="utf-8"))
        # Names that a package imports when they are first used stand under ``if TYPE_CHECKING``.
        body = [one for node in tree.body for one in (node.body if isinstance(node, ast.If) else [node])]
        for node, after in zip(body, [*body[1:], None], strict=True):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
                if not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and node.value):
                    raise SystemExit(f"{module}.{name} has no docstring")
                return ast.unparse(node.value), inspect.cleandoc(str(after.value.value))
            if isinstance(node, ast.ImportFrom) and name in {found.name for found in node.names}:
                module = str(node.module)
                break
        else:
            raise SystemExit(f"{name} is not in {module}")


def markdown(text: str) -> Iterator[str]:
    """The paragraphs of a docstring: sections become lists, examples and indented blocks become code."""
    for block in re.split(r"\n\s*\n", text.strip()):
        head, _, rest = block.partition("\n")
        if head.rstrip(":") in SECTIONS and head.endswith(":"):
            yield f"**{head.rstrip(':')}**"
            yield "\n".join(items(textwrap.dedent(rest), named=head in ("Args:", "Attributes:")))
        elif block.startswith(">>>"):
            yield code(block, "pycon")
        elif block.startswith("    "):
            yield code(textwrap.dedent(block), "python")
        else:
            yield inline(" ".join(line.strip() for line in block.splitlines()))


def items(text: str, *, named: bool) -> Iterator[str]:
    """One list item for every entry of a section: a line, with those that are indented further below it."""
    for entry_ in re.split(r"\n(?! )", text.strip()):
        line = " ".join(part.strip() for part in entry_.splitlines())
        names, colon, meaning = line.partition(": ")
        if named and colon and re.fullmatch(r"\w+(, \w+)*", names):
            yield f"- {', '.join(f'`{name}`' for name in names.split(', '))}: {inline(meaning)}"
        else:
            yield f"- {inline(line)}"


def inline(text: str) -> str:
    """References and literals as Markdown has them."""
    pieces = re.split(r"(``.+?``|:\w+:`[^`]+`)", text)
    return "".join(piece if number % 2 == 0 else literal(piece) for number, piece in enumerate(pieces)).replace(
        "\n", " "
    )


def literal(piece: str) -> str:
    """``x`` as code; a reference as a link where its target is on this page."""
    if piece.startswith("``"):
        return f"`{piece[2:-2]}`"
    target = piece.partition("`")[2].rstrip("`").lstrip("~").removeprefix("kmr_cli.")
    owner, _, method = target.rpartition(".")
    if piece.startswith(":meth:") and owner in ("", "Model") and method in vars(kmr_cli.Model):
        return f"[`Model.{method}`](#model{method})"
    return link(target) if target in kmr_cli.__all__ else f"`{target}`"


def link(name: str) -> str:
    """To an entry of this page."""
    return f"[`{name}`](#{anchor(name)})"


def anchor(title: str) -> str:
    """Of a heading."""
    return title.lower().replace(" ", "-")


def code(text: str, language: str = "python") -> str:
    """A fenced block."""
    return f"```{language}\n{text.strip()}\n```"


def main() -> None:
    """Write or check."""
    after = page()
    before = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(after, encoding="utf-8")
    elif after != before:
        names = (str(PAGE.relative_to(ROOT)), "what the docstrings say")
        sys.stdout.writelines(difflib.unified_diff(before.splitlines(True), after.splitlines(True), *names))
        raise SystemExit(f"{names[0]} is out of date: run python scripts/reference.py")


if __name__ == "__main__":
    main()
