"""The pytest plugin, used as a project uses it: pytest runs pytest, on small ONNX models (a light runtime)."""

import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from onnx import helper
from zoo.onnx_models import constant, model, save, tensor, weights

# Loaded here, so that the runs inside this process do not load NumPy a second time.
from kmr_cli import open_model
from kmr_cli.api.compare import compare_with_snapshot, full_snapshot
from kmr_cli.api.model import Model
from kmr_cli.process import child, place
from kmr_cli.pytest_plugin import guarded, items  # noqa: F401
from kmr_cli.pytest_plugin.run import route
from kmr_cli.records import Finding
from kmr_cli.snapshot.read import load
from kmr_cli.snapshot.write import dump

pytest_plugins = ["pytester"]
SAMPLES = Path(__file__).parents[2] / "sample_models"
SHAPE = ("--kmr-shape", "6")
COUNTED = ("--kmr-import", "starts", "--kmr-sandbox", "off")
"""Every process that loads a model leaves a line in a file, which no sandbox would let it."""


def dense(layer, came, left, rows, columns, seed):
    """The node of a layer with weights, and these."""
    made = [weights(f"{layer}.w", rows, columns, seed=seed), weights(f"{layer}.b", columns, seed=seed + 9)]
    return helper.make_node("Gemm", [came, f"{layer}.w", f"{layer}.b"], [left], f"/{layer}/Gemm"), made


def net(kind, seed=0):
    """Three layers, the middle one of a given kind: (B, 6) -> (B, 3)."""
    enc, first = dense("enc", "x", "e", 6, 4, seed)
    head, last = dense("head", "m", "y", 4, 3, seed + 1)
    mix = {
        "relu": [helper.make_node("Relu", ["e"], ["m"], "/mix/Relu")],
        "centred": [
            helper.make_node("ReduceMean", ["e", "axes"], ["centre"], "/mix/ReduceMean"),
            helper.make_node("Sub", ["e", "centre"], ["m"], "/mix/Sub"),
        ],
        "noise": [
            helper.make_node("RandomUniformLike", ["e"], ["noise"], "/mix/RandomUniformLike"),
            helper.make_node("Add", ["e", "noise"], ["m"], "/mix/Add"),
        ],
    }[kind]
    used = [constant("axes", [0])] if kind == "centred" else []
    inputs, outputs = [tensor("x", ["batch", 6])], [tensor("y", ["batch", 3])]
    return model([enc, *mix, head], inputs, outputs, [*first, *last, *used])


def dead():
    """A dense layer with an operator that the proof has no rule for, and one that gives zero whatever comes in."""
    first, made = dense("0", "x", "e", 6, 4, 0)
    nodes = [
        first,
        helper.make_node("MeanVarianceNormalization", ["e"], ["v"], "/0/MeanVarianceNormalization", axes=[1]),
        helper.make_node("Abs", ["v"], ["a"], "/1/Abs"),
        helper.make_node("Neg", ["a"], ["n"], "/1/Neg"),
        helper.make_node("Relu", ["n"], ["y"], "/1/Relu"),
    ]
    return model(nodes, [tensor("x", ["batch", 6])], [tensor("y", ["batch", 4])], made)


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    nets = {"clean": net("relu"), "leaky": net("centred"), "noisy": net("noise"), "other": net("relu", seed=1)}
    for name, made in {**nets, "dead": dead()}.items():
        save(made, folder / f"{name}.onnx")
    (folder / "broken.onnx").write_bytes((folder / "clean.onnx").read_bytes()[:300])
    return folder


@pytest.fixture
def project(pytester, models):
    """A folder with every model, and a module that leaves a line in a file for every process that imports it."""
    for path in models.iterdir():
        pytester.path.joinpath(path.name).write_bytes(path.read_bytes())
    pytester.makepyfile(
        starts="""
        import os
        with open(os.path.join(os.path.dirname(__file__), "starts.txt"), "a") as file:
            file.write("started\\n")
        """
    )
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\nfilterwarnings = ['error']\n")
    return pytester


def starts(project):
    """How often a model was loaded by a run with ``--kmr-import starts``."""
    file = project.path / "starts.txt"
    return len(file.read_text().splitlines()) if file.exists() else 0


def ids(result):
    return [line for line in result.outlines if "::" in line and " " not in line]


def text_of(result):
    return "\n".join(result.outlines)


# -- items ---------------------------------------------------------------------------------------------------------


