"""Snapshots as files: what is written is read again, for ever, and whatever else is in a file is refused."""

import copy
import json
import re
import zlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py
import jsonschema
import ml_dtypes
import numpy as np
import pytest
from zoo import snapshots as zoo
from zoo.snapshots import Run, normal, snapshot, tap

from kmr_cli.compare.compare import compare
from kmr_cli.errors import SnapshotError
from kmr_cli.records import InputSketch
from kmr_cli.snapshot.file import file_name
from kmr_cli.snapshot.read import load, parse, read_text
from kmr_cli.snapshot.sketch_v1 import as_version_1
from kmr_cli.snapshot.tensors import open_tensors, tensors_path, write_tensors
from kmr_cli.snapshot.write import dump

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "snapshot.schema.json").read_text())
GOLDEN = Path(__file__).parents[1] / "golden"


def varied(*, v1=False):
    """Every kind of tap and of text."""
    tap = partial(zoo.tap, v1=v1)
    nan = normal(4, 3)
    nan[1], nan[2, 0] = np.nan, np.inf
    return snapshot(
        tap("conv1", normal(4, 6, 6, 3)),
        tap("split", normal(16, 5), kind="merged", owners=[0] * 4 + [1] * 4 + [2] * 4 + [3] * 4),
        tap("time", normal(5, 4, 3), kind="moved", axis=1, owners=range(4), call=2, port="in1"),
        tap("mean", np.float32(3)[None], kind="mixed"),
        tap("log", nan),
        tap("dropout", normal(4, 9), random=True),
        tap("text", np.array([b"a", "\N{SNOWMAN}".encode(), b"", b"\xff"], object)),
        tap("half", normal(4, 9).astype(ml_dtypes.bfloat16)),
        tap("spectrum", normal(4, 9).astype(np.complex64), port="out0.values"),
        tap("none", np.zeros((4, 0), np.int64)),
        tap('odd "name"\n\x1b[31m\N{SNOWMAN}\udcff', normal(4, 2)),
        tap("", normal(4, 2).astype(np.float64)),
        given_shapes={None: (3,), "x": (4, 5)}, outputs=("y\N{SNOWMAN}",), sides=("in", "out"), source="a.npz, b.npy",
        inputs=(InputSketch("x", (4, 3), "float32", "00000000", None if v1 else (None, 3)),),
    )  # fmt: skip


def test_what_is_written_is_read_again():
    taken = varied()
    assert parse(dump(taken), "s") == taken


def test_it_is_what_the_schema_says():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(dump(varied())), SCHEMA)


def test_it_is_ascii_sorted_and_has_a_line_per_sample():
    text = dump(varied())
    assert text.isascii()
    assert text.endswith("}\n")
    assert [line for line in text.splitlines() if '"layer":"conv1"' in line]
    assert sum('"sketch"' in line for line in text.splitlines()) == sum(len(tap.samples) for tap in varied().taps) + 1
    versions = {"b": "1", "a": "2"}
    assert '"versions": {"a": "2", "b": "1"}' in dump(replace(varied(), versions=versions))


def test_the_same_run_gives_the_same_text():
    assert dump(varied()) == dump(varied())


def test_only_the_files_name_is_kept():
    assert json.loads(dump(replace(varied(), path="/home/me/secret/m.keras")))["model"]["path"] == "m.keras"


@pytest.mark.parametrize("shape", [(8, 30, 30, 4), (8, 6)])
@pytest.mark.parametrize(
    ("dtype", "scale"),
    [
        ("float32", 12345.678),
        ("float32", 1e-5),
        ("float32", 1e-38),
        ("float32", 1e37),
        ("float16", 1e-3),
        ("float64", 12345.678),
        ("float64", 1e-5),
        ("float64", 1e-300),
        ("float64", 1e307),
        ("complex128", 1e-300),
        ("int64", 12345.678),
        ("int64", 2e18),  # hashes
    ],
)
@pytest.mark.parametrize("nonfinite", [False, True])
def test_a_tap_of_eight_samples_takes_two_kilobytes(dtype, scale, shape, nonfinite):
    value = (normal(*shape).astype(np.float64) * scale).astype(dtype)
    if nonfinite and dtype != "int64":
        value[:, ::2] = np.nan
    one = snapshot(tap("encoder/block_12/attention/output_dense", value, size=8), size=8)
    assert len(dump(one)) - len(dump(replace(one, taps=()))) <= 2048


