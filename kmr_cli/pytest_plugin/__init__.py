"""The pytest plugin: ``pytest --kmr-model PATH``, and the fixture ``kmr_model``.

pytest loads this module in every run, so it imports pytest alone; all else comes in with the first model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kmr_cli.pytest_plugin.guarded import GuardedModel

_MARKER = (
    "kmr_model(path, ..., imports=(), signature=None, tags=None, method=None, constants=None, trust=False): the model"
    " files, relative to rootdir, that the fixture kmr_model opens, one test for each"
)
UPDATED = "kmr-inspect wrote"
"""Name of the user property that tells, across processes, of a snapshot that a test wrote."""


class KmrWarning(pytest.PytestWarning):
    """A finding that is a warning. ``-W error::kmr_cli.pytest_plugin.KmrWarning`` makes it a failure."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options, and the settings that may stand in their place."""
    group = parser.getgroup("kmr-inspect", "kmr-inspect: do the samples of a batch mix, and did a model change?")
    add = group.addoption
    add("--kmr-model", dest="kmr_models", metavar="PATH", action="append", default=[],
        help="Model file to check: one test per layer and rule (repeatable).")  # fmt: skip
    add("--kmr-input", dest="kmr_inputs", metavar="[NAME=]FILE[:KEY]", action="append", default=[],
        help="The batch, samples along axis 0: .npy, .npz, .csv, .json, .h5, .parquet, .safetensors, an image or a"
        " folder of them (repeatable). Without it: synthetic data.")  # fmt: skip
    add("--kmr-input-from", dest="kmr_input_from", metavar="MODULE:FUNCTION", default=None,
        help="Get the batch from a function: an array, or a mapping from input names to arrays.")  # fmt: skip
    add("--kmr-rows", dest="kmr_rows", metavar="START:STOP", default=None,
        help="Only these samples of each file, as in 100:132.")  # fmt: skip
    add("--kmr-resize", dest="kmr_resize", metavar="HxW", default=None,
        help="Stretch images to H x W pixels, as in 224x224; 224x224:crop keeps their proportions.")  # fmt: skip
    add("--kmr-scale", dest="kmr_scale", metavar="LOW:HIGH", default=None,
        help="Map the values of images to LOW..HIGH, as in 0:1 or -1:1, or normalize them as for"
        " imagenet.")  # fmt: skip
    add("--kmr-batch-size", dest="kmr_batch_size", metavar="B", type=int, default=None,
        help="Size of the synthetic batch, or only the first B samples.")  # fmt: skip
    add("--kmr-batch-sizes", dest="kmr_batch_sizes", metavar="N,N,...", default=None,
        help="Batch sizes to try instead of those that the check chooses, as in 1,8,32,64.")  # fmt: skip
    add("--kmr-shape", dest="kmr_shapes", metavar="[NAME=]N,N,...[:DTYPE]", action="append", default=[],
        help="Shape of ONE sample, and its dtype, for synthetic data where the model does not declare them"
        " (repeatable).")  # fmt: skip
    add("--kmr-seed", dest="kmr_seed", metavar="N", type=int, default=None,
        help="Seed of the random data of a check (default: 0).")  # fmt: skip
    add("--kmr-training", dest="kmr_training", action="store_true", default=False,
        help="Check training mode.")  # fmt: skip
    add("--kmr-no-proof", dest="kmr_no_proof", action="store_true", default=False,
        help="Skip the proof by a model's graph; only run passes.")  # fmt: skip
    add("--kmr-mask-input", dest="kmr_mask_inputs", metavar="NAME[=VALUE]", action="append", default=[],
        help="Input that is a mask (=True: True is padding), or in which VALUE is padding (repeatable).")  # fmt: skip
    add("--kmr-import", dest="kmr_imports", metavar="MODULE", action="append", default=[],
        help="Import MODULE first, for custom layers (repeatable).")  # fmt: skip
    add("--kmr-constant", dest="kmr_constants", metavar="NAME=VALUE", action="append", default=[],
        help="Argument that is the same for the whole batch, as in sr=16000 (repeatable).")  # fmt: skip
    add("--kmr-method", dest="kmr_method", metavar="NAME", default=None,
        help="TorchScript: exported method to run in place of forward.")  # fmt: skip
    add("--kmr-signature", dest="kmr_signature", metavar="NAME", default=None,
        help="SavedModel: signature to run.")  # fmt: skip
    add("--kmr-tag", dest="kmr_tags", metavar="TAG", action="append", default=[],
        help="SavedModel: tag set to open (repeatable).")  # fmt: skip
    add("--kmr-allow-inconclusive", dest="kmr_allow_inconclusive", action="store_true", default=False,
        help="Skip, in place of a failure, where nothing is wrong but something could not be verified.")  # fmt: skip
    add("--kmr-trust", dest="kmr_trust", action="store_true", default=False,
        help="Load the models whatever a scan finds in them: you trust their authors.")  # fmt: skip
    add("--kmr-timeout", dest="kmr_timeout", metavar="SECONDS", type=float, default=None,
        help="Fail where reading a model, or running it, takes longer.")  # fmt: skip
    add("--kmr-memory", dest="kmr_memory", metavar="SIZE", default=None,
        help="Fail where a model's process holds more memory than SIZE, as in 4G.")  # fmt: skip
    add("--kmr-sandbox", dest="kmr_sandbox", choices=("offered", "required", "off"), default=None,
        help="Whether models run in a sandbox: where this machine offers one (default), always, never.")  # fmt: skip
    add("--kmr-all-methods", dest="kmr_all_methods", action="store_true", default=False,
        help="Check every exported method or signature of the models, not the usual one alone.")  # fmt: skip
    add("--kmr-snapshot", dest="kmr_snapshot", metavar="FILE", default=None,
        help="Compare with this snapshot too; a folder of them for several models.")  # fmt: skip
    add("--kmr-update", dest="kmr_update", action="store_true", default=False,
        help="Write snapshots that are missing or no longer match, instead of failing.")  # fmt: skip
    parser.addini("kmr_models", "Model files to check in every run that names no tests.", type="paths")
    parser.addini("kmr_inputs", "As --kmr-input, relative to rootdir, one per line.", type="linelist")
    parser.addini("kmr_input_from", "As --kmr-input-from.", default="")
    parser.addini("kmr_rows", "As --kmr-rows.", default="")
    parser.addini("kmr_resize", "As --kmr-resize.", default="")
    parser.addini("kmr_scale", "As --kmr-scale.", default="")
    parser.addini("kmr_shapes", "As --kmr-shape, one per line.", type="linelist")
    parser.addini("kmr_mask_inputs", "As --kmr-mask-input, one per line.", type="linelist")
    parser.addini("kmr_seed", "As --kmr-seed.", default="")
    parser.addini("kmr_training", "As --kmr-training.", type="bool", default=False)
    parser.addini("kmr_no_proof", "As --kmr-no-proof.", type="bool", default=False)
    parser.addini("kmr_batch_sizes", "As --kmr-batch-sizes.", default="")
    parser.addini("kmr_imports", "As --kmr-import, one per line.", type="linelist")
    parser.addini("kmr_batch_size", "As --kmr-batch-size.", default="")
    parser.addini("kmr_constants", "As --kmr-constant, one per line.", type="linelist")
    parser.addini("kmr_method", "As --kmr-method.", default="")
    parser.addini("kmr_signature", "As --kmr-signature.", default="")
    parser.addini("kmr_tags", "As --kmr-tag, one per line.", type="linelist")
    parser.addini("kmr_allow_inconclusive", "As --kmr-allow-inconclusive.", type="bool", default=False)
    parser.addini("kmr_trust", "As --kmr-trust.", type="bool", default=False)
    parser.addini("kmr_timeout", "As --kmr-timeout.", default="")
    parser.addini("kmr_memory", "As --kmr-memory.", default="")
    parser.addini("kmr_sandbox", "As --kmr-sandbox.", default="")
    parser.addini("kmr_all_methods", "As --kmr-all-methods.", type="bool", default=False)
    parser.addini("kmr_snapshot", "As --kmr-snapshot, relative to rootdir.", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Take up the models that are asked for, if any are."""
    config.addinivalue_line("markers", _MARKER)
    if config.getoption("kmr_models") or config.getini("kmr_models"):
        from kmr_cli.pytest_plugin.asked import asked_of
        from kmr_cli.pytest_plugin.items import ModelCollection

        config.pluginmanager.register(ModelCollection(asked_of(config)), "kmr_inspect_models")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each model that the marker or the command line names."""
    if "kmr_model" in metafunc.fixturenames:
        from kmr_cli.pytest_plugin.named import named_models

        named = named_models(metafunc.config, metafunc.definition)
        if named:
            metafunc.parametrize("kmr_model", named, indirect=True, ids=[one.title for one in named])


@pytest.fixture
def kmr_model(request: pytest.FixtureRequest) -> GuardedModel:
    """A saved model to ask questions: ``assert_batch_independent()``, ``assert_matches_snapshot()``, ``sample(...)``.

    It is the one that ``@pytest.mark.kmr_model("path")`` or ``pytest --kmr-model PATH`` names.
    """
    from kmr_cli.pytest_plugin.guarded import open_guarded

    return open_guarded(request)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which snapshots were written."""
    if not config.getoption("kmr_update"):
        return
    written = {
        str(value): None
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == UPDATED
    }
    terminalreporter.section("kmr-inspect: snapshots")
    for line in written:
        terminalreporter.write_line(f"wrote {line}")
    if not written:
        terminalreporter.write_line("all match; none was written")
