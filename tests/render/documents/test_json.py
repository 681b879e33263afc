"""JSON is what its schemas say, whatever a model's names and values are; the schemas are strict, and mark what goes."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import ml_dtypes
import numpy as np
import pytest
from zoo.outcomes import HOSTILE

from kmr_cli.records import (
    BatchIndex,
    Comparison,
    Difference,
    LayerInfo,
    ModelInfo,
    OutputAgreement,
    Record,
    TensorSpec,
)
from kmr_cli.render.contents import Listing, Outcome, Run, Samples, of_comparison
from kmr_cli.render.outputs import render

DOCS = Path(__file__).parents[3] / "docs"
SCHEMAS = {path.name.removesuffix(".schema.json"): json.loads(path.read_text()) for path in DOCS.glob("*.schema.json")}
VERDICTS = ("check-batch-axis", "compare")
SPECS = (
    TensorSpec(HOSTILE, (None, 3, None), HOSTILE, limit=7, kind=HOSTILE, lengths=HOSTILE, sparse=True),
    TensorSpec("x", None, None, presumed=("dtype", "limit")),
)
LAYERS = (
    LayerInfo(HOSTILE, HOSTILE, SPECS, SPECS, HOSTILE, 12, 2, HOSTILE),
    LayerInfo("", "Layer", parameters=None, calls=None),
)
INFO = ModelInfo(HOSTILE, "somebody's own", HOSTILE, SPECS, SPECS, LAYERS, None, notes=(HOSTILE,))
VALUES = (
    np.float32(1.5), np.zeros((0, 3)), np.arange(4), np.array([True]), np.array([b"caf\xc3\xa9\xff\x1b"], dtype=object),
    np.array([1 + 2j]), np.array([np.nan, np.inf, -np.inf]), np.array([1.5], dtype=ml_dtypes.bfloat16),
    np.array([1e308, -1e308]),
)  # fmt: skip
INDICES = (BatchIndex("separated", 0, (0, -1), HOSTILE), BatchIndex("mixed", evidence="", max_ulp=3))
RECORDS = tuple(
    Record(HOSTILE, 1, port, np.asarray(value), (2, *np.shape(value)), index, sample)
    for value in VALUES
    for index, sample, port in zip(INDICES, (1, None), ("in0", "out1"), strict=True)
)
COMPARISON = Comparison(
    "inconclusive", HOSTILE, "keras", HOSTILE, "snapshot", False, 1, 1, 0,
    (Difference("KMR406", "error", HOSTILE, 0, "out0", HOSTILE, where=(0,), size=1.0, counterpart=HOSTILE),),
    (OutputAgreement(HOSTILE, None, None, None),), (HOSTILE,), (HOSTILE,), notes=(HOSTILE,), not_examined=(HOSTILE,),
)  # fmt: skip
FAILURE = Outcome("compare", HOSTILE, "error", error=HOSTILE, hint=HOSTILE)
RUN = Run("2026-01-02T03:04:05Z", 1.23456, "Linux")


def written(content):
    """The document, having made sure that a strict reader takes it."""
    text = render("json", content)
    assert text.isascii()
    assert text.endswith("\n")

    def refuse(token):
        raise AssertionError(token)

    document = json.loads(text, parse_constant=refuse)
    json.dumps(document, ensure_ascii=False).encode()  # no half of a surrogate pair: not every reader takes one
    return document


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_one(name):
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])


def test_layers():
    document = written(Listing(INFO, LAYERS, RUN))
    jsonschema.validate(document, SCHEMAS["layers"])
    assert document["run"] == {"date": "2026-01-02T03:04:05Z", "seconds": 1.235, "machine": "Linux"}
    assert document["model"]["format"] == "somebody's own"
    extra = {"kind", "lengths", "sparse"}
    assert [set(one) & extra for one in document["inputs"]] == [extra, set()]
    assert "verdict" not in document


def test_samples():
    document = written(Samples(INFO, RECORDS, {"numpy": "2"}, RUN))
    jsonschema.validate(document, SCHEMAS["sample"])
    assert len(document["records"]) == len(RECORDS)
    for record in document["records"]:
        assert record["batch_index"]["proof"] == record["batch_index"]["evidence"]
    assert "verdict" not in document


def test_comparisons_and_failures():
    outcome = of_comparison(COMPARISON, COMPARISON.path, RUN)
    document = written([outcome])
    jsonschema.validate(document, SCHEMAS["compare"])
    assert (document["verdict"], document["basis"], len(document["not_examined"])) == ("inconclusive", "evidence", 1)
    assert document["unproven"] == document["inconclusive"] != []
    several = written([outcome, FAILURE])
    jsonschema.validate(several, SCHEMAS["compare"])
    assert [(one["verdict"], one["basis"]) for one in several] == [("inconclusive", "evidence"), ("error", None)]
    proven = written([of_comparison(replace(COMPARISON, basis="proof"), "m", RUN)])
    assert proven["basis"] == "proof"
    jsonschema.validate(proven, SCHEMAS["compare"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("layers", Listing(INFO, LAYERS)),
        ("sample", Samples(INFO, RECORDS, {})),
        ("compare", [of_comparison(COMPARISON, "m", RUN)]),
        ("compare", [FAILURE]),
    ],
    ids=["layers", "sample", "compare", "failure"],
)
def test_the_schemas_can_refuse(name, content):
    validator = jsonschema.Draft202012Validator(SCHEMAS[name])
    document = written(content)
    assert validator.is_valid(document)
    assert not validator.is_valid({**document, "schema": 1})
    assert not validator.is_valid({**document, "more": 1})
    assert not validator.is_valid({**document, "run": {**document["run"], "more": 1}})
    assert not validator.is_valid({**document, "model": {**document["model"], "path": None}})
    for key in document.keys() - {"unproven"}:
        assert not validator.is_valid({other: value for other, value in document.items() if other != key}), key


def objects(schema):
    """Every object of properties in a schema."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            yield schema
        for inner in schema.values():
            yield from objects(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from objects(inner)


def test_what_goes_is_marked_and_not_required():
    found = set()
    for name, schema in SCHEMAS.items():
        for one in objects(schema):
            for key in one["properties"].keys() & {"unproven", "proof"}:
                if key == "proof" and name != "sample":
                    continue  # what the graph proves, which is new
                assert one["properties"][key]["deprecated"] is True
                assert key not in one.get("required", ())
                found.add((name, key))
    assert found == {("check-batch-axis", "unproven"), ("compare", "unproven"), ("sample", "proof")}


def test_a_format_is_any_text():
    formats = [one["properties"]["format"] for schema in SCHEMAS.values() for one in objects(schema)
               if "format" in one["properties"]]  # fmt: skip
    assert len(formats) >= 5
    assert all(one["type"] == "string" and "enum" not in one for one in formats)