def test_a_clean_model_passes_everywhere_with_one_process(project):
    result = project.runpytest("--kmr-model", "clean.onnx", *SHAPE, *COUNTED, "-v")
    result.assert_outcomes(passed=46)  # four places with eleven rules, one of the model, and whether all was shown
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "kmr-inspect: clean.onnx on synthetic data",
            "clean.onnx::mix::KMR101 PASSED*",
            "clean.onnx::(model)::verified PASSED*",
        ]
    )
    assert starts(project) == 1


def test_each_model_is_checked_once_with_one_process_at_a_time(project, monkeypatch):
    others = set(child._children)  # what another test of this worker left open isn't a concern of this one
    alive, check = [], Model.check_batch_axis

    def own():  # what has only described a model runs none yet
        return sum(child.alive for child in set(child._children) - others - {place._spare._kept})

    def counted(model, *arguments, **options):
        alive.append(own())
        return check(model, *arguments, **options)

    monkeypatch.setattr(Model, "check_batch_axis", counted)
    both = ("--kmr-model", "clean.onnx", "--kmr-model", "other.onnx", *SHAPE)
    project.runpytest_inprocess(*both).assert_outcomes(passed=92)
    assert alive == [0, 0]  # one check for each, and the process of the first had ended before the second began
    assert not own()


def test_a_leak_fails_the_test_of_its_layer_alone(project):
    result = project.runpytest("--kmr-model", "leaky.onnx", *SHAPE, "-rA")
    result.assert_outcomes(passed=38, failed=1, skipped=7)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "_* leaky.onnx::mix::KMR101 cross-sample-leak _*",
            "error KMR101 cross-sample-leak at mix",
            "  samples: * depends on *",
            "  look: kmr-inspect sample leaky.onnx --layer mix --index * --shape 6",
            "FAILED leaky.onnx::mix::KMR101 - Failed: error KMR101*",
        ]
    )
    (moved,) = re.findall(r"samples: (\d+) depends on", text_of(result))[:1]
    assert f"--layer mix --index {moved} " in text_of(result)
    assert "kmr_cli" not in re.sub("kmr_cli[./]pytest_plugin", "", text_of(result))
    assert "Traceback" not in text_of(result)


def test_what_pyproject_allows_does_not_fail(project):
    project.makepyprojecttoml("[tool.kmr-inspect]\nallow = ['mix', 'head']\nignore = ['KMR3']\n")
    result = project.runpytest("--kmr-model", "leaky.onnx", *SHAPE, "-v")
    result.assert_outcomes(passed=27, skipped=7)
    assert "KMR301" not in text_of(result)


def test_what_is_not_shown_fails_or_is_skipped_and_never_passes(project):
    arguments = ("--kmr-model", "dead.onnx", *SHAPE, "-v", "-rs", "-W", "default::kmr_cli.pytest_plugin.KmrWarning")
    result = project.runpytest(*arguments)
    result.stdout.fnmatch_lines(["*KmrWarning: dead.onnx: warning KMR104 batch-axis-lost at the model itself"])
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(
        ["dead.onnx::(model)::verified FAILED*", "not verified: *", "hint:  --kmr-allow-inconclusive *"]
    )
    assert result.ret == 1
    allowed = project.runpytest(*arguments, "--kmr-allow-inconclusive")
    assert allowed.ret == 0
    allowed.stdout.fnmatch_lines(["dead.onnx::(model)::verified SKIPPED*", "SKIPPED * 1: not verified: *"])
    assert "dead.onnx::1::KMR101 PASSED" not in text_of(result)
    assert "dead.onnx::0::KMR101 PASSED" in text_of(result)


def test_what_is_not_shown_is_skipped_where_pyproject_accepts_it(project):
    arguments = ("--kmr-model", "dead.onnx", *SHAPE, "-k", "verified")
    for text, kind in (
        ("[tool.kmr-inspect]\nallow-inconclusive = true\n", "skipped"),
        ("[tool.kmr-inspect.models.'dead*']\nallow-inconclusive = true\n", "skipped"),
        (
            "[tool.kmr-inspect]\nallow-inconclusive = true\n"
            "[tool.kmr-inspect.models.'dead*']\nallow-inconclusive = false\n", "failed",
        ),
    ):  # fmt: skip
        project.makepyprojecttoml(text)
        assert project.runpytest(*arguments).parseoutcomes().keys() == {kind, "deselected"}


