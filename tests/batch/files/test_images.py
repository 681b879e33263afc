"""Images as samples: the model's size, channels and layout; what is changed was asked for, and is said."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from kmr_cli.batch.fit import fit
from kmr_cli.batch.given import read_files
from kmr_cli.config.reading import Reading
from kmr_cli.errors import BatchError
from kmr_cli.records import TensorSpec

LAST = TensorSpec("image", (None, 4, 6, 3), "float32")
FIRST = TensorSpec("image", (None, 3, 4, 6), "float32")
PIXELS = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)


def fed(arguments, spec, channels_first=False, **reading):
    notices = []
    given = read_files(list(map(str, arguments)), Reading(**reading), channels_first=channels_first)
    return fit(given, (spec,), fixed_batch=None, notice=notices.append)[spec.name], notices


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "images"
    place.mkdir()
    for number in range(3):
        Image.fromarray(PIXELS + number).save(place / f"{number}.png")
    (place / "notes.txt").write_text("no image")
    return place


def test_a_folder_is_a_batch_in_the_order_of_names(folder):
    expected = np.stack([PIXELS, PIXELS + 1, PIXELS + 2]).astype(np.float32)
    found, notices = fed([folder], LAST)
    assert np.array_equal(found, expected)
    assert notices == [
        f"{folder}: left out 'notes.txt', which isn't an image",
        f"{folder}: the values are 0 to 255, as stored; --scale 0:1 maps them to 0 to 1",
    ]
    assert np.array_equal(fed([folder / "2.png", folder / "0.png"], LAST)[0], expected[[2, 0]])
    assert np.array_equal(fed([f"image={folder / '1.png'}"], LAST)[0], expected[1:2])
    assert np.array_equal(fed([folder], LAST, rows="1:3")[0], expected[1:])


def test_a_folder_of_folders_is_a_batch_in_the_order_of_paths(folder):
    for number, name in enumerate(("zebra", "ant", "ant/small")):
        (folder.parent / "classes" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(PIXELS + number).save(folder.parent / "classes" / name / "0.png")
    (folder.parent / "classes" / "loop").symlink_to(folder.parent)
    found, (said, _) = fed([folder.parent / "classes"], LAST)
    assert np.array_equal(found, np.stack([PIXELS + 1, PIXELS + 2, PIXELS]).astype(np.float32))
    assert said == f"{folder.parent / 'classes'}: 3 images, those of 3 folders in it, in the order of their paths"
    assert np.array_equal(fed([folder.parent / "classes"], LAST, rows="1:3")[0], found[1:])
    (folder / "inside").mkdir()  # beside images, a folder's own are meant
    Image.fromarray(PIXELS).save(folder / "inside" / "9.png")
    assert len(fed([folder], LAST)[0]) == 3


def test_channels_stand_where_the_model_has_them(folder):
    assert np.array_equal(fed([folder / "0.png"], FIRST)[0][0], np.moveaxis(PIXELS, -1, 0))
    unknown = TensorSpec("image", None, None)
    assert fed([folder / "0.png"], unknown)[0].shape == (1, 4, 6, 3)
    found, notices = fed([folder / "0.png"], unknown, channels_first=True)
    assert found.shape == (1, 3, 4, 6)
    assert notices == [
        f"{folder / '0.png'}: given to input 'image' as (batch, 3, 4, 6) uint8; --scale 0:1 makes them float32"
    ]


def test_scales_are_those_of_keras_and_torchvision(folder):
    found, notices = fed([folder / "0.png"], LAST, scale="0:1")
    assert np.array_equal(found[0], PIXELS.astype(np.float32) / np.float32(255))
    assert notices == []
    assert np.allclose(fed([folder / "0.png"], LAST, scale="-1:1")[0][0], PIXELS / 127.5 - 1, atol=1e-6)
    normal = (PIXELS / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert np.allclose(fed([folder / "0.png"], LAST, scale="imagenet")[0][0], normal, atol=1e-6)


def test_another_size_is_an_error_that_names_the_option(folder):
    small = TensorSpec("image", (None, 2, 2, 3), "float32")
    with pytest.raises(BatchError, match=r"4x6 \(height x width\), but input 'image' takes 2x2") as caught:
        fed([folder], small)
    assert caught.value.hint == "--resize 2x2 stretches it, --resize 2x2:crop keeps its proportions"
    with pytest.raises(BatchError, match=r"input 'image' takes 2x2 \(height x width\), not 3x3"):
        fed([folder], small, resize="3x3")
    found, notices = fed([folder], small, resize="2x2", scale="0:1")
    assert found.shape == (3, 2, 2, 3)
    left = f"{folder}: left out 'notes.txt', which isn't an image"
    assert notices == [left, f"{folder}: 3 of 3 stretched from 4x6 to 2x2"]
    found, notices = fed([folder], small, resize="2x2:crop", scale="0:1")
    assert notices == [left, f"{folder}: 3 of 3 cut and resized from 4x6 to 2x2"]


def test_images_of_different_sizes(folder):
    Image.fromarray(PIXELS[:2]).save(folder / "9.png")
    with pytest.raises(BatchError, match=r"9\.png: 2x6 \(height x width\), and .*0\.png 4x6"):
        fed([folder], TensorSpec("image", None, None))


@pytest.mark.parametrize(
    ("mode", "channels", "said"),
    [
        ("L", 3, "converted from grey to RGB"),
        ("RGBA", 3, "converted from RGB with transparency to RGB"),
        ("RGB", 1, "converted from RGB to grey"),
        ("CMYK", 3, "converted from CMYK to RGB"),
        ("P", 3, None),
        ("RGB", 3, None),
    ],
)
def test_colours(tmp_path, mode, channels, said):
    place = tmp_path / ("a.png" if mode != "CMYK" else "a.jpg")
    Image.fromarray(PIXELS).convert(mode).save(place)
    found, notices = fed([place], TensorSpec("image", (None, 4, 6, channels), "float32"), scale="0:1")
    assert found.shape == (1, 4, 6, channels)
    assert notices == ([] if said is None else [f"{place}: {said}"])


def test_sixteen_bits(tmp_path):
    deep = np.arange(24, dtype=np.uint16).reshape(4, 6) * 2000
    Image.fromarray(deep).save(tmp_path / "a.png")
    found, _ = fed([tmp_path / "a.png"], TensorSpec("image", (None, 4, 6), "float32"), scale="0:1")
    assert np.array_equal(found[0], deep.astype(np.float32) / np.float32(65535))
    small, _ = fed([tmp_path / "a.png"], TensorSpec("image", (None, 2, 3), "float32"), scale="0:1", resize="2x3")
    assert 0 < small.min() < small.max() < 1
    with pytest.raises(BatchError, match="more than 8 bits"):
        fed([tmp_path / "a.png"], LAST)


def png(width, height):
    """The head of an image, and nothing behind it."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (png(12_000, 12_000), "more pixels than"),
        (png(200_000, 200_000), "more pixels than"),
        (png(4, 4)[:45], "damaged, or no image"),
        (b"\x89PNG\r\n\x1a\n", "damaged, or no image"),
        (b"\xff\xd8\xff\xe0", "damaged, or no image"),
    ],
)
def test_bombs_and_damage(tmp_path, content, problem):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(BatchError, match=problem):
        fed([tmp_path / "a.png"], LAST)


