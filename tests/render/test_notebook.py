"""Records in a notebook: the notebook in docs/ runs, and what its cells show is a table, a picture, a verdict."""

import json
import subprocess

import numpy as np
import pytest
from zoo.pages import Page
from zoo.samples import HOME, python

from kmr_cli import (
    BatchIndex,
    Comparison,
    Finding,
    LayerInfo,
    ModelInfo,
    Record,
    Report,
    ScanReport,
    TensorSpec,
    Trace,
    open_model,
    scan_model,
)

DOCS = HOME.parent / "docs"
HOSTILE = '<script>alert(1)</script>\x1b[31m" onload=x'
ELEMENTS = frozenset({
    "div", "span", "strong", "pre", "details", "summary", "img", "table", "thead", "tbody", "tr", "th", "td",
})  # fmt: skip
RUNNER = """
import ast, builtins, json, sys
class ZMQInteractiveShell: pass
builtins.get_ipython = ZMQInteractiveShell  # by which rich knows a notebook
shown, names = [], {}
for code in json.loads(sys.argv[1]):
    *statements, last = ast.parse(code).body
    if not isinstance(last, ast.Expr):
        statements.append(last)
    exec(compile(ast.Module(statements, []), "cell", "exec"), names)
    value = eval(compile(ast.Expression(last.value), "cell", "eval"), names) if isinstance(last, ast.Expr) else None
    page = getattr(value, "_repr_html_", None)
    shown.append(page() if page else repr(value))
print(json.dumps(shown))
"""


def tags(text):
    """Which elements there are."""
    return {tag for tag, _, _ in Page(text).elements}


@pytest.fixture(scope="module")
def cells():
    notebook = json.loads((DOCS / "one_prediction.ipynb").read_text(encoding="utf-8"))
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    run = python("-c", RUNNER, json.dumps(code), cwd=DOCS)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_the_notebook_runs_and_shows(cells):
    model, record, value, trace, check, _ = cells
    assert "conv2" in model
    for page in (model, record, trace, check):
        assert len(page.partition("<pre")[2].partition("</pre>")[0]) > 100
    assert {"table", "details", "pre"} <= tags(model)
    assert {"img", "details"} <= tags(record)
    assert "proven" in record
    assert value.startswith("((32, 8, 8), ")
    assert "no NaN or Inf begins in the model" in trace
    assert {"table", "details"} <= tags(check)
    assert ">pass<" in check
    assert check.count("●") == 8  # each sample moved itself, and no other
    assert "✕" not in check


def test_a_picture_is_one(cells, tmp_path):
    data = cells[1].partition("data:image/png;base64,")[2].partition('"')[0]
    run = subprocess.run(["base64", "-d"], input=data.encode(), capture_output=True, check=True)
    assert run.stdout.startswith(b"\x89PNG")


def test_names_from_a_file_stay_text():
    spec = TensorSpec(HOSTILE, (None, 3), "float32")
    layer = LayerInfo(HOSTILE, HOSTILE, (spec,), (spec,))
    finding = Finding("KMR101", "error", HOSTILE, 0, "out0", HOSTILE, remedy=HOSTILE)
    for value in (
        layer,
        ModelInfo(HOSTILE, "onnx", HOSTILE, (spec,), (spec,), (layer,), 7),
        Record(HOSTILE, 0, "out0", np.arange(3.0), (2, 3), BatchIndex("inconclusive", evidence=HOSTILE), 1),
        Report("fail", HOSTILE, "onnx", 9, (2,), (), (finding,), (), (HOSTILE,)),
        Comparison("pass", HOSTILE, "onnx", HOSTILE, "snapshot", True, 1, 1, 0, (), (), (HOSTILE,)),
        ScanReport("fail", HOSTILE, "onnx", (HOSTILE,), (finding,)),
        Trace(2, (), (finding,)),
        Trace(2, (), failed=HOSTILE),
    ):
        text = value._repr_html_()
        assert tags(text) <= ELEMENTS, type(value)
        assert "&lt;script" in text
        assert "\x1b" not in text
        assert "\x1b" not in str(value)


def test_a_model_and_a_scan_show_themselves():
    with open_model(HOME / "digits.onnx") as model:
        assert model._repr_html_() == model.info._repr_html_()
    assert ">pass<" in scan_model(HOME / "digits.onnx")._repr_html_()


def test_what_begins_between_layers_is_placed():
    note = Finding("KMR304", "note", "", 0, "out0", "NaN begins in sample 1")
    shown = Trace(2, (), (note,))._repr_html_()
    assert "the code between layers: NaN begins in sample 1; the outputs are finite" in shown.partition("<pre")[0]


def test_a_scan_that_settled_nothing_says_no_more_than_the_terminal():
    open_end = ScanReport("inconclusive", "m", "keras", (), (), ("foreign",))
    assert "not everything could be judged" in open_end._repr_html_().partition("<pre")[0]
