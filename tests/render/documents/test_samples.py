"""Samples as JSON: every value, whatever its dtype."""

import json

import numpy as np
import pytest
from zoo.records import HOSTILE, VALUES, record, samples

from kmr_cli.render.outputs import render


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_json_is_valid_and_keeps_every_value(value):
    text = render("json", samples([record(value, layer=HOSTILE)], {"numpy": "2"}))
    assert text.isascii()

    def refuse(token):
        raise AssertionError(token)

    (found,) = json.loads(text, parse_constant=refuse)["records"]
    assert found["layer"] == HOSTILE
    assert found["value_shape"] == list(value.shape)
    if value.dtype.kind in "fiub" and np.isfinite(value).all():
        assert np.array_equal(np.array(found["value"], dtype=value.dtype).reshape(value.shape), value)


def test_json_spells_out_what_json_lacks():
    (found,) = json.loads(render("json", samples([record(VALUES["not finite"])])))["records"]
    assert found["value"] == ["NaN", "Infinity", "-Infinity", 0.0]
    assert found["summary"]["nans"] == 1
    (found,) = json.loads(render("json", samples([record(VALUES["complex"])])))["records"]
    assert found["value"] == [[1.0, 2.0], [3.0, -4.0]]
    (found,) = json.loads(render("json", samples([record(VALUES["text"])])))["records"]
    assert found["value"] == ["café", "\\xff\x1b"]


def test_json_with_an_undecodable_name():
    text = render("json", samples([record([1.0], layer="a\udcff")]))
    assert "\\udcff" in json.loads(text)["records"][0]["layer"]
