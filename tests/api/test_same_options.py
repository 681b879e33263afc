"""What can be said to ``kmr-inspect check-batch-axis`` can be said in Python, to pytest and in ``pyproject.toml``.

Every option stands here once, with its name in each place, or with why it has none there: an option that is added is
missing here until that is decided.
"""

import inspect

import pytest

from kmr_cli import InputFiles, InputFunction, Policy, check_batch_axis
from kmr_cli.cli.check_batch_axis import command
from kmr_cli.config.per_model import ModelSettings
from kmr_cli.config.pyproject import Settings
from kmr_cli.pytest_plugin import pytest_addoption

IN_SETTINGS = "pytest reads it from pyproject.toml"
OF_A_RUN = "not a matter of a project, but of one run or of one model"
OF_A_REPORT = "Python and pytest have the report itself"
OPTIONS = {  # parameter of the command: in Python, in pytest, in [tool.kmr-inspect] or [tool.kmr-inspect.models]
    "models": ("model", "--kmr-model", OF_A_RUN),
    "inputs": ("batch", "--kmr-input", "input"),
    "input_from": ("InputFunction.name", "--kmr-input-from", "input-from"),
    "rows": ("InputFiles.rows", "--kmr-rows", "rows"),
    "resize": ("InputFiles.resize", "--kmr-resize", "resize"),
    "scale": ("InputFiles.scale", "--kmr-scale", "scale"),
    "batch_size": ("size", "--kmr-batch-size", OF_A_RUN),
    "shapes": ("shapes", "--kmr-shape", "shape"),
    "seed": ("seed", "--kmr-seed", OF_A_RUN),
    "select": ("policy.select", IN_SETTINGS, "select"),
    "ignore": ("policy.ignore", IN_SETTINGS, "ignore"),
    "allow": ("policy.allow", IN_SETTINGS, "allow"),
    "allow_outputs": ("policy.allow_outputs", IN_SETTINGS, "allow-output"),
    "masks": ("policy.masks", "--kmr-mask-input", "mask-input"),
    "sizes": ("batch_sizes", "--kmr-batch-sizes", "batch-sizes"),
    "training": ("training", "--kmr-training", OF_A_RUN),
    "no_proof": ("proof", "--kmr-no-proof", OF_A_RUN),
    "imports": ("imports", "--kmr-import", OF_A_RUN),
    "signature": ("signature", "--kmr-signature", OF_A_RUN),
    "tags": ("tags", "--kmr-tag", OF_A_RUN),
    "method": ("method", "--kmr-method", OF_A_RUN),
    "constants": ("constants", "--kmr-constant", OF_A_RUN),
    "trust": ("trust", "--kmr-trust", "trust"),
    "timeout": ("timeout", "--kmr-timeout", "timeout"),
    "memory": ("memory", "--kmr-memory", "memory"),
    "sandbox": ("sandbox", "--kmr-sandbox", "sandbox"),
    "all_methods": ("a call of a function has one report", "--kmr-all-methods", OF_A_RUN),
    "proof_only": ("Model.check_by_proof() runs nothing", "a test of a model runs it", OF_A_RUN),
    "certificate": ("of the command alone", OF_A_REPORT, OF_A_RUN),
    "layer_class": ("a live layer is a model", "a test gives it to check_batch_axis()", OF_A_RUN),
    "constructor": ("a live layer is a model", "a test gives it to check_batch_axis()", OF_A_RUN),
    "jobs": ("one model a call", "pytest-xdist has -n", OF_A_RUN),
    "allow_inconclusive": ("policy.allow_inconclusive", "--kmr-allow-inconclusive", "allow-inconclusive"),
    "strict": (OF_A_REPORT, "what is inconclusive fails there", OF_A_RUN),
    "format_": (OF_A_REPORT, OF_A_REPORT, OF_A_RUN),
    "output": (OF_A_REPORT, OF_A_REPORT, OF_A_RUN),
    "force": (OF_A_REPORT, OF_A_REPORT, OF_A_RUN),
    "debug": ("an exception has its traceback", "pytest shows tracebacks", OF_A_RUN),
}
ONLY_IN_PYTHON = {"policy", "custom_objects"}
"""The first holds what stands above as ``policy.…``; the second are objects of Python. What is ``InputFiles.…`` and
``InputFunction.…`` above is given as the batch."""
ONLY_IN_PYTEST = {"--kmr-snapshot", "--kmr-update"}
"""Of ``compare``."""
ONLY_IN_SETTINGS = {"tolerance", "models"}
"""Of ``compare``, and the table of what is said of single models."""


def names(column):
    return {entry[column] for entry in OPTIONS.values() if " " not in entry[column]}


def test_every_option_of_the_command_stands_here():
    assert {parameter.name for parameter in command.params} - {"help"} == set(OPTIONS)


def test_in_python():
    policy = {f"policy.{name}" for name in Policy.__dataclass_fields__} - {"policy.batch_sizes"}
    reading = {f"InputFiles.{name}" for name in inspect.signature(InputFiles).parameters} - {"InputFiles.files"}
    reading |= {f"InputFunction.{name}" for name in InputFunction.__dataclass_fields__}
    assert {*inspect.signature(check_batch_axis).parameters} - ONLY_IN_PYTHON | policy | reading == names(0)


def test_in_pytest():
    parser = pytest.Parser(_ispytest=True)
    pytest_addoption(parser)
    (group,) = [group for group in parser._groups if group.name == "kmr-inspect"]
    options = {option.names()[0] for option in group.options}
    assert options - ONLY_IN_PYTEST == names(1)
    plural = {"model", "input", "shape", "mask-input", "import", "constant", "tag"}
    asked = {option.removeprefix("--kmr-") for option in options} - {"update"}
    expected = {"kmr_" + name.replace("-", "_") + ("s" if name in plural else "") for name in asked}
    assert {name for name in parser._inidict if name.startswith("kmr_")} == expected


def test_in_settings():
    known = {*Settings.__dataclass_fields__, *ModelSettings.__dataclass_fields__}
    assert {name.replace("_", "-") for name in known} - ONLY_IN_SETTINGS == names(2)