def test_what_no_image_can_be(folder, tmp_path):
    with pytest.raises(BatchError, match="which an image cannot be"):
        fed([folder], TensorSpec("x", (None, 784), "float32"))
    with pytest.raises(BatchError, match="takes uint8") as caught:
        fed([folder], TensorSpec("x", (None, 4, 6, 3), "uint8"), scale="0:1")
    assert caught.value.hint == "leave out --scale"
    (tmp_path / "empty" / ".thumbnails").mkdir(parents=True)
    Image.fromarray(PIXELS).save(tmp_path / "empty" / ".thumbnails" / "0.png")
    with pytest.raises(BatchError, match="a folder without images"):
        fed([tmp_path / "empty"], LAST)
    frames = [Image.fromarray(PIXELS), Image.fromarray(PIXELS + 9)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(BatchError, match="holds 2 images"):
        fed([tmp_path / "a.gif"], LAST)


def test_a_image_that_a_camera_turned(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", exif=exif)
    _, notices = fed([tmp_path / "a.jpg"], LAST, scale="0:1")
    assert notices == [f"{tmp_path / 'a.jpg'}: is stored turned, which EXIF tells and is not undone"]


def test_size_and_scale_without_a_image(tmp_path):
    np.save(tmp_path / "a.npy", PIXELS)
    with pytest.raises(BatchError, match="no image is given"):
        fed([tmp_path / "a.npy"], LAST, scale="0:1")
