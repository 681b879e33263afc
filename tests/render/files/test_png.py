"""The labelled grid: every plane where it belongs, enlarged without being blurred, on a page of one width."""

import sys

import numpy as np
import pytest
from PIL import Image
from zoo.records import HOSTILE, VALUES, record, samples

from kmr_cli.errors import MissingFrameworkError, OutputError
from kmr_cli.render.files.png import write
from kmr_cli.render.outputs import limit_of
from kmr_cli.render.pictures.colours import coloured
from kmr_cli.render.pictures.planes import picture_of


def image(tmp_path, *values, **more):
    place = tmp_path / "x.png"
    write(place, samples([record(value, **more) for value in values]))
    with Image.open(place) as opened:
        return np.asarray(opened.convert("RGB"))


def enlarged(plane, picture, times):
    return coloured(plane, picture).repeat(times, 0).repeat(times, 1)


def find(whole, part):
    """(top, left) of the first place at which a part stands in the whole."""
    height, width = part.shape[:2]
    corners = np.argwhere((whole[: 1 - height or None, : 1 - width or None] == part[0, 0]).all(axis=2))
    return next((top, left) for top, left in corners.tolist()
                if np.array_equal(whole[top : top + height, left : left + width], part))  # fmt: skip


def test_planes_stand_in_rows_in_their_order(tmp_path):
    value = np.random.default_rng(0).random((12, 8, 8))
    whole, picture = image(tmp_path, value), picture_of(value)
    places = [find(whole, enlarged(plane, picture, 16)) for plane in picture.planes]
    assert places == sorted(places)
    assert len({top for top, _ in places}) == 2
    assert whole.shape[1] == 1200


def test_an_image_keeps_its_colours(tmp_path):
    value = np.random.default_rng(0).integers(0, 256, (32, 40, 3)).astype(np.uint8)
    assert find(image(tmp_path, value), value.repeat(3, 0).repeat(3, 1))


@pytest.mark.parametrize("name", VALUES)
def test_every_value_is_drawn_or_refused(tmp_path, name):
    if picture_of(VALUES[name]) is None:
        with pytest.raises(OutputError, match="none of these values"):
            image(tmp_path, VALUES[name])
        return
    assert image(tmp_path, VALUES[name], layer=HOSTILE).shape[1] == 1200


@pytest.mark.parametrize("shape", [(3000, 2000), (2000, 4, 4), (100_000,), (5000, 5), (3, 1500, 1500)])
def test_large_values_fit(tmp_path, shape):
    height, width, _ = image(tmp_path, np.random.default_rng(0).standard_normal(shape)).shape
    assert width == 1200
    assert height < 3000


def test_several_values_stand_below_each_other(tmp_path):
    one = image(tmp_path, np.eye(8))
    both = image(tmp_path, np.eye(8), np.float32(1), np.eye(8))  # a number alone isn't drawn
    assert both.shape[0] > 1.8 * one.shape[0]
    assert np.array_equal(both[: one.shape[0] - 30], one[: one.shape[0] - 30])


def test_more_than_anybody_looks_at(monkeypatch):
    limit = limit_of("png")
    limit(64)
    with pytest.raises(OutputError, match="65 values are too many") as caught:
        limit(65)
    assert ".html" in caught.value.hint
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.delitem(sys.modules, "PIL.Image")
    with pytest.raises(MissingFrameworkError) as missing:
        limit(1)
    assert "kmr-inspect[data]" in missing.value.hint