def test_a_warning_is_a_warning_of_pytest(project):
    warned = ("-W", "default::kmr_cli.pytest_plugin.KmrWarning")
    result = project.runpytest("--kmr-model", "noisy.onnx", *SHAPE, *warned, "--kmr-allow-inconclusive")
    assert "failed" not in result.parseoutcomes()
    result.stdout.fnmatch_lines(["*KmrWarning: noisy.onnx: warning KMR301 nondeterministic at mix"])
    strict = project.runpytest("--kmr-model", "noisy.onnx", *SHAPE, "-k", "KMR301")  # where every warning is an error
    strict.stdout.fnmatch_lines(["FAILED noisy.onnx::mix::KMR301*"])
    assert strict.ret == 1


def test_a_file_that_is_not_a_model_is_an_error_of_its_tests(project):
    result = project.runpytest("--kmr-model", "broken.onnx", *SHAPE)
    outcomes = result.parseoutcomes()
    assert outcomes["errors"] > 1
    assert "passed" not in outcomes
    result.stdout.fnmatch_lines(["error: *broken.onnx*", "hint:  *"])
    assert "Traceback" not in text_of(result)
    assert "During handling" not in text_of(result)


def test_a_shape_may_have_a_dtype(project):
    result = project.runpytest("--kmr-model", "clean.onnx", "--kmr-shape", "6:float32", "-k", "mix")
    assert result.parseoutcomes().keys() == {"passed", "deselected"}
    result = project.runpytest("--kmr-model", "clean.onnx", "--kmr-shape", "6:float64", "-k", "mix")
    assert result.parseoutcomes().keys() == {"errors", "deselected"}
    result.stdout.fnmatch_lines(["error: --kmr-shape x=6:float64 does not fit: the model declares dtype float32"])


def test_a_model_that_cannot_be_run_is_an_error_of_each_test(project):
    result = project.runpytest("--kmr-model", "clean.onnx", "--kmr-shape", "5", "-k", "mix")
    assert result.parseoutcomes().keys() == {"errors", "deselected"}
    result.stdout.fnmatch_lines(["error: *"])
    assert "During handling" not in text_of(result)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--kmr-model", "missing.onnx"), "*--kmr-model missing.onnx: no such file*"),
        (("--kmr-model", "clean.onnx", "--kmr-model", "missing.onnx", "-n", "2"), "*missing.onnx: no such file*"),
        (("--kmr-model", "clean.onnx", "--kmr-input", "x=missing.npy"), "*missing.npy: no such file*"),
        (("--kmr-model", "clean.onnx", "--kmr-shape", "six"), "*'six' is not a shape*"),
        (("--kmr-model", "clean.onnx", "--kmr-shape", "6:float"), "*'6:float' has an unknown dtype*"),
        (
            ("--kmr-model", "clean.onnx", "--kmr-model", "leaky.onnx", "--kmr-snapshot", "a.json"),
            "*one snapshot for 2*",
        ),
    ],
)
def test_a_slip_on_the_command_line_ends_the_run_at_once(project, arguments, message):
    project.makepyfile("def test_one(): pass")
    result = project.runpytest_inprocess(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("ignore = ['KMR']", "*leave no rule*"),
        ("ignore = ['KMR1', 'KMR2', 'KMR3']", "*leave no rule of check-batch-axis, so nothing would be checked*"),
        ("select = ['KMR9']", "*no rule starts with 'KMR9'*"),
        ("alow = []", "*unknown key 'alow'*"),
    ],
)
def test_settings_under_which_nothing_would_be_checked_end_the_run_at_once(project, settings, message):
    project.makepyprojecttoml(f"[tool.kmr-inspect]\n{settings}\n")
    result = project.runpytest("--kmr-model", "clean.onnx")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_a_selection_for_the_check_leaves_the_comparison_whole(project):
    arguments = ("--kmr-model", "clean.onnx", *SHAPE, "--kmr-snapshot", "clean.kmr.json", "--collect-only", "-q")
    project.makepyprojecttoml("[tool.kmr-inspect]\nselect = ['KMR101']\n")
    collected = project.runpytest(*arguments).stdout
    collected.fnmatch_lines(["*::KMR101", "*::KMR406", "*::verified", "*::compared"])
    collected.no_fnmatch_line("*::KMR102")
    project.makepyprojecttoml("[tool.kmr-inspect]\nignore = ['KMR4']\n")
    refused = project.runpytest(*arguments)
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["*no rule of compare, and --kmr-snapshot asks for it*"])


