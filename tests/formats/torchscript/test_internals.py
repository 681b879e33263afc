"""The private interfaces of torch that taps rest on. If this file fails, torch has changed them.

All of them are used in ``kmr_cli/formats/torchscript/instrument.py`` and nowhere else.
"""

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from zoo import torchscript as zoo

from kmr_cli.errors import ModelLoadError
from kmr_cli.formats import torchscript
from kmr_cli.formats.interface import OpenOptions, Taps
from kmr_cli.formats.torchscript.run import instrument

HERE = Path(inspect.getfile(torchscript)).parent
NAMES = {
    torch._C.Graph: ["nodes", "inputs", "create"],
    torch._C.Node: [
        "kind", "inputs", "outputs", "output", "blocks", "s", "s_", "g", "insertBefore", "insertAfter", "addInput",
    ],
    torch._C.Value: ["debugName", "node", "type", "setType"],
    torch._C.Block: ["nodes"],
    torch._C.Type: ["kind", "containedTypes", "is_interface_type"],
    torch._C.ClassType: ["qualified_name"],
    torch._C.TupleType: ["elements"],
    torch._C.FutureType: ["getElementType"],
    torch._C.CompilationUnit: ["get_functions"],
    torch._C.ScriptModule: ["_type", "_get_method"],
    torch._C: ["import_ir_module", "import_ir_module_from_buffer", "ModuleDict", "StringType", "AnyType", "ListType"],
}  # fmt: skip


@pytest.mark.parametrize(("owner", "names"), NAMES.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_private_names_exist(owner, names):
    assert [name for name in names if not hasattr(owner, name)] == []


def test_they_are_in_one_file():
    """No other file of the package reaches into torch."""
    found = {}
    for path in sorted(HERE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            private = isinstance(node, ast.Attribute) and node.attr in ("_C", "_c", "_recursive")
            if private or (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch.jit._")):
                found.setdefault(path.name, []).append(node.lineno)
    assert list(found) == ["instrument.py"]


def graph_of(made, tmp_path):
    loaded = instrument.Loaded(str(zoo.save(made.module, tmp_path / "m.pt")))
    loaded.instrument(operators=False)
    return loaded, loaded.module._c._get_method("forward").graph


def test_rewritten_graphs_are_valid(tmp_path):
    """The shape of what is inserted: an enter with its arguments and a leave with its results around every call."""
    for name in ("scripted_cnn", "containers", "forking", "structures", "interface_list"):
        _, graph = graph_of(zoo.MODELS[name](), tmp_path)
        torch._C._jit_pass_lint(graph)
        kinds = [node.kind() for node in graph.nodes()]
        calls = kinds.count("prim::CallMethod")
        assert calls
        assert kinds.count("kmr::leave") == calls
        assert sum(kind.startswith("kmr::enter") for kind in kinds) == calls


def test_operators_count_as_having_side_effects(tmp_path):
    """Dead-code elimination must leave them, although nobody uses what they return."""
    _, graph = graph_of(zoo.scripted_cnn(), tmp_path)
    before = str(graph).count("kmr::")
    torch._C._jit_pass_dce(graph)
    torch._C._jit_pass_cse(graph)
    torch._C._jit_pass_inline(graph)
    assert before
    assert str(graph).count("kmr::") >= before


def test_a_handle_of_a_module_hashes_by_identity(tmp_path):
    loaded, _ = graph_of(zoo.containers(), tmp_path)
    paths = loaded.modules_by_identity()
    modules = dict(loaded.module.named_modules())
    assert paths[hash(modules["blocks.1.fc"]._c)] == "blocks.1.fc"
    assert set(paths.values()) == modules.keys() - {""}


def test_loading_twice_shares_no_graph(tmp_path):
    """One file opened as a session and loaded beside it: the other module reports nothing."""
    made = zoo.scripted_cnn()
    path = zoo.save(made.module, tmp_path / "m.pt")
    session = torchscript.open(path, OpenOptions())
    other = zoo.quietly(torch.jit.load, str(path)).eval()
    assert "kmr::" not in str(other.graph)
    seen = []

    def sink(layer, call, port, array):
        seen.append(layer)
        with torch.no_grad():
            other(torch.from_numpy(made.batch["image"]))

    session.capture(made.batch, Taps(("conv1",)), sink)
    assert seen == ["conv1", "conv1"]


def test_reports_reach_nobody_between_passes(tmp_path):
    loaded, _ = graph_of(zoo.scripted_cnn(), tmp_path)
    assert instrument.listen(None) is None
    with torch.no_grad():
        assert loaded.module(torch.ones(1, 3, 8, 8)).shape == (1, 5)


def test_another_torch_is_one_line(tmp_path, monkeypatch):
    path = zoo.save(zoo.scripted_cnn().module, tmp_path / "m.pt")
    monkeypatch.delattr(torch._C, "ListType")
    with pytest.raises(ModelLoadError, match="has internals that this program does not know") as caught:
        torchscript.open(path, OpenOptions())
    assert "torch" in caught.value.hint


def test_the_optimizer_setting_is_put_back(tmp_path):
    made = zoo.scripted_cnn()
    session = torchscript.open(zoo.save(made.module, tmp_path / "m.pt"), OpenOptions())
    seen = []

    def note(*_):
        seen.append(torch._C._get_graph_executor_optimize())

    for setting in (True, False):
        with torch.jit.optimized_execution(setting):
            seen.clear()
            session.capture(made.batch, Taps(("conv1",)), note)
            assert seen == [False, False]  # so that every run rounds as the first one does
            assert torch._C._get_graph_executor_optimize() is setting
    with pytest.raises(ZeroDivisionError):
        session.capture(made.batch, Taps(("conv1",)), lambda *tap: 1 / 0)
    assert torch._C._get_graph_executor_optimize() is True
    assert instrument.listen(None) is None
    assert np.isfinite(session.capture(made.batch, Taps(()))["out0"]).all()
