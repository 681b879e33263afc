"""Damaged, absurd and foreign files: one clear line each, before anything is run."""

import contextlib
import json
import zipfile

import pytest
import torch
from torch import nn
from zoo import exported as zoo

from kmr_cli.errors import KmrError, ModelFileError, ModelLoadError, ModelRunError
from kmr_cli.formats import detect, exported
from kmr_cli.formats.interface import OpenOptions, Taps
from kmr_cli.scan.scan import scan

OPTIONS = OpenOptions()


@pytest.fixture(scope="module")
def good():
    return zoo.path_of("constants")


def used(path):
    exported.describe(path, OPTIONS)
    exported.open(path, OPTIONS).capture(zoo.example("constants").batch, Taps(()))


def refused(path, kind=ModelFileError):
    """The error of describing, opening or running a file; nothing else may come out."""
    with pytest.raises(kind) as caught:
        used(path)
    assert "\n" not in caught.value.message
    return caught.value


def test_cut_files(good, tmp_path):
    whole = good.read_bytes()
    for part in range(1, 10):
        path = tmp_path / f"cut{part}.pt2"
        path.write_bytes(whole[: len(whole) * part // 10])
        assert not exported.matches(path)
        with pytest.raises(ModelFileError, match="cut short or damaged"):
            detect(path)


def test_flipped_bytes_give_one_of_our_errors_or_nothing(good, tmp_path):
    whole = bytearray(good.read_bytes())
    path = tmp_path / "flipped.pt2"
    for place in range(0, len(whole), 211):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(bytes(damaged))
        with contextlib.suppress(KmrError):
            used(path)


@pytest.mark.parametrize(
    ("member", "content", "message"),
    [
        ("models/model.json", b"not json", "model.json' is damaged (no JSON from character 0 on)"),
        ("models/model.json", b"[1, 2]", "does not hold what torch.export writes"),
        ("models/model.json", b"{}", "the program 'model' isn't what torch.export writes: 'graph_module' is missing"),
        ("models/model.json", b"[" * 100_000, "model.json' is damaged"),
        ("weights_config.json", b'{"config": 3}', "does not hold what torch.export writes"),
        ("weights_config.json", b'{"config": {}}', "'mask' is not in the file"),
        ("weights_config.json", b'{"config": {"mask": {"path_name": 1}}}', "the entry of tensor 'mask' is damaged"),
    ],
)
def test_damaged_members(good, tmp_path, member, content, message):
    if member.startswith("weights"):
        good = zoo.rewritten(good, tmp_path / "a.pt2", lambda name, old: None if "constants_config" in name else old)
    change = lambda name, old: content if name.endswith(member) else old  # noqa: E731
    assert message in refused(zoo.rewritten(good, tmp_path / "m.pt2", change)).message


def test_a_weight_that_is_not_in_the_archive(good, tmp_path):
    path = zoo.rewritten(good, tmp_path / "m.pt2", lambda name, old: None if name.endswith("tensor_0") else old)
    message = refused(path).message
    assert "the archive is damaged (there is no item named '" in message
    assert message.endswith("tensor_0' in the archive)")


@pytest.mark.parametrize(("major", "taken"), [(7, True), (8, True), (9, False)])
def test_programs_of_a_version_that_is_not_known_yet(good, tmp_path, major, taken):
    """A new major version means that what was there before may mean something else."""

    def change(program):
        assert program["schema_version"]["major"] == 8
        program["schema_version"]["major"] = major

    path = zoo.with_program(good, tmp_path / "m.pt2", change)
    found = scan(path)
    if taken:
        used(path)
        assert found.verdict == "pass"
        return
    assert found.verdict == "inconclusive"
    assert "is of version 9 of torch.export's format" in found.inconclusive[0]
    error = refused(path)
    assert "written by a newer torch.export (version 9 of its format; 8 is the newest known)" in error.message
    assert "update kmr-inspect" in error.hint


def places(value, place=()):
    """Where each value of a JSON document is."""
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*place, key))