def test_rules_of_which_none_applies_to_the_model_are_not_pass(project):
    project.makepyprojecttoml("[tool.kmr-inspect]\nselect = ['KMR2']\n")  # masks, and the model has none
    result = project.runpytest("--kmr-model", "clean.onnx", *SHAPE)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*nothing is checked: no rule that select and ignore leave applies to this model*"])


def test_collecting_runs_no_model_and_k_chooses_layers_and_rules(project):
    both = ("--kmr-model", "clean.onnx", "--kmr-model", "leaky.onnx", *COUNTED, "--collect-only", "-q")
    every = ids(project.runpytest(*both))
    assert len(every) == len(set(every)) == 92
    chosen = ids(project.runpytest(*both, "-k", "mix and KMR10"))
    assert chosen == [f"{model}.onnx::mix::KMR10{n}" for model in ("clean", "leaky") for n in (1, 2, 3, 4, 5, 6, 8, 9)]
    assert ids(project.runpytest(*both[:2], "--collect-only", "-q", "clean.onnx::enc::KMR108")) == [
        "clean.onnx::enc::KMR108"
    ]
    assert starts(project) == 0


def test_models_of_the_ini_file_are_left_out_where_tests_are_named(project):
    project.makepyprojecttoml("[tool.pytest.ini_options]\nkmr_models = ['clean.onnx']\nkmr_shapes = ['6']\n")
    project.makepyfile(test_one="def test_one(): pass")
    named = ["test_one.py::test_one"]
    everything = ids(project.runpytest("--collect-only", "-q"))
    assert sorted(everything) != named
    assert len(everything) == 47
    assert ids(project.runpytest("--collect-only", "-q", "test_one.py")) == named
    assert len(ids(project.runpytest("--collect-only", "-q", "test_one.py", "--kmr-model", "clean.onnx"))) == 47
    project.runpytest_subprocess("-n", "1", "-p", "no:cacheprovider").assert_outcomes(passed=47)