# -- reading -----------------------------------------------------------------------------------------------------


def test_version_1_stays_readable():
    """Committed when version 1 was new. It may never be written again, nor what is read from it change."""
    golden = GOLDEN / "snapshot_version_1.kmr.json"
    jsonschema.validate(json.loads(golden.read_text()), SCHEMA)
    found = load(golden)
    assert (found.path, found.format, found.size, found.seed, found.source) == (
        "m.keras",
        "keras",
        4,
        0,
        "a.npz, b.npy",
    )
    assert found.given_shapes == {None: (3,), "x": (4, 5)}
    assert found.schema == 1
    assert found.inputs == (InputSketch("x", (4, 3), "float32", "00000000"),)
    assert [tap.shape for tap in found.taps[:3]] == [("B", 6, 6, 3), ("4*B", 5), (5, "B", 3)]
    assert [tap.index for tap in found.taps[:4]] == ["separated", "merged", "moved", "mixed"]
    assert found.taps[0].samples[2].bits == GOLDEN_BITS
    assert found.taps[4].samples[1].rms is None
    assert found.taps[5].random
    now = as_version_1(varied(v1=True))
    assert now.taps[:-1] == found.taps[:-1]  # sketches are computed as they were
    assert compare(now, found).verdict != "fail"
    with pytest.raises(ValueError, match="version 1"):
        dump(found)


GOLDEN_BITS = "637b929c"


def test_version_2_stays_readable():
    """Committed when version 2 was new: neither what is read from it nor how sketches are computed may change."""
    golden = GOLDEN / "snapshot_version_2.kmr.json"
    jsonschema.validate(json.loads(golden.read_text()), SCHEMA)
    assert load(golden) == varied()
    assert compare(varied(), load(golden)).verdict != "fail"


def test_a_file_of_one_version_is_none_of_the_other():
    """The schema, like the reader, goes by the version that the file says it is of."""
    first, second = (json.loads((GOLDEN / f"snapshot_version_{version}.kmr.json").read_text()) for version in (1, 2))
    for document, version in ((first, 2), (second, 1)):
        document["schema"] = version
        with pytest.raises(SnapshotError, match="damaged"):
            parse(json.dumps(document), "s")
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document, SCHEMA)


@pytest.mark.parametrize("declared", [None, (4, 3), (None, 3), (None, None)])
def test_declared_shapes_are_kept(declared):
    spec = InputSketch("x", (4, 3), "float32", "00000000", declared)
    taken = Run().end(normal(4, 2)).snapshot(inputs=(spec,))
    jsonschema.validate(json.loads(dump(taken)), SCHEMA)
    assert parse(dump(taken), "s").inputs == (spec,)


def test_places_belong_to_what_is_not_finite():
    for spoilt in ('"nonfinite":3,', '"places":"[0-9a-f]{8}",'):
        text, count = re.subn(spoilt, "", dump(varied()), count=1)
        assert count == 1
        with pytest.raises(SnapshotError, match="damaged"):
            parse(text, "s")


def test_a_later_version_is_refused():
    document = json.loads(dump(varied()))
    for version in (3, 99, 0, "1", None, True, 1.5, [1]):
        document["schema"] = version
        with pytest.raises(SnapshotError, match="version") as caught:
            parse(json.dumps(document), "s.json")
        assert "update kmr-inspect" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"kind": "kmr-inspect snapshot"}', "[" * 100_000, "1" * 10_000, "\0"]
)
def test_what_is_not_a_snapshot_is_refused(text):
    with pytest.raises(SnapshotError, match=r"^s\.json: "):
        parse(text, "s.json")


