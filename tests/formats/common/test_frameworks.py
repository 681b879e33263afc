"""What is kept of a framework's message."""

import time
from importlib import metadata
from pathlib import Path

import pytest

from kmr_cli.formats.common import frameworks
from kmr_cli.formats.common.frameworks import first_line, how_to_install
from kmr_cli.formats.savedmodel.run.runner import failure_text

CHECKOUT = Path(__file__).parents[3]
NODE = "{{function_node __wrapped__Mul_device_/job:localhost/replica:0/task:0/device:CPU:0}}"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (f"{NODE} Incompatible shapes: [7,6] vs. [7] [Op:Mul] name: ", "Incompatible shapes: [7,6] vs. [7]"),
        (f"{NODE} Incompatible shapes: [7,6] vs. [7] [Op:Mul] name: a/mul_1", "Incompatible shapes: [7,6] vs. [7]"),
        ("In[0] mismatch In[1] shape: 5 vs. 4 [Op:MatMul]", "In[0] mismatch In[1] shape: 5 vs. 4"),
        ("{{node dense/MatMul}} Matrix size-incompatible [[dense/MatMul]]", "Matrix size-incompatible"),
        (f"{NODE}\n\x1b[1mwrong shape.\x1b[0m", "wrong shape"),
        ("no such node [[a]] [Op:Mul] name: b/c [[{{node d}}]] [[e]]  ", "no such node"),
        ("index [3] is out of bounds for {x: [[1, 2]]}", "index [3] is out of bounds for {x: [[1, 2]]}"),
    ],
)
def test_a_line_says_what_went_wrong_and_not_at_which_node(said, kept):
    assert first_line(ValueError(said)) == kept
    assert first_line(ValueError(NODE)) == "ValueError"


@pytest.mark.parametrize("words", [first_line, failure_text])
def test_what_tensorflow_really_says(words):
    tf = pytest.importorskip("tensorflow")
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        tf.multiply(tf.ones((7, 6, 6)), tf.ones((7, 6)))
    assert "function_node" in str(caught.value)
    assert words(caught.value) == "Incompatible shapes: [7,6,6] vs. [7,6]"


MANY = 10**6


@pytest.mark.parametrize("words", [first_line, failure_text])
@pytest.mark.parametrize(
    "said",
    [
        "a" + " " * MANY + "x", "a" + "[[]] " * MANY + "x", "a" + " [[" * MANY, "a" + "[Op:A] name:" * MANY,
        "a" + "{{node " * MANY,
    ],
    ids=["blanks", "marks", "half marks", "operations", "nodes"],
)  # fmt: skip
def test_hostile_text_takes_no_time(words, said):
    begin = time.process_time()
    kept = words(ValueError(said))
    assert time.process_time() - begin < 5.0
    assert kept.startswith("a")
    assert kept.endswith("…")
    assert len(kept) <= 1001


def test_a_very_long_line_is_cut_behind_its_mark():
    assert first_line(ValueError(f"{{{{node {'n' * 2000}}}}} wrong shape {'x' * 2000}")).startswith("wrong shape xxx")


def test_an_extra_is_installed_from_the_checkout_where_nothing_else_is_known(monkeypatch):
    assert how_to_install("onnx") == "pip install 'kmr-inspect[onnx]'"

    def unknown(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", unknown)
    monkeypatch.setattr(frameworks, "__file__", str(CHECKOUT / "kmr_cli/formats/common/frameworks.py"))
    assert how_to_install("onnx") == f"pip install '{CHECKOUT}[onnx]'"
