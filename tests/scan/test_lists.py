"""What is allowed is listed, and each entry has one reason, which is that of its group."""

import ast
from collections import Counter
from pathlib import Path

import pytest

import kmr_cli
from kmr_cli.formats.common import pickle_hazards, torch_operators
from kmr_cli.formats.keras.scan import hdf5, names
from kmr_cli.formats.onnx.scan import look
from kmr_cli.formats.savedmodel.describe import operators as known
from kmr_cli.formats.savedmodel.scan import groups, operators, xla

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.mark.parametrize(
    ("script", "listed"),
    [
        ("list_keras_names.py", "formats/keras/scan/names.txt"),
        ("list_torch_operators.py", "formats/common/torch_operators.txt"),
    ],
)
def test_what_was_cut_from_a_list_by_hand_has_a_reason_and_is_not_on_it(script, listed):
    """The lists of what is allowed are written by scripts, in which the reasons stand."""
    tree = ast.parse((Path(__file__).parents[2] / "scripts" / script).read_text())
    cut = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id.startswith("CUT")
    }
    assert len(cut) >= 2
    lines = (Path(kmr_cli.__file__).parent / listed).read_text().splitlines()
    names = {line.rpartition(" ")[2] for line in lines}
    for kind, entries in cut.items():
        assert all(entries.values())
        if kind.endswith("NAMESPACES"):
            assert {name.partition("::")[0] for name in names}.isdisjoint(entries)
        else:
            assert names.isdisjoint(entries)


def test_every_name_of_keras_is_in_a_group_with_a_reason():
    lines = list(names.lines())
    assert len(lines) > 1500
    assert [entry for entry, times in Counter(lines).items() if times > 1] == []
    assert {(kind, group) for kind, group, _ in lines} == names.GROUPS.keys()
    assert all(names.GROUPS.values())


@pytest.mark.slow
def test_a_group_of_keras_is_what_its_classes_are(monkeypatch):
    """So that the group's reason is true of them: by the base class that Keras and tf_keras give it."""
    keras = pytest.importorskip("keras")
    tf_keras = pytest.importorskip("tf_keras")
    monkeypatch.syspath_prepend(SCRIPTS)
    import list_keras_names as script

    there = {("class", *one) for root in (keras, tf_keras) for one in script.classes(root)}
    there |= {("function", *one) for root in (keras, tf_keras) for one in script.functions(root)}
    there |= {("tensorflow", *one) for one in script.tensorflow()}
    known_here = {(kind, name) for kind, _, name in there}
    listed = {entry for entry in names.lines() if (entry[0], entry[2]) in known_here}
    assert len(listed) > 1400
    assert listed <= there


def _operations():
    lines = Path(known.__file__).with_name("operators.txt").read_text(encoding="ascii").splitlines()
    return {line.partition(" ")[0].removesuffix("!") for line in lines} | operators.SILENT | operators.INTERNAL


def _reasons(operation):
    """All that is said of an operation, for it or against it."""
    yield from operators.hazards(operation)
    if operation in operators.SAVER:
        yield operators.SAVER[operation]
    if operation in operators.FILE_ATTRIBUTES or operation in operators.TABLES:
        yield "reads a file, which is looked at"
    elif operators.hazard(operation) is None and operation not in operators.SAVER:
        yield from groups.reasons(operation)


def test_every_operation_of_tensorflow_has_one_reason():
    operations = _operations()
    assert len(operations) > 1400
    assert {one: found for one in operations if len(found := list(_reasons(one))) != 1} == {}
    assert all(groups.GROUPS.values())


def test_an_operation_without_a_reason_is_not_allowed(monkeypatch):
    """So the test above matters: what keeps something, and is in no group."""
    assert operators.is_known("FIFOQueueV2")
    monkeypatch.setattr(groups, "GROUPS", {})
    groups.reasons.cache_clear()
    try:
        assert not operators.is_known("FIFOQueueV2")
        assert operators.is_known("MatMul")
    finally:
        groups.reasons.cache_clear()


