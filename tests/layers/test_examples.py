"""The examples in the docstrings, and what is promised about importing the layers."""

import doctest
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from kmr_cli import layers


def module_name(name):
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).removeprefix("_")


@pytest.mark.parametrize("name", layers.__all__)
def test_the_example_of_every_layer_runs(name):
    module = importlib.import_module(f"kmr_cli.layers.{module_name(name)}")
    found = doctest.DocTestFinder(recurse=False).find(getattr(layers, name), globs=vars(module).copy())
    assert sum(len(test.examples) for test in found) >= 2
    said = []
    failed = [doctest.DocTestRunner().run(test, out=said.append).failed for test in found]
    assert sum(failed) == 0, "".join(said)


@pytest.mark.parametrize("name", layers.__all__)
def test_every_layer_is_described(name):
    kind = getattr(layers, name)
    text = inspect.getdoc(kind)
    for heading in ("Input shape:", "Output shape:", "Args:", "Raises:", "Example:"):
        assert f"\n{heading}\n" in text, heading
    for argument in inspect.signature(kind.__init__).parameters:
        assert argument == "self" or f"{argument}: " in text or f"**{argument}: " in text, argument


@pytest.mark.parametrize("name", layers.__all__)
def test_every_layer_has_a_file_of_its_own_and_a_registered_name(name):
    kind = getattr(layers, name)
    assert kind.__module__ == f"kmr_cli.layers.{module_name(name)}"
    assert keras.saving.get_registered_name(kind) == f"kmr.layers>{name}"
    assert keras.saving.get_registered_object(f"kmr.layers>{name}") is kind


def test_the_layers_are_backend_neutral():
    folder = Path(layers.__file__).parent
    for path in folder.glob("*.py"):
        text = path.read_text()
        assert not any(
            f"{word} {name}" in text for word in ("import", "from") for name in ("tensorflow", "torch", "jax")
        )


def test_the_package_itself_does_not_import_them():
    script = "import sys, kmr_cli; print(sorted({'keras', 'kmr_cli.layers'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert run.stdout.strip() == "[]"
