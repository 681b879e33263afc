"""Live objects: who takes them, and what is said of those that nobody takes."""

import pytest
import torch
from zoo import toy_format, toys
from zoo.torchscript import script

from kmr_cli import open_model
from kmr_cli.errors import KmrError
from kmr_cli.formats import conformance, live, plugins
from kmr_cli.formats.facts import frameworks, same_family, sorts_outputs, title, without_inputs


class Eager(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = torch.nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(x)


def test_an_eager_module_opens_in_this_process_and_nowhere_else():
    with open_model(Eager(), in_process=True) as model:
        assert [layer.path for layer in model.layers] == ["dense"]
    with pytest.raises(KmrError, match="a live Eager cannot be sent to another process") as caught:
        open_model(Eager())
    assert caught.value.hint == "open_model(model, in_process=True), or save it and give its path"


def test_a_scripted_module_opens():
    with open_model(script(Eager()), in_process=True) as model:
        assert [layer.path for layer in model.layers] == ["dense"]


def test_what_is_not_a_model_at_all():
    with pytest.raises(KmrError, match="a dict isn't a model") as caught:
        open_model({"a": 1}, in_process=True)
    assert caught.value.hint == "give a path, a keras.Model, a torch.jit.ScriptModule or a torch.nn.Module"
    assert live.refusal({"a": 1}) is None


@pytest.fixture
def with_toy(monkeypatch):
    found = plugins.Installed((toy_format,), ())
    monkeypatch.setattr(plugins, "installed", lambda: found)
    monkeypatch.setattr(plugins, "met", lambda: found.formats)


def test_formats_of_other_distributions_take_theirs(with_toy, tmp_path):
    from zoo.toy_format.run.model import load

    model = load(toys.save(tmp_path / "m.toy", toys.graph(), toys.weights()))
    found, session = live.adopt(model)
    assert found is toy_format
    assert live.describe_live(found, session).separator == ":"
    with pytest.raises(KmrError) as caught:
        live.adopt([])
    assert caught.value.hint == "give a path, a keras.Model, a torch.jit.ScriptModule, a torch.nn.Module or a ToyModel"


def test_facts_by_name(with_toy, monkeypatch):
    assert (title("toy"), title("unheard of")) == ("Toy archive", "unheard of")
    assert same_family("keras", "h5")
    assert same_family("unheard of", "unheard of")
    assert not same_family("toy", "keras")
    assert sorts_outputs("savedmodel")
    assert not sorts_outputs("toy")
    assert without_inputs("h5") == without_inputs("keras") != without_inputs("toy") is None
    monkeypatch.setattr(toy_format, "FRAMEWORKS", ("toy_engine",))
    assert "toy_engine" in frameworks()


def test_the_kit_imports_no_pytest():
    import subprocess
    import sys

    script = f"import sys, {conformance.__name__}; print('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "False\n"