@pytest.mark.slow
def test_what_is_said_to_keep_nothing_does_not():
    pytest.importorskip("tensorflow")
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session

    there = op_def_pb2.OpList()
    there.ParseFromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    stateful = {operation.name for operation in there.op if operation.is_stateful}
    assert len(stateful) > 300
    assert {one for one in stateful if known.is_stateless(one)} == set()


def test_every_operator_of_torch_is_in_a_namespace_with_a_reason():
    found = Counter(name.partition("::")[0] for name in torch_operators.listed())
    assert sum(found.values()) > 2000
    assert found.keys() == torch_operators.NAMESPACES.keys()
    assert all(torch_operators.NAMESPACES.values())


def test_what_is_refused_of_torch_is_not_listed():
    assert torch_operators.UNCHECKED.keys().isdisjoint(torch_operators.listed())


def test_what_exported_programs_need_is_listed_and_refused_in_code():
    assert torch_operators.DECOMPOSED.keys() <= torch_operators.listed()
    for name in torch_operators.DECOMPOSED:
        namespace, _, own = name.partition("::")
        assert [one.kind for one in torch_operators.scan(namespace, own, "p")] == ["code"]
        assert list(torch_operators.scan(namespace, own, "p", decomposed=True)) == []


def test_what_is_no_method_of_torch_takes_no_self():
    torch = pytest.importorskip("torch")
    schemas = [one for one in torch._C._jit_get_all_schemas() if one.name in torch_operators.NO_METHODS]
    assert {one.name for one in schemas} == torch_operators.NO_METHODS
    assert not any(argument.name == "self" for one in schemas for argument in one.arguments)


def test_operators_of_onnxruntime_are_those_that_it_says_it_has(monkeypatch):
    """But for what was cut by hand, with a reason; one of a later onnxruntime may be missing here."""
    pytest.importorskip("onnxruntime")
    monkeypatch.syspath_prepend(SCRIPTS)
    import list_onnxruntime_operators as script

    there = set(script.names())
    assert len(there) > 100
    assert {name for name in there if look.is_known("com.microsoft", name)} == there
    assert all(script.CUT.values())
    assert not any(look.is_known("com.microsoft", name) for name in (*script.CUT, "PythonOp", "TritonOp", "Launch"))


def test_every_module_that_pickles_may_name_has_a_reason():
    assert pickle_hazards.ALLOWED.keys() | {"torch"} == pickle_hazards.REASONS.keys()
    assert all(pickle_hazards.REASONS.values())


def test_pickles_may_name_nothing_but_what_makes_values():
    """Nothing that runs, opens or looks up what it is given."""
    assert not any("load" in name or "eval" in name for names_ in pickle_hazards.ALLOWED.values() for name in names_)
    assert pickle_hazards.ALLOWED["builtins"].isdisjoint({"eval", "exec", "getattr", "open", "compile", "__import__"})


@pytest.mark.parametrize("listed", [look.STANDARD, look.MICROSOFT, hdf5.FILTERS, xla.HARMLESS])
def test_domains_of_onnx_filters_of_hdf5_and_names_of_xla_have_reasons(listed):
    assert all(listed.values())


@pytest.mark.parametrize(
    "module",
    [
        b"%0 = stablehlo.add %a, %b",
        b"%0 = stablehlo.custom_call @Sharding(%a)\n"
        b'%1 = "stablehlo.custom_call"(%0) {call_target_name = "shape_assertion"}',
        b"ML\xefR\x06\0custom_call_v1\0main\0my_layers.py\0shape_assertion\0",
        b"ML\xefR\x06\0add_v1\0main\0memcpy\0",
    ],
)
def test_programs_of_xla_may_call_what_computes(module):
    assert list(xla.hazards(module)) == []