def test_half_a_snapshot_is_refused():
    text = dump(varied())
    for length in range(1, len(text) - 2, 97):
        with pytest.raises(SnapshotError):
            parse(text[:length], "s")


def places(node, at=()):
    """Every place in a JSON document."""
    if at:
        yield at
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from places(value, (*at, key))


def changed(document, at, change):
    other = copy.deepcopy(document)
    node = other
    for key in at[:-1]:
        node = node[key]
    change(node, at[-1])
    return other


SMALL = Run().add("a", normal(4, 20), port="in0").add("a", normal(4, 20)).end(normal(4, 2))
WRONG = [None, True, -1, 3, 1.5, 10**400, "x", "B", "0*B", "5*B", "\udcff", [], [[]], [None], {}, {"a": 1}]


@pytest.fixture(scope="module")
def validator():
    return jsonschema.Draft202012Validator(SCHEMA)


def harmless(text, validator, sound):
    """Refused with a message, or a snapshot that the schema allows and that can be compared and written."""
    try:
        found = parse(text, "s.json")
    except SnapshotError as exc:
        assert exc.message.startswith("s.json: ")  # noqa: PT017  (either outcome is right)
        assert "\n" not in exc.message  # noqa: PT017
        return False
    assert not list(validator.iter_errors(json.loads(text)))
    assert parse(dump(found), "s") == replace(found, path=Path(found.path).name)
    for first, second in ((sound, found), (found, sound)):
        assert compare(first, second).verdict in ("pass", "fail", "inconclusive")
    return True


def test_every_key_that_is_missing_is_missed(validator):
    sound = SMALL.snapshot(sides=("in", "out"))
    document = json.loads(dump(sound))
    for at in places(document):
        if isinstance(at[-1], str) and (at[0] != "versions" or len(at) == 1):
            text = json.dumps(changed(document, at, lambda node, key: node.pop(key)))
            assert not harmless(text, validator, sound), at


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: repr(wrong)[:10])
def test_every_value_may_be_anything(validator, wrong):
    sound = SMALL.snapshot(sides=("in", "out"))
    document = json.loads(dump(sound))
    for at in places(document):
        if len(at) > 3 and at[1] == 1 and at[0] == "taps" and at[3:4] != (0,):
            continue  # one tap and one sample of each kind is enough
        harmless(json.dumps(changed(document, at, lambda node, key: node.__setitem__(key, wrong))), validator, sound)


def test_list_items_may_be_missing_or_twice(validator):
    sound = SMALL.snapshot(sides=("in", "out"))
    document = json.loads(dump(sound))
    for at in places(document):
        if isinstance(at[-1], int):
            harmless(json.dumps(changed(document, at, lambda node, key: node.pop(key))), validator, sound)
            twice = changed(document, at, lambda node, key: node.append(copy.deepcopy(node[key])))
            harmless(json.dumps(twice), validator, sound)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(number):
    """NaN compares as neither larger nor smaller: it would make everything agree."""
    text = dump(SMALL.snapshot())
    with pytest.raises(SnapshotError, match="damaged"):
        parse(re.sub(r'"rms":[^,]*', f'"rms":{number}', text, count=1), "s")
    with pytest.raises(SnapshotError, match="damaged"):
        parse(re.sub(r'"sketch":\[[^,]*', f'"sketch":[{number}', text, count=1), "s")


def test_a_tap_that_stands_in_it_twice_is_refused():
    run = Run().add("a", normal(4, 2)).add("a", normal(4, 2)).end(normal(4, 2))
    with pytest.raises(SnapshotError, match="twice"):
        parse(dump(run.snapshot()), "s")


