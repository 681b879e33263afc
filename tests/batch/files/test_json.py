"""JSON: arrays by name, rows by name, one array; a row a line in .jsonl."""

import json

import pytest

from kmr_cli.batch.files import json as files_json
from kmr_cli.batch.fit import fit
from kmr_cli.batch.given import read_files
from kmr_cli.config.reading import Reading
from kmr_cli.errors import BatchError
from kmr_cli.records import TensorSpec

X = TensorSpec("x", (None, 2), "float32")
AGE = TensorSpec("age", (None, 1), "int64")


def fed(path, text, *specs, rows=None):
    path.write_text(text)
    return fit(read_files([str(path)], Reading(rows)), specs, fixed_batch=None, notice=lambda _: None)


@pytest.mark.parametrize(
    "content",
    [
        {"x": [[1, 2], [3, 4.5]], "age": [7, 8], "label": [{}, None]},
        [{"x": [1, 2], "age": 7}, {"x": [3, 4.5], "age": 8}],
    ],
    ids=["by column", "by row"],
)
def test_by_name(tmp_path, content):
    batch = fed(tmp_path / "a.json", json.dumps(content), X, AGE)
    assert batch["x"].tolist() == [[1, 2], [3, 4.5]]
    assert batch["age"].tolist() == [[7], [8]]
    assert len(fed(tmp_path / "a.json", json.dumps(content), X, AGE, rows="1:2")["x"]) == 1


def test_one_list(tmp_path):
    assert fed(tmp_path / "a.json", "[[1, 2], [3, 4]]", X)["x"].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_numbers_have_the_precision_of_the_input(tmp_path, dtype):
    (tmp_path / "a.json").write_text("[[1, 2]]")
    notices = []
    spec = TensorSpec("x", (None, 2), dtype)
    batch = fit(read_files([str(tmp_path / "a.json")]), (spec,), fixed_batch=None, notice=notices.append)
    assert (batch["x"].dtype.name, batch["x"].tolist(), notices) == (dtype, [[1, 2]], [])


def test_lines(tmp_path):
    text = '{"x": [1, 2]}\n\n{"x": [3, 4]}\n{"x": [5, 6]}\n'
    assert fed(tmp_path / "a.jsonl", text, X)["x"].tolist() == [[1, 2], [3, 4], [5, 6]]
    assert fed(tmp_path / "a.jsonl", text + "{broken", X, rows="1:3")["x"].tolist() == [[3, 4], [5, 6]]
    assert fed(tmp_path / "a.jsonl", "[1, 2]\n[3, 4]\n", X)["x"].tolist() == [[1, 2], [3, 4]]
    with pytest.raises(BatchError, match="holds 3 rows"):
        fed(tmp_path / "a.jsonl", text, X, rows="1:4")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"x": [[1, 2]], "x": [[3, 4]]}', "a name stands twice"),
        ('{"x": [[1, 2], [3]]}', "different lengths"),
        ('{"x": [[1, null]]}', "holds null"),
        ('{"x": [[1, "a"]]}', "text and numbers"),
        ('{"x": [[1, 1' + "0" * 30 + "]]}", "64 bits"),
        ('{"x": 3}', "a single value"),
        ('[{"x": [1, 2]}, {"y": [1, 2]}]', "row 1 has other names"),
        ("3", "a single value"),
        ("[]", "the batch holds no samples|expected shape"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, problem):
    with pytest.raises(BatchError, match=problem):
        fed(tmp_path / "a.json", text, X)


def test_lines_that_would_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(files_json, "_MOST", 40)
    text = '{"x": [1, 2]}\n' * 4
    with pytest.raises(BatchError, match=r"rows of more than 256 MiB") as raised:
        fed(tmp_path / "a.jsonl", text, X)
    assert raised.value.hint == "--rows 0:32 reads the first 32 rows alone"
    assert fed(tmp_path / "a.jsonl", text, X, rows="2:4")["x"].tolist() == [[1, 2], [1, 2]]
    with pytest.raises(BatchError, match="larger than 256 MiB"):
        fed(tmp_path / "a.json", "[[1, 2], " * 10, X)