def test_a_program_with_a_wrong_value_is_refused_in_english(good, tmp_path):
    """Whatever is put in place of any value: what Python says of our code never stands in the message."""
    with zipfile.ZipFile(good) as archive:
        (member,) = [name for name in archive.namelist() if name.endswith("models/model.json")]
        whole = archive.read(member)
    said = set()
    for place in [*places(json.loads(whole))][1::3]:
        for wrong in (7, "x", []):
            document = inner = json.loads(whole)
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = wrong
            content = json.dumps(document).encode()
            changed = zoo.rewritten(
                good, tmp_path / "wrong.pt2", lambda name, old, content=content: content if name == member else old
            )
            with contextlib.suppress(ModelFileError):
                try:
                    exported.describe(changed, OPTIONS)
                except ModelFileError as refusal:
                    said.add(refusal.message.partition(": ")[2])
                    raise
    assert any("isn't what torch.export writes: node 0: " in message for message in said)
    python = (
        "object",
        "Error",
        "expected",
        "argument",
        "unpack",
        "NoneType",
        "indices",
        "attribute",
        "<class",
        "zip()",
    )
    assert [message for message in said if any(word in message for word in python)] == []


def entry_of(path, tmp_path, **changes):
    """A copy in which the entry of the first constant is changed."""

    def change(name, content):
        if not name.endswith("constants_config.json"):
            return content
        document = json.loads(content)
        entry = next(iter(document["config"].values()))
        entry["tensor_meta"].update(changes.pop("meta", {}))
        entry.update(changes)
        return json.dumps(document).encode()

    return zoo.rewritten(path, tmp_path / "changed.pt2", change)


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"sizes": [{"as_int": 1 << 40}], "strides": [{"as_int": 1}]}, "fewer numbers than the file claims"),
        ({"sizes": [{"as_int": 9}], "strides": [{"as_int": 1}]}, "fewer numbers than the file claims"),
        ({"sizes": [{"as_int": -3}], "strides": [{"as_int": 1}]}, "is damaged"),
        ({"storage_offset": {"as_int": 1000}}, "fewer numbers than the file claims"),
        ({"storage_offset": {"as_int": -1}}, "is damaged"),
        ({"sizes": [{"as_int": 3}], "strides": []}, "is damaged"),
        ({"dtype": 99}, "is damaged"),
    ],
)
def test_weights_that_claim_what_is_not_there(good, tmp_path, meta, message):
    """A stride or an offset beyond the bytes would read foreign memory."""
    assert message in refused(entry_of(good, tmp_path, meta=meta)).message


def test_pickled_and_sparse_weights_are_refused(good, tmp_path):
    assert "kept as a pickle" in refused(entry_of(good, tmp_path, use_pickle=True), ModelLoadError).message
    assert "a sparse tensor" in refused(entry_of(good, tmp_path, meta={"layout": 1}), ModelLoadError).message


def test_a_pickle_that_would_run_code_is_not_run(tmp_path):
    path = zoo.as_before_2_8(zoo.example("tied"), tmp_path / "old.pt2")

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "written"), "w"))

    buffer = tmp_path / "evil.pt"
    torch.save({"embed.weight": Evil()}, buffer)
    evil = zoo.rewritten(
        path, tmp_path / "m.pt2", lambda name, old: buffer.read_bytes() if "state_dict" in name else old
    )
    assert "is not opened" in refused(evil).message
    assert not (tmp_path / "written").exists()


def test_a_member_that_unpacks_to_far_more(good, tmp_path):
    path = tmp_path / "bomb.pt2"
    with zipfile.ZipFile(good) as before, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as after:
        for info in before.infolist():
            content = b" " * (1 << 27) if info.filename.endswith("model.json") else before.read(info)
            after.writestr(info.filename, content)
    assert "claims to unpack" in refused(path).message


def test_a_member_twice(good, tmp_path):
    path = tmp_path / "twice.pt2"
    path.write_bytes(good.read_bytes())
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("constants/models/model.json", b"{}")
    assert "twice" in refused(path).message


def with_target(good, tmp_path, target):
    def change(document):
        document["graph_module"]["graph"]["nodes"][0]["target"] = target

    return zoo.with_program(good, tmp_path / "m.pt2", change)


@pytest.mark.parametrize(
    "target",
    [
        "torch.ops.aten.from_file.default",
        "torch.ops.aten._print.default",
        "torch.ops.aten.set_.source_Tensor",
        "torch.ops.aten.resize_.default",
        "torch.ops.inductor.resize_storage_bytes_.default",
        "torch.ops.profiler._record_function_enter.default",
        "torch.ops.higher_order.triton_kernel_wrapper_functional",
        "torch.load",
        "os.system",
        "_operator.methodcaller",
        "math.__loader__.load_module",
        "torch.ops.aten.__class__.__init__",
        "torch.ops.__name__.upper.default",
        "#extension:op",
    ],
)
def test_operators_outside_the_list_are_refused(good, tmp_path, target):
    exc = refused(with_target(good, tmp_path, target), ModelLoadError)
    assert target.split(".")[-1 if target.count(".") < 3 else 3] in exc.message


