"""What ``import kmr_cli`` offers, and how it looks to whoever works in a notebook."""

import html
import importlib
import pickle
import pkgutil
import pydoc
import subprocess
import sys
import traceback
import warnings

import numpy as np
import pytest
from zoo.samples import HOME, batch_of

import kmr_cli
from kmr_cli import BatchIndex, Comparison, KmrError, LayerInfo, ModelInfo, Record, Report, Snapshot, TensorSpec, errors
from kmr_cli.records import Finding, SampleSketch, TapSketch
from kmr_cli.render.contents import Outcome

HOSTILE = "<script>alert(1)</script>\x1b[31m"


def info(path="m.keras", name="conv", layers=1):
    spec = TensorSpec("x", (None, 3), "float32")
    found = tuple(LayerInfo(f"{name}{number}", "Dense", (spec,), (spec,)) for number in range(layers))
    return ModelInfo(path, "keras", "Keras 3", (spec,), (spec,), found, 7)


def record(layer="conv"):
    return Record(layer, 0, "out0", np.arange(3.0), (2, 3), BatchIndex("separated", 0, (0, 1), "as replaced"), 1)


def report(layer="conv"):
    finding = Finding("KMR101", "error", layer, 0, "out0", "samples mix")
    return Report("fail", "m.keras", "keras", 9, (2,), (), (finding,), (), ("something",))


def comparison(layer="conv"):
    return Comparison("pass", "m.keras", "keras", layer, "snapshot", True, 1, 1, 0, (), (), (layer,))


def snapshot(layer="conv"):
    sketch = SampleSketch(0.0, 1.0, 0.5, 0.6, 0, "x", (1.0,))
    tap = TapSketch(layer, 0, "out0", ("B", 3), "float32", "separated", 0, 3, (sketch,))
    return Snapshot(layer, "keras", "Keras 3", {}, "synthetic", 4, 0, {}, (), (), ("out",), (tap,))


def test_exactly_the_public_names_are_shown():
    assert dir(kmr_cli) == sorted(kmr_cli.__all__)
    assert len(set(kmr_cli.__all__)) == len(kmr_cli.__all__)
    for name in kmr_cli.__all__:
        assert getattr(kmr_cli, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        kmr_cli.nothing  # noqa: B018


def test_every_error_is_public():
    every = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, KmrError)}
    assert every <= set(kmr_cli.__all__)


def test_the_table_for_type_checkers_and_the_table_for_running_agree():
    assert set(kmr_cli._HOMES) | {"__version__"} == set(kmr_cli.__all__)


def test_no_package_takes_the_place_of_a_public_name():
    meant = {name: getattr(kmr_cli, name) for name in kmr_cli.__all__}
    for module in pkgutil.walk_packages(kmr_cli.__path__, "kmr_cli."):
        if not module.name.startswith(("kmr_cli.layers", "kmr_cli.__main__")):
            importlib.import_module(module.name)
    assert "check" in vars(kmr_cli)  # the packages are there
    assert {name: getattr(kmr_cli, name) for name in kmr_cli.__all__} == meant
    assert dir(kmr_cli) == sorted(kmr_cli.__all__)
    assert callable(kmr_cli.check_batch_axis)


def test_help_describes_every_name():
    text = pydoc.plain(pydoc.render_doc(kmr_cli))
    for name in ("open_model", "check_batch_axis", "compare_models", "class Report", "class BatchError"):
        assert name in text


def test_everything_public_has_a_docstring():
    for name in kmr_cli.__all__:
        value = getattr(kmr_cli, name)
        if isinstance(value, type) or callable(value):
            assert value.__doc__
            assert value.__doc__.strip()