def test_hostile_names_of_layers_make_harmless_and_distinct_ids(project):
    names = [
        "a::b",
        "a::()\n[x]",
        "\x1b[31mred",
        "(model)",
        "é",
        "x" * 300 + "1" + "x" * 300,
        "x" * 300 + "2" + "x" * 300,
    ]
    old = ["conv1", "bn1", "conv2", "pool", "flatten", "dropout", "head"]
    with zipfile.ZipFile(SAMPLES / "digits.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = members["config.json"].decode()
    for before, after in zip(old, names, strict=True):
        quoted = after.encode("unicode_escape").decode().replace("\\x1b", "\\u001b").replace("\\xe9", "\\u00e9")
        config = config.replace(f'"{before}"', f'"{quoted}"')
    members["config.json"] = config.encode()
    with zipfile.ZipFile(project.path / "hostile.keras", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    result = project.runpytest("--kmr-model", "hostile.keras", "--collect-only", "-q", "-k", "KMR101")
    found = [line for line in result.outlines if line.startswith("hostile.keras::")]
    assert result.ret == 0
    assert len(set(found)) == 9  # the seven, the input and the model itself
    assert all(line.endswith("::KMR101") and line.count("::") == 2 and line.isprintable() for line in found)
    assert "hostile.keras::(model)~2::KMR101" in found


def test_workers_of_xdist_run_each_model_once_where_its_tests_stay_together(project):
    both = ("--kmr-model", "clean.onnx", "--kmr-model", "leaky.onnx", *SHAPE, *COUNTED)
    result = project.runpytest_subprocess(*both, "-n", "2", "--dist", "loadfile")
    result.assert_outcomes(passed=84, failed=1, skipped=7)
    assert starts(project) == 2
    result = project.runpytest_subprocess(*both[:2], *both[4:], "-n", "2")
    result.assert_outcomes(passed=46)
    assert 3 <= starts(project) <= 4  # no worker runs it twice


def test_tests_of_one_model_are_one_group_of_xdist(project):
    collected, _ = project.inline_genitems("--kmr-model", "clean.onnx")
    groups = {mark.kwargs["name"] for item in collected for mark in item.iter_markers("xdist_group")}
    assert groups == {"clean.onnx"}


# -- a finding finds its test ----------------------------------------------------------------------------------------


def finding(rule, layer, severity="error"):
    return Finding(rule, severity, layer, 0, "out0", "m")


def test_every_finding_goes_to_one_test():
    places = {"block": ("KMR101",), "block/inner": ("KMR108",), "": ("KMR101", "KMR401")}
    found = [
        finding("KMR101", "block"),
        finding("KMR101", "block/inner/deep"),  # no test of its own, and its parent has none for this rule
        finding("KMR108", "block/inner/deep"),
        finding("KMR401", "gone/away"),
        finding("KMR999", "block"),
        finding("KMR101", "block", "note"),
    ]
    routed = route(found, places, "/")
    assert routed == {
        ("block", "KMR101"): (found[0], found[1]),
        ("block/inner", "KMR108"): (found[2],),
        ("", "KMR401"): (found[3],),
        ("", ""): (found[4],),
    }


# -- the fixture -----------------------------------------------------------------------------------------------------


def test_the_fixture_takes_models_of_markers_parameters_and_the_command_line(project):
    project.makepyfile(
        """
        import pytest

        @pytest.mark.kmr_model("clean.onnx", "leaky.onnx")
        def test_marker(kmr_model):
            assert kmr_model.path.is_absolute()
            assert [layer.path for layer in kmr_model.model.layers] == ["enc", "mix", "head"]

        @pytest.mark.parametrize("n", [pytest.param(1, marks=pytest.mark.kmr_model("leaky.onnx"))])
        def test_parameter(kmr_model, n):
            assert kmr_model.path.name == "leaky.onnx"

        def test_option(kmr_model):
            assert kmr_model.path.name == "other.onnx"

        def test_late(request):
            assert request.getfixturevalue("kmr_model").path.name == "other.onnx"

        @pytest.mark.kmr_model("missing.onnx")
        def test_missing(kmr_model):
            pass
        """
    )
    result = project.runpytest("--kmr-model", "other.onnx", "-v", "-k", "test_")
    result.assert_outcomes(passed=5, errors=1, deselected=46)
    result.stdout.fnmatch_lines(
        ["*::test_marker?clean.onnx? PASSED*", "*::test_marker?leaky.onnx? PASSED*", "*::test_parameter?1? PASSED*",
         "*::test_option?other.onnx? PASSED*", "error: *missing.onnx: no such file*"]
    )  # fmt: skip
    without = project.runpytest("-k", "test_option")
    without.assert_outcomes(errors=1, deselected=5)
    without.stdout.fnmatch_lines(["kmr_model: no model is named", "hint:  name it with @pytest.mark.kmr_model*"])


def test_independence_is_asserted_in_the_words_of_the_command(project):
    project.makepyfile(
        """
        import numpy, pytest
        rows = numpy.random.default_rng(0).normal(size=(5, 6)).astype("float32")

        @pytest.mark.kmr_model("clean.onnx")
        def test_clean(kmr_model):
            assert kmr_model.assert_batch_independent(shapes={None: (6,)}).verdict == "pass"
            assert kmr_model.sample("mix", 1, rows)[0].value.shape == (4,)

        @pytest.mark.kmr_model("leaky.onnx")
        def test_leaky(kmr_model):
            kmr_model.assert_batch_independent(rows, allow=["mix", "head"])
            kmr_model.assert_batch_independent(rows, ignore=["KMR101"])
            kmr_model.assert_batch_independent(rows)

        @pytest.mark.kmr_model("dead.onnx")
        def test_dead(kmr_model):
            assert kmr_model.assert_batch_independent(rows, inconclusive_ok=True).verdict == "inconclusive"
            kmr_model.assert_batch_independent(rows)

        @pytest.mark.kmr_model("dead.onnx")
        def test_dead_as_before(kmr_model):
            with pytest.warns(DeprecationWarning, match="unproven_ok is now called inconclusive_ok") as caught:
                kmr_model.assert_batch_independent(rows, unproven_ok=True)
            assert caught[0].filename == __file__
            with pytest.warns(DeprecationWarning), pytest.raises(AssertionError, match="inconclusive"):
                kmr_model.assert_batch_independent(rows, unproven_ok=False)

        @pytest.mark.kmr_model("allowed.onnx")
        def test_dead_where_the_project_accepts_it(kmr_model):
            kmr_model.assert_batch_independent(rows)
            with pytest.raises(AssertionError, match="inconclusive"):
                kmr_model.assert_batch_independent(rows, inconclusive_ok=False)

        @pytest.mark.kmr_model("clean.onnx")
        def test_misfit(kmr_model):
            kmr_model.assert_batch_independent(rows[:, :5])
        """
    )
    (project.path / "allowed.onnx").write_bytes((project.path / "dead.onnx").read_bytes())
    project.makepyprojecttoml("[tool.kmr-inspect.models.'allowed.onnx']\nallow-inconclusive = true\n")
    result = project.runpytest()
    result.assert_outcomes(passed=3, failed=3)
    result.stdout.fnmatch_lines(
        [
            ">       kmr_model.assert_batch_independent(rows)",
            "E       AssertionError: leaky.onnx",
            "E       fail: samples of a batch change each other",
            "E       error KMR101 cross-sample-leak at mix",
            "E       AssertionError: dead.onnx",
            "E       inconclusive: not everything could be verified",
            "E       Failed: error: input 'x': expected shape (batch, 6)*",
        ]
    )
    assert "pytest_plugin" not in text_of(result)  # no frame of ours
    assert "During handling" not in text_of(result)


SNAPSHOT = """
import pytest

@pytest.mark.kmr_model("clean.onnx")
def test_snapshot(kmr_model):
    kmr_model.assert_matches_snapshot({arguments}shapes={{None: (6,)}})
"""


def test_a_snapshot_is_missing_then_written_then_matched_then_not_then_written_again(project):
    project.makepyfile(SNAPSHOT.format(arguments=""))
    snapshot = project.path / "clean.onnx.kmr.json"
    missing = project.runpytest()
    missing.assert_outcomes(failed=1)
    missing.stdout.fnmatch_lines(
        [
            "E       AssertionError: clean.onnx.kmr.json: no such snapshot",
            "E       hint:  pytest *::test_snapshot?clean.onnx?? --kmr-update, or kmr-inspect snapshot clean.onnx"
            " --shape 6 -o clean.onnx.kmr.json",
        ]
    )
    assert not snapshot.exists()
    written = project.runpytest_subprocess("--kmr-update", "-n", "1")
    written.assert_outcomes(passed=1)
    written.stdout.fnmatch_lines(["wrote clean.onnx.kmr.json (new)"])
    first = snapshot.read_text()
    project.runpytest().assert_outcomes(passed=1)
    again = project.runpytest("--kmr-update")
    again.stdout.fnmatch_lines(["all match; none was written"])
    assert snapshot.read_text() == first

    project.path.joinpath("clean.onnx").write_bytes(project.path.joinpath("other.onnx").read_bytes())
    changed = project.runpytest()
    changed.assert_outcomes(failed=1)
    changed.stdout.fnmatch_lines(
        [
            "E       AssertionError: clean.onnx against clean.onnx.kmr.json",
            "E       fail: the model differs from the baseline",
            "E       error KMR406 values-changed at enc",
        ]
    )
    assert "pytest_plugin" not in text_of(changed)
    rewritten = project.runpytest("--kmr-update")
    rewritten.stdout.fnmatch_lines(["wrote clean.onnx.kmr.json (changed: KMR406)"])
    assert snapshot.read_text() != first
    project.runpytest().assert_outcomes(passed=1)


def test_update_takes_other_data_and_keeps_whole_tensors_in_step(project):
    snapshot, tensors = project.path / "clean.onnx.kmr.json", project.path / "clean.onnx.kmr.h5"
    with open_model(project.path / "clean.onnx") as model, full_snapshot(model, shapes={None: (6,)}) as (taken, write):
        snapshot.write_text(dump(taken))
        write(tensors)
    before = tensors.read_bytes()
    project.makepyfile(
        SNAPSHOT.format(arguments="batch={'x': __import__('numpy').ones((4, 6), 'float32')}, ").replace(
            "shapes={None: (6,)}", ""
        )
    )
    refused = project.runpytest()
    refused.stdout.fnmatch_lines(["E       Failed: error: *was taken on synthetic data"])
    written = project.runpytest("--kmr-update")
    written.stdout.fnmatch_lines(["wrote clean.onnx.kmr.json (changed: taken on other data)"])
    assert tensors.read_bytes() != before
    project.runpytest().assert_outcomes(passed=1)
    with open_model(project.path / "clean.onnx") as model:
        found, _ = compare_with_snapshot(model, snapshot, {"x": np.ones((4, 6), "float32")})
    assert found.exact


@pytest.mark.parametrize(("rows", "size"), [(20, 5), (3, 3)], ids=["enough", "fewer"])
def test_update_keeps_the_batch_size_where_the_data_allows(project, rows, size):
    snapshot = project.path / "clean.onnx.kmr.json"
    with open_model(project.path / "clean.onnx") as model:
        snapshot.write_text(dump(model.snapshot(None, size=5, shapes={None: (6,)})))
    batch = f"batch={{'x': __import__('numpy').ones(({rows}, 6), 'float32')}}, "
    project.makepyfile(SNAPSHOT.format(arguments=batch).replace("shapes={None: (6,)}", ""))
    project.runpytest("--kmr-update").assert_outcomes(passed=1)
    assert load(snapshot).size == size


def test_update_writes_over_nothing_but_snapshots(project):
    project.makepyfile(SNAPSHOT.format(arguments="'settings.json', "))
    settings = project.path / "settings.json"
    settings.write_text("{}")
    result = project.runpytest("--kmr-update")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E       Failed: error: *settings.json: not a snapshot"])
    assert settings.read_text() == "{}"


def test_update_never_writes_over_the_model(project):
    model, snapshot = project.path / "clean.onnx", project.path / "clean.json"
    before = model.read_bytes()
    with open_model(model) as opened:
        snapshot.write_text(dump(opened.snapshot(None, size=5, shapes={None: (6,)})))
    (project.path / "clean.h5").symlink_to("clean.onnx")  # here the whole tensors of clean.json would lie
    batch = "'clean.json', batch={'x': __import__('numpy').ones((5, 6), 'float32')}, "
    project.makepyfile(SNAPSHOT.format(arguments=batch).replace("shapes={None: (6,)}", ""))
    result = project.runpytest("--kmr-update")
    assert model.read_bytes() == before
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E       Failed: error: *clean.h5: is the model itself*"])


def test_rules_of_a_layer_whose_values_were_not_compared_are_skipped(project):
    arguments = ("--kmr-model", "clean.onnx", *SHAPE, "--kmr-snapshot", "clean.kmr.json", "-k", "KMR4 and enc")
    project.runpytest(*arguments, "--kmr-update")
    project.makeconftest(
        """
        from dataclasses import replace
        from kmr_cli.pytest_plugin import run

        def without_enc(*arguments, original=run.match_snapshot, **options):
            found = original(*arguments, **options)
            layers = tuple(layer for layer in found.comparison.layers if layer != "enc")
            assert layers != found.comparison.layers
            return replace(found, comparison=replace(found.comparison, layers=layers))

        run.match_snapshot = without_enc
        """
    )
    result = project.runpytest_subprocess(*arguments, "-rs")
    assert result.parseoutcomes().keys() == {"skipped", "deselected"}
    result.stdout.fnmatch_lines(["SKIPPED*enc: not examined: *its values could not be compared"])


def test_tests_of_a_model_include_the_rules_of_its_snapshot(project):
    arguments = ("--kmr-model", "clean.onnx", *SHAPE, "--kmr-snapshot", "clean.kmr.json", "-k", "KMR4 or compared")
    missing = project.runpytest(*arguments)
    assert missing.parseoutcomes().keys() == {"errors", "deselected"}
    missing.stdout.fnmatch_lines(
        ["error: *clean.kmr.json: no such file*", "hint:  make one first: kmr-inspect snapshot*"]
    )
    written = project.runpytest(*arguments, "--kmr-update")
    written.stdout.fnmatch_lines(["wrote clean.kmr.json (new)"])
    written.assert_outcomes(skipped=27, deselected=46)  # nothing was compared yet
    same = project.runpytest(*arguments)
    same.assert_outcomes(passed=27, deselected=46)  # four places with six rules, two of the model, whether all was
    project.path.joinpath("clean.onnx").write_bytes(project.path.joinpath("other.onnx").read_bytes())
    changed = project.runpytest(*arguments, "-rf")
    changed.stdout.fnmatch_lines(["error KMR406 values-changed at enc", "FAILED clean.onnx::enc::KMR406 - *"])
    assert changed.parseoutcomes()["failed"] == 1
    project.path.joinpath("clean.onnx").write_bytes(project.path.joinpath("dead.onnx").read_bytes())
    rebuilt = project.runpytest(*arguments, "-rs")
    rebuilt.stdout.fnmatch_lines(["error KMR401 layers-changed at head"])  # it is gone: told by the model's own test
    assert rebuilt.parseoutcomes()["failed"] >= 1


def test_a_layer_behind_the_one_that_mixes_is_skipped_and_does_not_pass(project):
    result = project.runpytest("--kmr-model", "leaky.onnx", *SHAPE, "-k", "KMR101", "-rs")
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(["SKIPPED*head: not verified: its samples are mixed, which begins at another layer"])


# -- unused ----------------------------------------------------------------------------------------------------------


def test_unused_it_imports_nothing_but_itself(pytester):
    pytester.makeconftest(
        """
        import sys
        def pytest_sessionfinish():
            ours = sorted(name for name in sys.modules if name.startswith("kmr_cli"))
            heavy = sorted({"numpy", "click", "rich", "h5py", "google.protobuf", "torch", "keras"} & set(sys.modules))
            print("\\nLOADED", ours, heavy)
        """
    )
    pytester.makepyfile("def test_one(): pass")
    result = pytester.runpytest_subprocess("-s", "-p", "no:zarr")  # whose plugin imports NumPy
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["LOADED ['kmr_cli', 'kmr_cli.pytest_plugin', 'kmr_cli.version'] []"])


def test_the_module_imports_pytest_alone():
    script = (
        "import sys, pytest; before = set(sys.modules); import kmr_cli.pytest_plugin;"
        "print(sorted(name for name in set(sys.modules) - before if name.split('.')[0] not in sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['kmr_cli', 'kmr_cli.pytest_plugin', 'kmr_cli.version']"


def test_help_has_a_group_of_its_own(pytester):
    text = text_of(pytester.runpytest("--help"))
    group = text.split("kmr-inspect: do the samples of a batch mix", 1)[1].split("\n\n")[0]
    for option in ("model", "input", "batch-size", "shape", "mask-input", "import", "snapshot", "update",
                   "constant", "method", "signature", "tag", "all-methods"):  # fmt: skip
        assert f"--kmr-{option}" in group
    assert "kmr_models" in text


def test_it_can_be_switched_off(project):
    project.makepyfile("def test_one(kmr_model): pass")
    result = project.runpytest_subprocess("-p", "no:kmr_inspect", "--kmr-model", "clean.onnx")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    project.runpytest_subprocess("-p", "no:kmr_inspect").stdout.fnmatch_lines(["*fixture 'kmr_model' not found*"])


def test_what_the_verdict_rests_on_stands_in_pytests_junit(project):
    project.makepyfile(
        """
        import pytest

        @pytest.mark.kmr_model("clean.onnx")
        def test_one(kmr_model):
            kmr_model.assert_batch_independent(shapes={None: (6,)}, ignore=["KMR303"])
        """
    )
    chosen = ("--kmr-model", "clean.onnx", *SHAPE, "-k", "verified or test_one")
    project.runpytest_inprocess(*chosen, "--junitxml", "out.xml").assert_outcomes(passed=2)
    for case in ET.parse(project.path / "out.xml").iter("testcase"):
        told = {one.get("name"): one.get("value") for one in case.iter("property")}
        digest = hashlib.sha256((project.path / "clean.onnx").read_bytes()).hexdigest()
        assert told["kmr-inspect model"] == f"clean.onnx sha256 {digest}"
        assert told["kmr-inspect examined"].endswith(", on synthetic data")
        assert "onnxruntime" in told["kmr-inspect versions"]
        assert ("ignore KMR303" in told.get("kmr-inspect policy", "")) == case.get("name").startswith("test_one")


def test_what_the_project_says_of_a_model_holds_for_its_tests_and_for_the_fixture(project):
    project.makepyprojecttoml(
        """
        [tool.kmr-inspect.models."c*.onnx"]
        shape = "6"
        batch-sizes = [2, 5]
        """
    )
    project.makepyfile(
        """
        import pytest

        @pytest.mark.kmr_model("clean.onnx")
        def test_one(kmr_model):
            assert set(kmr_model.assert_batch_independent(ignore=["KMR303"]).batch_sizes) == {7, 2, 5}
        """
    )
    project.runpytest_inprocess("--kmr-model", "clean.onnx", "-k", "verified or test_one", "--junitxml", "out.xml")
    for case in ET.parse(project.path / "out.xml").iter("testcase"):
        told = {one.get("name"): one.get("value") for one in case.iter("property")}
        assert told["kmr-inspect batch sizes"] == "7, 2, 5"