@pytest.mark.parametrize(
    ("at", "wrong", "told"),
    [
        (("batch",), None, r"batch: expected a table, not None"),
        (("batch", "size"), 0, r"batch\.size: expected a whole number, 1 or more, not 0"),
        (("batch", "inputs", 0, "shape", 1), "x", r"batch\.inputs\[0\]\.shape\[1\]: expected a whole number"),
        (("model", "format"), "", r"model\.format: expected text with something in it, not ''"),
        (("versions",), {"a b\n": 3}, r"versions\.'a b\\n': expected text, not 3"),
        (("sides", 0), "up", r"sides\[0\]: expected one of in, out, not 'up'"),
        (("taps", 1, "index"), "unproved", r"taps\[1\]\.index: expected one of separated, .*, not 'unproved'"),
        (("taps", 1, "axis"), 7, r"taps\[1\]\.axis: expected an axis of a tensor with 2, not 7"),
        (("taps", 1, "dtype"), "float33", r"taps\[1\]\.dtype: expected a dtype, not 'float33'"),
        (("taps", 1, "shape", 0), "2B", r"taps\[1\]\.shape\[0\]: expected a number, B or a multiple"),
        (("taps", 1, "port"), "up0", r"taps\[1\]\.port: expected a port such as in0 or out1, not 'up0'"),
        (("taps", 1, "samples", 2, "rms"), "x", r"taps\[1\]\.samples\[2\]\.rms: expected a finite number, not 'x'"),
        (("taps", 1, "samples", 2, "sketch", 3), 0.5, r"taps\[1\]\.samples\[2\]\.sketch\[3\]: expected a whole"),
        (("taps", 1, "samples", 2, "bits"), "0", r"taps\[1\]\.samples\[2\]\.bits: expected a checksum"),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_what_is_damaged_is_named(at, wrong, told):
    document = json.loads(dump(SMALL.snapshot(sides=("in", "out"))))
    text = json.dumps(changed(document, at, lambda node, key: node.__setitem__(key, wrong)))
    with pytest.raises(SnapshotError, match=rf"^s\.json: damaged \({told}"):
        parse(text, "s.json")


def test_what_is_missing_is_named():
    document = json.loads(dump(SMALL.snapshot(sides=("in", "out"))))
    for at, told in [
        (("batch",), "'batch' is missing"),
        (("taps", 1, "samples", 2, "rms"), r"taps\[1\]\.samples\[2\]: 'rms' is missing"),
    ]:
        with pytest.raises(SnapshotError, match=rf"^s\.json: damaged \({told}\)\n"):
            parse(json.dumps(changed(document, at, lambda node, key: node.pop(key))), "s.json")


@pytest.mark.parametrize("version", [1, 2])
def test_inconclusive_has_another_name_in_earlier_files(version, validator):
    text = (GOLDEN / f"snapshot_version_{version}.kmr.json").read_text()
    earlier, count = re.subn('("index": ?)"separated"', r'\1"unproven"', text)
    assert count
    validator.validate(json.loads(earlier))
    found = parse(earlier, "s")
    assert {tap.index for tap in found.taps if tap.layer == "conv1"} == {"inconclusive"}
    assert found == parse(earlier.replace("unproven", "inconclusive"), "s")
    if version == 2:
        assert "unproven" not in dump(found)
        assert '"index":"inconclusive"' in dump(found)


def test_trust_is_told(validator):
    plain = parse((GOLDEN / "snapshot_version_2.kmr.json").read_text(), "s")
    assert "trusted" not in dump(plain)
    text = dump(replace(plain, trusted=True))
    validator.validate(json.loads(text))
    assert '"trusted": true' in text
    assert parse(text, "s").trusted
    assert not parse(text.replace('"trusted": true', '"trusted": false'), "s").trusted


def test_files(tmp_path):
    path = tmp_path / "s.kmr.json"
    with pytest.raises(SnapshotError, match="no such file"):
        read_text(path)
    with pytest.raises(SnapshotError, match="not a regular file"):
        read_text(tmp_path)
    path.write_bytes(b"\xff\xfe{")
    with pytest.raises(SnapshotError, match="not a snapshot"):
        load(path)
    with path.open("wb") as file:
        file.truncate(2**27)
    with pytest.raises(SnapshotError, match="too large"):
        load(path)
    path.write_text(dump(varied()))
    assert load(path) == varied()


def test_a_snapshot_is_called_as_the_model_is_called(tmp_path, monkeypatch):
    (tmp_path / "v3").mkdir()
    (tmp_path / "current").symlink_to("v3")
    assert file_name(tmp_path / "current") == "current.kmr.json"
    assert file_name(f"{tmp_path}/current/") == "current.kmr.json"
    monkeypatch.chdir(tmp_path / "v3")
    assert file_name(".") == "v3.kmr.json"
    assert file_name("..") == f"{tmp_path.name}.kmr.json"


def test_names():
    assert file_name("models/m.keras") == "m.keras.kmr.json"
    assert file_name("exported/") == "exported.kmr.json"
    assert tensors_path(Path("a/m.kmr.json")) == Path("a/m.kmr.h5")


# -- whole tensors -----------------------------------------------------------------------------------------------


@pytest.fixture
def stored(tmp_path):
    """(run, snapshot, text, path of the tensors)."""
    run = Run().add("a\0\udcff", normal(4, 6)).add("half", normal(4, 6).astype(ml_dtypes.bfloat16))
    run.add("eight", normal(4, 6).astype(ml_dtypes.float8_e4m3fn)).add("flags", normal(4, 6) > 0)
    run.add("none", np.zeros((4, 0), np.float32)).add("complex", normal(4, 6).astype(np.complex64)).end(normal(4, 2))
    taken = run.snapshot()
    path = tmp_path / "m.kmr.h5"
    write_tensors(path, dump(taken), taken, run.read())
    return run, taken, dump(taken), path


def test_tensors_are_read_again(stored):
    run, taken, text, path = stored
    read = open_tensors(path, text, taken)
    for one in taken.taps:
        assert read(one).dtype == run.values[one.tap].dtype
        assert read(one).tobytes() == run.values[one.tap].tobytes()


def test_text_is_read_again(tmp_path):
    value = np.array([[b"a", b"bcd"]] * 4, object)
    run = Run().end(value)
    write_tensors(tmp_path / "s.h5", dump(run.snapshot()), run.snapshot(), lambda _: value.astype(np.bytes_))
    read = open_tensors(tmp_path / "s.h5", dump(run.snapshot()), run.snapshot())
    assert read(run.taps[0]).tolist() == value.tolist()
    assert compare(run.snapshot(), run.snapshot(), values=(read, read)).verdict == "pass"


def test_no_tensors(stored, tmp_path):
    _, taken, text, _ = stored
    assert open_tensors(tmp_path / "other.h5", text, taken) is None


def test_tensors_of_another_snapshot_are_left_alone(stored):
    _, taken, text, path = stored
    assert open_tensors(path, text.replace("Keras 3", "Keras 4"), taken) is None


@pytest.mark.parametrize(
    "formatted",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: json.dumps(json.loads(text), indent=4),
        lambda text: json.dumps(json.loads(text), sort_keys=True),
    ],
    ids=["CRLF", "indented", "sorted"],
)
def test_a_snapshot_laid_out_anew_keeps_its_tensors(stored, formatted):
    run, taken, text, path = stored
    assert formatted(text) != text
    read = open_tensors(path, formatted(text), taken)
    assert read is not None
    assert read(taken.taps[0]).tobytes() == run.values[taken.taps[0].tap].tobytes()


def test_a_file_tied_to_the_very_text_is_still_read(stored):
    """As earlier files are."""
    _, taken, text, path = stored
    with h5py.File(path, "r+") as file:
        file.attrs["snapshot"] = f"{zlib.crc32(text.encode()):08x}"
    assert open_tensors(path, text, taken) is not None
    assert open_tensors(path, text + " ", taken) is None


def test_damaged_tensors(stored):
    _, taken, text, path = stored
    whole = path.read_bytes()
    for content in (b"", b"{}", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(SnapshotError, match="damaged"):
            open_tensors(path, text, taken)


def test_any_damaged_byte_is_refused_or_harmless(stored):
    """HDF5 has no checksums: a flipped byte is an error of ours or another value, never a traceback."""
    run, taken, text, path = stored
    whole = bytearray(path.read_bytes())
    for place in range(0, len(whole), 61):
        spoilt = whole.copy()
        spoilt[place] ^= 0xFF
        path.write_bytes(spoilt)
        try:
            read = open_tensors(path, text, taken)
            if read is not None:
                compare(taken, taken, values=(read, run.read()))
        except SnapshotError:
            pass


def linked(path, taken, text, make):
    with h5py.File(path, "r+") as file:
        del file["0"]
        make(file)
    return open_tensors(path, text, taken)


def test_tensors_from_elsewhere_are_refused(stored, tmp_path):
    """A file of tensors may not make the program read other files."""
    _, taken, text, path = stored
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(96))
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["0"] = normal(4, 6)

    def external(file):
        file.create_dataset("0", (4, 6), "f4", external=[(str(secret), 0, 96)])

    def virtual(file):
        layout = h5py.VirtualLayout((4, 6), "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "0", (4, 6))
        file.create_virtual_dataset("0", layout)

    def external_link(file):
        file["0"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "0")

    def soft_link(file):
        file["0"] = h5py.SoftLink("/1")

    def nothing(file):
        pass

    def group(file):
        file.create_group("0")

    def bomb(file):
        file.create_dataset("0", (2**20, 2**20), "f4", chunks=True, fillvalue=1)

    def never_written(file):
        file.create_dataset("0", (4, 6), "f4", chunks=True)

    def other_dtype(file):
        file["0"] = np.zeros((4, 6), "f8")

    whole = path.read_bytes()
    for make in (external, virtual, external_link, soft_link, nothing, group, bomb, never_written, other_dtype):
        path.write_bytes(whole)
        with pytest.raises(SnapshotError, match="damaged"):
            linked(path, taken, text, make)(taken.taps[0])


def test_a_declared_size_without_content_is_refused_before_anything_is_read(tmp_path, monkeypatch):
    """The snapshot and the file agree on a shape of 64 GiB, and the file is small."""
    run = Run().end(normal(4, 6))
    huge = run.snapshot(taps=(replace(run.taps[0], shape=("B", 2**32)),))
    path = tmp_path / "s.h5"
    with h5py.File(path, "w") as file:
        file.attrs["snapshot"] = f"{zlib.crc32(dump(huge).encode()):08x}"
        file.create_dataset("0", (4, 2**32), "f4")
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda *_: pytest.fail("read"))
    with pytest.raises(SnapshotError, match="damaged"):
        open_tensors(path, dump(huge), huge)


@pytest.mark.parametrize("tied", [["97f9a070"] * 3, 7], ids=["list", "number"])
def test_a_file_tied_to_no_text_is_damaged(stored, tied):
    _, taken, text, path = stored
    with h5py.File(path, "r+") as file:
        file.attrs["snapshot"] = np.array(tied, dtype=object) if isinstance(tied, list) else tied
    with pytest.raises(SnapshotError, match="damaged"):
        open_tensors(path, text, taken)


def test_an_output_without_a_tensor_is_damaged():
    for names in (("y", "z"), ()):
        with pytest.raises(SnapshotError, match=f"damaged .*{len(names)} outputs, and has tensors of 1"):
            parse(dump(Run().end(normal(4, 2)).snapshot(outputs=names)), "s")
