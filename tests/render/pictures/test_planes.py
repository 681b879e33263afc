"""Which planes of a value are looked at, and in which colours."""

import io
import struct
import zlib

import numpy as np
import pytest
from zoo.records import VALUES

from kmr_cli.render.pictures.colours import LEVELS, NOT_FINITE, NOTHING, coloured, levels, palette, span
from kmr_cli.render.pictures.grid import as_png, fit
from kmr_cli.render.pictures.planes import channel_axis, picture_of


def read(data):
    """(height, width, colour type, rows of bytes without their filter) of a PNG file, every check sum checked."""
    stream = io.BytesIO(data)
    assert stream.read(8) == b"\x89PNG\r\n\x1a\n"
    chunks = {}
    while head := stream.read(8):
        length, kind = struct.unpack(">I4s", head)
        content = stream.read(length)
        assert struct.unpack(">I", stream.read(4)) == (zlib.crc32(kind + content),)
        chunks[kind] = content
    width, height, depth, colour_type, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, rest) == (8, [0, 0, 0])
    channels = {2: 3, 3: 1}[colour_type]
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + width * channels)
    assert not lines[:, 0].any()
    return lines[:, 1:].reshape(height, width, channels), chunks


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((8, 8, 16), 2), ((16, 8, 8), 0), ((4, 12, 12), 0), ((3, 224, 200), 0), ((224, 200, 3), 2), ((20, 30, 64), 2),
     ((64, 20, 30), 0), ((8, 8, 8), 2), ((1, 1, 5), 2)],
)  # fmt: skip
def test_which_axis_counts_the_planes(shape, axis):
    assert channel_axis(shape) == axis


@pytest.mark.parametrize(
    ("value", "kind", "planes", "label"),
    [
        (np.linspace(0, 1, 192).reshape(8, 8, 3), "image", 1, "[:, :, :]"),
        (np.linspace(0, 1, 192).reshape(3, 8, 8), "image", 1, "[:, :, :]"),
        (np.arange(64).reshape(8, 8, 1), "image", 1, "[:, :, 0]"),
        (np.linspace(-1, 1, 192).reshape(8, 8, 3), "channels", 3, "[:, :, 0]"),  # no light is negative
        (np.linspace(0, 900, 192).reshape(8, 8, 3), "channels", 3, "[:, :, 0]"),
        (np.linspace(0, 1, 256).reshape(4, 8, 8), "channels", 4, "[0, :, :]"),
        (np.zeros((2, 5, 8, 8)), "channels", 5, "[0, 0, :, :]"),
        (np.zeros((3, 4)), "matrix", 1, "[:, :]"),
        (np.arange(5), "vector", 1, "[:]"),
        (np.array([True, False]), "vector", 1, "[:]"),
        (np.array([3 + 4j, 0]), "vector", 1, "[:]"),
    ],
)
def test_what_is_looked_at(value, kind, planes, label):
    picture = picture_of(value)
    assert (picture.kind, len(picture.planes), picture.labels[0]) == (kind, planes, label)
    assert picture.total == (10 if value.ndim == 4 else planes)


def test_every_plane_is_the_slice_that_its_label_says():
    value = np.random.default_rng(0).standard_normal((2, 6, 5, 5))
    for picture in (picture_of(value), picture_of(np.moveaxis(value, 1, 3))):
        whole = value if "0, 0," in picture.labels[0] else np.moveaxis(value, 1, 3)
        for plane, label in zip(picture.planes, picture.labels, strict=True):
            place = tuple(slice(None) if part == ":" else int(part) for part in label[1:-1].split(", "))
            assert np.array_equal(plane, whole[place])


@pytest.mark.parametrize("value", [np.float32(1), np.zeros((0, 4)), np.array([b"a", b"b"], object), np.full(3, np.nan)])
def test_nothing_to_look_at(value):
    assert picture_of(np.asarray(value)) is None


def test_colours_are_in_the_order_of_the_numbers():
    for numbers, ends in [([0.0, 1, 2], (0, 2)), ([-1.0, 0, 3], (-3, 3)), ([-2.0, -1], (-2, 0)), ([5.0, 6], (0, 6))]:
        picture = picture_of(np.array(numbers))
        assert span(picture) == ends
        assert (np.diff(levels(picture.planes[0], picture)[0].astype(int)) > 0).all()
    middle = levels(np.zeros((1, 1)), picture_of(np.array([-1.0, 3])))[0, 0]
    assert palette(picture_of(np.array([-1.0, 3])))[middle].min() > 240  # white where there is nothing


@pytest.mark.filterwarnings("error")
def test_numbers_at_the_end_of_their_range():
    picture = picture_of(np.array([1.7e308, -1.7e308, np.nan, np.inf, 0]))
    assert levels(picture.planes[0], picture).tolist() == [[LEVELS - 1, 0, NOT_FINITE, NOT_FINITE, (LEVELS - 1) // 2]]
    same = picture_of(np.zeros((2, 2)))
    assert levels(same.planes[0], same).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("name", VALUES)
def test_a_file_can_be_read_again(name):
    picture = picture_of(VALUES[name])
    if picture is None:
        return
    pixels, chunks = read(as_png(picture))
    assert pixels.shape[2] == 1
    assert len(chunks[b"PLTE"]) == 768
    assert chunks[b"tRNS"] == b"\xff" * NOTHING + b"\x00"


def test_planes_stand_a_pixel_apart():
    value = np.arange(1.0, 46).reshape(5, 3, 3)
    picture = picture_of(value)
    pixels, _ = read(as_png(picture))
    assert pixels.shape == (11, 7, 1)
    assert (pixels[3] == NOTHING).all()
    assert (pixels[:, 3] == NOTHING).all()
    assert np.array_equal(pixels[4:7, 4:7, 0], levels(value[3], picture))
    assert (pixels[8:, 4:] == NOTHING).all()


def test_an_image_keeps_its_colours():
    value = np.random.default_rng(0).integers(0, 256, (6, 7, 3)).astype(np.uint8)
    value[0, 0] = 255
    pixels, _ = read(as_png(picture_of(value)))
    assert np.array_equal(pixels, value)
    assert np.array_equal(coloured(picture_of(value / 255).planes[0], picture_of(value / 255)), value)


def test_small_enough_and_still_the_same_numbers():
    value = np.random.default_rng(0).standard_normal((40, 100, 100))
    small = fit(picture_of(value), 10_000)
    assert 5_000 < sum(plane.size for plane in small.planes) <= 10_000
    assert np.isin(small.planes[7], value[7]).all()
    assert fit(picture_of(value), 10).total == 40
    assert len(fit(picture_of(value), 10).planes) == 10
    assert 90 < fit(picture_of(np.arange(1000.0)), 100).planes[0].shape[1] <= 100
    assert fit(picture_of(value[0]), 10**6).planes[0].shape == (100, 100)
