"""Pictures in the terminal: with colours and without, at any width."""

import io

import numpy as np
import pytest
from rich.console import Console
from zoo.records import VALUES, record

from kmr_cli.render.screen.blocks import picture_lines
from kmr_cli.render.screen.terminal import show_record

ROWS, COLUMNS = np.mgrid[0:8, 0:8] / 7


def console(colours=None, width=80):
    return Console(file=io.StringIO(), color_system=colours, force_terminal=colours is not None, width=width)


def drawn(value, colours=None, width=68):
    return [(label, text.plain) for label, text in picture_lines(np.asarray(value), console(colours), width)]


def test_without_colour_a_pixel_is_two_characters_from_blank_to_dark():
    lines = drawn(np.eye(4))
    assert lines == [
        ("picture", "4 by 4, blank 0 to @ 1"),
        ("", "@@      "),
        ("", "  @@    "),
        ("", "    @@  "),
        ("", "      @@"),
    ]


def test_with_colours_a_character_is_two_pixels():
    value = np.zeros((5, 4))
    value[0, 0] = value[3, 1] = 1.0
    lines = list(picture_lines(value, console("truecolor"), 68))
    assert [text.plain for _, text in lines] == ["5 by 4, 0 to 1", "▀▀▀▀", "▀▀▀▀", "▀▀▀▀"]
    top, below, last = (text.spans for _, text in lines[1:])
    light, dark = top[0].style.color, top[0].style.bgcolor
    assert light != dark == top[1].style.color
    assert (below[1].style.color, below[1].style.bgcolor) == (dark, light)
    assert last[0].style.bgcolor is None  # there is no sixth row


def test_few_colours_are_none():
    assert drawn(np.eye(4), "standard") == drawn(np.eye(4))
    assert drawn(np.eye(4), "256") != drawn(np.eye(4))


def test_channels_stand_side_by_side_as_many_as_fit():
    value = np.stack([np.full((8, 8), number) for number in range(10)], -1)
    first, *lines = drawn(value)
    assert first == ("picture", "8 by 8, [:, :, 0] to [:, :, 3] of 10, blank 0 to @ 9")
    assert {text for _, text in lines} == {"|".join(sign * 16 for sign in " .:-")}
    assert drawn(value, "truecolor")[0][1].startswith("8 by 8, [:, :, 0] to [:, :, 6] of 10")
    assert drawn(value, width=16)[0][1] == "8 by 8, [:, :, 0], blank 0 to @ 9"


@pytest.mark.parametrize("colours", [None, "truecolor"])
@pytest.mark.parametrize("shape", [(224, 224, 3), (3, 500, 40), (12, 197, 197), (1000, 64), (64, 1000), (8, 8, 512)])
@pytest.mark.parametrize("width", [28, 68, 188])
def test_every_picture_fits(shape, width, colours):
    lines = drawn(np.random.default_rng(0).random(shape), colours, width)
    assert 1 < len(lines) <= 25
    assert max(len(text) for _, text in lines[1:]) <= width


def test_what_is_no_number_is_seen():
    value = np.ones((4, 4))
    value[1, 2], value[3, 3] = np.nan, np.inf
    lines = drawn(value)
    assert lines[0][1].endswith(", NaN and Inf !")
    assert lines[2][1] == "@@@@!!@@"
    assert drawn(value, "truecolor")[0][1].endswith("NaN and Inf magenta")


def test_an_image_in_its_colours_and_in_grey():
    value = np.zeros((4, 4, 3))
    value[0, 0], value[0, 1] = (1, 0, 0), (1, 1, 1)
    (_, _), (_, text), *_ = picture_lines(value, console("truecolor"), 68)
    assert [tuple(span.style.color.triplet) for span in text.spans[:3]] == [(255, 0, 0), (255, 255, 255), (0, 0, 0)]
    assert drawn(value)[1][1] == "--@@    "


@pytest.mark.parametrize("name", [name for name in VALUES if name != "image"])
def test_nothing_to_see(name):
    assert drawn(VALUES[name]) == []


def test_a_record_shows_its_picture_below_its_numbers():
    screen = console()
    show_record(screen, record(np.eye(8)))
    lines = screen.file.getvalue().splitlines()
    assert lines[-9:-7] == ["  picture   8 by 8, blank 0 to @ 1", "            @@"]