def test_an_unknown_operator_is_named_with_what_to_import(good, tmp_path):
    exc = refused(with_target(good, tmp_path, "torch.ops.mylib.foo.default"), ModelLoadError)
    assert "mylib::foo, which is not registered" in exc.message
    assert "--import MODULE" in exc.hint
    exc = refused(with_target(good, tmp_path, "torch.ops.torchvision.nms.default"), ModelLoadError)
    assert "pip install torchvision" in exc.hint


def test_an_operator_of_the_users_own(tmp_path, monkeypatch):
    """It is registered by the module that --import names."""
    (tmp_path / "exported_operators.py").write_text(
        "import torch\n"
        "@torch.library.custom_op('kmr_test::twice', mutates_args=())\n"
        "def twice(x: torch.Tensor) -> torch.Tensor:\n    return x * 2\n"
        "@twice.register_fake\n"
        "def _(x):\n    return torch.empty_like(x)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import exported_operators

    class Own(nn.Module):
        def forward(self, x):
            return exported_operators.twice(x)

    path = zoo.saved(Own(), {"x": zoo.normal(3, 4)})
    session = exported.open(path, OpenOptions(imports=("exported_operators",)))
    outputs = session.capture({"x": zoo.normal(3, 4)}, Taps(()))
    assert (outputs["out0"] == zoo.normal(3, 4) * 2).all()


def test_size_expressions_are_never_run(good, tmp_path):
    """Torch's own loader hands this text to an evaluator of Python."""
    marker = tmp_path / "written"

    def change(document):
        for meta in document["graph_module"]["graph"]["tensor_values"].values():
            for size in meta["sizes"]:
                if "as_expr" in size:
                    size["as_expr"]["expr_str"] = f"open({str(marker)!r}, 'w')"

    path = zoo.with_program(good, tmp_path / "m.pt2", change)
    exported.describe(path, OPTIONS)
    assert not marker.exists()


@pytest.mark.parametrize("which", ["a weight", "a result"])
def test_a_value_that_nothing_makes(good, tmp_path, which):
    def change(document):
        module = document["graph_module"]
        if which == "a weight":
            (spec,) = module["signature"]["input_specs"][0].values()
            spec["arg"]["name"] = "other"
        else:
            module["graph"]["nodes"][0]["outputs"][0]["as_tensor"]["name"] = "other"

    path = zoo.with_program(good, tmp_path / "m.pt2", change)
    with pytest.raises(ModelFileError, match=r"its graph reads '.*', which nothing in it makes") as caught:
        used(path)
    assert "export the model again" in caught.value.hint


def test_a_run_that_fails_names_the_layer():
    path = zoo.path_of("shared")
    batch = {"x": zoo.normal(3, 5)}
    with pytest.raises(ModelRunError, match=r"in layer 'outer\.inner\.fc', at aten\.linear\.default") as caught:
        exported.open(path, OPTIONS).capture(batch, Taps(()))
    assert caught.value.layer == "outer.inner.fc"


def test_training_mode_is_refused(good):
    with pytest.raises(ModelLoadError, match="no training mode"):
        exported.open(good, OpenOptions(training=True))


def test_what_compilers_make_of_programs(tmp_path):
    compiled = tmp_path / "m.pt2"
    with zipfile.ZipFile(compiled, "w") as archive:
        archive.writestr("m/archive_format", "pt2")
        archive.writestr("m/data/aotinductor/model/model.so", b"\x7fELF")
    mobile = tmp_path / "m.pte"
    mobile.write_bytes(b"\x30\x00\x00\x00ET12" + bytes(60))
    empty = tmp_path / "e.pt2"
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("m/archive_format", "pt2")
    for path, message in ((compiled, "AOTInductor"), (mobile, "ExecuTorch"), (empty, "without a program")):
        with pytest.raises(ModelFileError, match=message) as caught:
            detect(path)
        assert "torch.export.save" in caught.value.hint