def test_import_brings_neither_numpy_nor_a_framework():
    script = (
        "import sys, kmr_cli; dir(kmr_cli); kmr_cli.KmrError\n"
        "print(sorted({'numpy', 'h5py', 'rich', 'click', 'keras', 'torch', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


RECORDS = [info(), info().layers[0], record(), report(), comparison(), snapshot()]


@pytest.mark.parametrize("value", RECORDS, ids=lambda value: type(value).__name__)
def test_a_record_looks_as_in_the_terminal(value):
    text = str(value)
    assert text
    assert text != repr(value)
    assert max(map(len, text.splitlines())) <= 80
    assert "conv" in text
    assert "\x1b" not in text
    assert html.escape(text.splitlines()[0], quote=False) in value._repr_html_()


@pytest.mark.parametrize("value", [*RECORDS, info(layers=500), record(HOSTILE)], ids=lambda value: type(value).__name__)
def test_among_others_a_record_is_one_short_line(value):
    text = repr(value)
    assert text.startswith(f"<{type(value).__name__} ")
    assert text.isprintable()
    assert len(text) < 300
    assert "conv" in text or "m" in text


def test_a_failure_names_what_was_found_in_short():
    line = repr(report())
    assert report().verdict in line
    for finding in report().findings[:1]:
        assert (finding.rule in line) == (finding.severity == "error")


def test_what_is_shown_is_what_the_command_shows(capsys):
    from rich.console import Console

    from kmr_cli.render.screen.report import show_report

    show_report(Console(width=80, highlight=False, markup=False, emoji=False, color_system=None), report())
    assert str(report()) == capsys.readouterr().out.rstrip("\n")


def test_a_large_model_is_shown_in_short():
    text = str(info(layers=500))
    assert "20 of 500 layers" in text
    assert len(text.splitlines()) < 30


@pytest.mark.parametrize(
    "value",
    [info(HOSTILE, HOSTILE), info(HOSTILE, HOSTILE).layers[0], record(HOSTILE), report(HOSTILE), comparison(HOSTILE),
     snapshot(HOSTILE)],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_names_from_a_file_stay_text(value):
    html = value._repr_html_()
    assert "<script" not in html
    assert "&lt;script" in html
    assert "\x1b" not in html + str(value)


def test_an_error_shows_its_hint():
    error = errors.LayerError("no layer 'x'", "did you mean 'y'?")
    shown = "".join(traceback.format_exception(error))
    assert "kmr_cli.errors.LayerError: no layer 'x'\nhint:  did you mean 'y'?\n" in shown
    assert str(KmrError("alone")) == "alone"
    assert (error.message, error.hint) == ("no layer 'x'", "did you mean 'y'?")
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), back.message, back.hint) == (errors.LayerError, error.message, error.hint)


@pytest.mark.parametrize(
    ("value", "old", "new"),
    [
        (report(), "unproven", "inconclusive"),
        (comparison(), "unproven", "inconclusive"),
        (Outcome("compare", "m", "pass", inconclusive=("a",)), "unproven", "inconclusive"),
        (record().index, "proof", "evidence"),
    ],
    ids=str,
)
def test_old_names_still_work_and_warn(value, old, new):
    with pytest.warns(DeprecationWarning, match=f"{old} is now .*{new}"):
        assert getattr(value, old) == getattr(value, new)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert old not in repr(value)


def test_one_call_checks_a_model(monkeypatch):
    from kmr_cli.api import checking as model

    asked = []

    class Opened:
        def __enter__(self):
            return self

        def __exit__(self, *exc):
            pass

        def check_batch_axis(self, batch, **options):
            asked.append((batch, options["shapes"]))
            return report()

    def open_model(path, **options):
        asked.append((path, options["in_process"], options["imports"]))
        return Opened()

    monkeypatch.setattr(model, "open_model", open_model)
    assert kmr_cli.check_batch_axis("m.keras", shapes="8,8", imports=["mine"]) == report()
    live = object()
    kmr_cli.check_batch_axis(live, {"x": 1})
    assert asked == [("m.keras", False, ["mine"]), (None, "8,8"), (live, True, ()), ({"x": 1}, None)]


def test_what_takes_a_model_takes_a_path_or_an_open_one():
    path, data = "digits_traced.pt", batch_of("digits_traced.pt")
    snapshot = HOME / "snapshots" / f"{path}.kmr.json"
    with kmr_cli.open_model(HOME / path) as model:
        assert kmr_cli.check_batch_axis(model, data).verdict == "pass"
        assert kmr_cli.compare_models(model, HOME / path, data).verdict == "pass"
    assert kmr_cli.compare_models(str(HOME / path), HOME / path, data).verdict == "pass"
    assert kmr_cli.compare_with_snapshot(HOME / path, snapshot, HOME / "digits.npz")[0].verdict == "pass"
