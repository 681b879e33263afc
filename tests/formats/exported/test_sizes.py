"""Symbolic sizes: read from text, shown, computed; nothing of it is ever run."""

import pytest

from kmr_cli.formats.exported.describe.sizes import Formula, Symbol, evaluate, parse, show

S = "Symbol('s35', positive=True, integer=True)"
VALUES = {"s35": 7, "s1": 3}
NAMES = {"s35": "batch"}


@pytest.mark.parametrize(
    ("text", "shown", "number"),
    [
        ("Integer(4)", "4", 4),
        (S, "batch", 7),
        (f"Mul(Integer(4), {S})", "4*batch", 28),
        (f"Add(Integer(1), {S})", "batch + 1", 8),
        (f"Add({S}, Mul(Integer(-1), Symbol('s1')))", "batch - s1", 4),
        (f"Mul(Integer(2), Add({S}, Integer(1)))", "2*(batch + 1)", 16),
        (f"FloorDiv({S}, Integer(2))", "batch//2", 3),
        (f"FloorDiv(Add({S}, Integer(1)), Integer(2))", "(batch + 1)//2", 4),
        (f"Mod({S}, Integer(4))", "batch % 4", 3),
        (f"Pow({S}, Integer(2))", "batch**2", 49),
        (f"Max(Integer(1), {S}, Symbol('s1'))", "Max(1, batch, s1)", 7),
        (f"Min(Integer(1), {S})", "Min(1, batch)", 1),
        (f"ceiling(IntTrueDiv({S}, Integer(2)))", "ceiling(batch/2)", 4),
        ("TruncToInt(Float('2.5', precision=53))", "TruncToInt(2.5)", 2),
        ("4*s35 - s1//2", "4*batch - s1//2", 27),  # as torch 2.5 wrote it
        ("-s35 + 9", "-batch + 9", 2),
    ],
)
def test_reads_shows_and_computes(text, shown, number):
    size = parse(text)
    assert show(size, NAMES) == shown
    assert evaluate(size, VALUES) == number


def test_what_has_no_value():
    assert evaluate(parse("s9 + 1"), VALUES) is None
    assert evaluate(parse(f"Wonder({S})"), VALUES) is None
    assert evaluate(parse(f"FloorDiv({S}, Integer(0))"), VALUES) is None
    assert evaluate(parse(f"IntTrueDiv({S}, Integer(2))"), VALUES) is None  # 3.5 isn't a size
    assert evaluate(parse("Pow(Integer(9), Pow(Integer(9), Integer(9)))"), VALUES) is None


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "(lambda: 1)()",
        "[x for x in y]",
        "Symbol('a b')",
        "Symbol('\\x1b[2J')",
        "'text'",
        "f'{1}'",
        "s35 @ s1",
        "",
        "(",
        "-" * 500 + "1",
        "1+" * 6000 + "1",
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError):
        parse(text)


def test_builds_plain_values():
    assert parse(f"Mul(Integer(4), {S})") == Formula("Mul", (4, Symbol("s35")))
