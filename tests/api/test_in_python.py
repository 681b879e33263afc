"""Errors raised in Python speak of Python's arguments; on the command line, of its options."""

import ast
import re
from pathlib import Path

import pytest

import kmr_cli
from kmr_cli.api.in_python import in_python
from kmr_cli.errors import BatchError, KmrError
from kmr_cli.records import UNEXAMINED_MASKS, Finding, Report


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("give your own with --input", "give your own with batch="),
        ("give --input x=FILE.npy --input y=FILE.npy, or one npz", "give batch={'x': array, 'y': array}, or one npz"),
        ("with --shape x=8,8,1 --shape ids=N:int64", "with shapes={'x': '8,8,1', 'ids': 'N:int64'}"),
        ("the shape of one sample with --shape 8,N", "the shape of one sample with shapes='8,N'"),
        ("give --shape x=…", "give shapes={'x': '…'}"),
        ("leave out --shape or --input", "leave out shapes= or batch="),
        ("--batch-size 4 takes the first", "size=4 takes the first"),
        ("--batch-sizes 1,8", "batch_sizes=1,8"),
        ("--constant sr=VALUE gives it", "constants={'sr': VALUE} gives it"),
        ("--method encode runs that one", "method='encode' runs that one"),
        ("choose one: --signature first, --signature b", "choose one: signature='first', signature='b'"),
        ("--tag serve --tag gpu", "tags=['serve', 'gpu']"),
        ("leave out --method", "leave out method="),
        ("add --import MODULE with the module", "add imports=['MODULE'] with the module"),
        ("--import a module that loads it", "imports= a module that loads it"),
        ("--mask-input ids=0", "policy=Policy(masks='ids=0')"),
        ("--mask-input: no such input", "policy=Policy(masks=…): no such input"),
        ("--allow-output loss accepts it", "policy=Policy(allow_outputs='loss') accepts it"),
        ("--scheduler tcp://h:8786: no answer", "scheduler='tcp://h:8786': no answer"),
        ("--jobs 2 runs it in two, --force begins again", "jobs=2 runs it in two, overwrite=True begins again"),
        ("or leave out --training", "or leave out training=True"),
        ("`kmr-inspect layers MODEL` lists them all", "`model.layers` lists them all"),
    ],
)
def test_options_become_arguments(typed, said):
    assert in_python(typed) == said


def test_an_error_as_text():
    error = BatchError("--shape: no", "give --input x=FILE.npy")
    assert str(error) == "shapes=: no\nhint:  give batch={'x': array}"
    assert (error.message, error.hint) == ("--shape: no", "give --input x=FILE.npy")
    assert str(KmrError("a -- b")) == "a -- b"


KEPT = {
    "--debug", "--format", "--kwargs", "--upgrade", "--update", "--certificate", "--no-proof", "--proof-only",
    "--rerun",
}  # fmt: skip
"""Which Python has no argument for."""


def told():
    """Every text of the library in which an option may stand, with x for what is filled in."""
    package = Path(kmr_cli.__file__).parent
    for path in sorted(package.rglob("*.py")):
        if path.relative_to(package).parts[0] in ("cli", "pytest_plugin", "render", "__main__.py"):
            continue
        tree = ast.parse(path.read_text())
        pieces = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        for node in ast.walk(tree):
            if id(node) in pieces | said or path.name == "in_python.py":
                continue
            if isinstance(node, ast.JoinedStr):
                yield "".join(part.value if isinstance(part, ast.Constant) else "x" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_no_option_is_left_in_any_message():
    options = re.compile(r"--[a-z][a-z-]*")
    texts = [text for text in told() if options.search(text)]
    assert len(texts) > 50
    assert {option for text in texts for option in options.findall(in_python(text))} - KEPT <= {"--x"}


def test_a_report_that_is_shown_in_python_names_arguments():
    line = "padding in input 'ids' (--mask-input ids=0)"
    finding = Finding("KMR101", "error", "dense", 0, "out0", "give more with --input", remedy="try --training")
    report = Report(
        "inconclusive", "m.keras", "keras", 1, (8,), (), (finding,), (), ("--allow-output y accepts it",),
        not_examined=(UNEXAMINED_MASKS + line,),
    )  # fmt: skip
    shown = " ".join(str(report).split())
    assert "policy=Policy(masks='ids=0')" in shown
    assert "policy=Policy(allow_outputs='y') accepts it" in shown
    assert "give more with batch=" in shown
    assert "try training=True" in shown
    assert "--" not in shown
