"""Code nested so deep that the parser of one Python gives up, or crashes, and that of another doesn't."""

import ast
import zipfile

import pytest
from bad_files import SAMPLES

from kmr_cli.formats.common.nesting import DEEPEST, is_deep
from kmr_cli.formats.torchscript.describe.code import parse

SHAPES = {
    "sum": lambda times: "1+" * times + "1",
    "signs": lambda times: "-+~" * (times // 3) + "1",
    "not": lambda times: "not " * times + "1",
    "attributes": lambda times: "x" + ".a" * times,
    "attributes_apart": lambda times: "x" + " . a" * times,
    "calls": lambda times: "x" + "(1, 2)" * times,
    "indices": lambda times: "x" + "[0]" * times,
    "choices": lambda times: "1 if x else " * times + "1",
    "commas_in_texts": lambda times: '","+' * times + "1",
    "lines_in_brackets": lambda times: "(" + "1+\n" * times + "1)",
    "lines_that_go_on": lambda times: "1+\\\n" * times + "1",
    "commas_in_comments": lambda times: "(" + "1+#,\n" * times + "1)",
    "long_texts": lambda times: '"""\n,"""+' * times + "1",
    "branches": lambda times: "1\nif x:\n  pass\n" + "elif x:\n  pass\n" * times,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_depth_is_bounded_before_code_is_parsed(shape):
    """What is let through, each Python parses."""
    few, many = (f"bad = {SHAPES[shape](times)}" for times in (DEEPEST // 2 - 1, DEEPEST + 3))
    assert not is_deep(few)
    assert ast.parse(few)
    assert is_deep(many)


def test_code_that_overruns_a_parser_is_not_parsed():
    """Python 3.10 crashes on it."""
    assert parse("bad = " + "1+" * 1_000_000 + "1") is None


def test_long_code_is_not_deep():
    lines = "x = torch.add(torch.relu(a), b, alpha=-1.5)\n" * 5000
    assert not is_deep(lines)
    assert not is_deep("x = [" + "-1.5, " * 100_000 + "]")
    for name in ("windows.pt", "recommender.pt"):
        with zipfile.ZipFile(SAMPLES / name) as archive:
            sources = [archive.read(member).decode() for member in archive.namelist() if member.endswith(".py")]
        assert sources
        assert not any(is_deep(source) for source in sources)
