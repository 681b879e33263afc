"""Whole data sets through a model, into one file."""

import contextlib
import errno
import os
import weakref

import numpy as np
import pytest
from zoo.dumps import attributes, contents, dense, growing, mixing, rows, same
from zoo.samples import HOME

from kmr_cli import open_model
from kmr_cli.api import feed
from kmr_cli.api.dumping import dump, one_batch
from kmr_cli.batch import dataset
from kmr_cli.dumps import about, hdf5, zarr
from kmr_cli.errors import LayerError, ModelRunError, OutputError

SUFFIXES = [".zarr", ".h5"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    np.save(place / "x.npy", rows())
    dense(place / "dense.onnx")
    mixing(place / "mixing.onnx")
    growing(place / "growing.onnx")
    return place


@pytest.fixture(scope="module")
def model(folder):
    with open_model(folder / "dense.onnx") as opened:
        yield opened


@pytest.fixture(scope="module")
def data(folder):
    return folder / "x.npy"


@pytest.fixture(scope="module", params=SUFFIXES)
def whole(request, model, data, tmp_path_factory):
    """A dump that nothing disturbed."""
    place = tmp_path_factory.mktemp("whole") / f"whole{request.param}"
    model.dump("*", data, place, size=4)
    return place


def test_every_sample_has_its_row(model, data, tmp_path):
    found = model.dump(["first", "second"], data, tmp_path / "out.zarr", size=4, side="both")
    assert (found.samples, found.batch_size, found.batches, found.before) == (23, 4, 6, 0)
    assert found.nbytes == 23 * 4 * (4 + 5 + 5 + 3)
    assert repr(found) == f"<Dump {str(tmp_path / 'out.zarr')!r}: 4 values of 23 samples>"
    held = contents(tmp_path / "out.zarr")
    assert held["index"].tolist() == list(range(23))
    assert held.keys() == {"index", "first#0/in0", "first#0/out0", "second#0/in0", "second#0/out0"}
    assert held["first#0/in0"].tobytes() == rows().tobytes()
    for start in range(0, 20, 4):  # the last batch is filled up, which a batch of three is not
        records = model.sample("*", slice(0, 4), rows()[start : start + 4])
        for record in records:
            row = held[f"{record.layer}#{record.call}/{record.port}"][start + record.sample]
            assert row.tobytes() == record.value.tobytes()
    said = attributes(tmp_path / "out.zarr", "first#0/out0")
    assert (said["layer"], said["call"], said["port"], said["proven"]) == ("first", 0, "out0", True)
    assert attributes(tmp_path / "out.zarr")["samples"] == 23


@pytest.mark.parametrize("name", ["windows.onnx", "sequence.onnx"])
def test_parts_of_several_slices_and_of_other_axes(name, tmp_path):
    values = dict(np.load(HOME / ("digits.npz" if name.startswith("w") else "sequence.npz")))
    with open_model(HOME / name) as opened:
        batch = {spec.name: values[spec.name] for spec in opened.inputs}
        size = len(next(iter(batch.values())))
        found = opened.dump("*", batch, tmp_path / "out.zarr", side="both")
        records = opened.sample("*", slice(0, size), batch)
    held = contents(tmp_path / "out.zarr")
    assert any(value.outer * value.inner > 1 for value in found.values) == name.startswith("w")
    assert len(held) == len(found.values) + 1
    compared = 0
    for record in records:
        key = f"{record.layer}#{record.call}/{record.port}".replace("/", "%2F", record.layer.count("/"))
        if key in held and record.sample is not None:
            compared += 1
            assert held[key][record.sample].tobytes() == record.value.tobytes(), key
    assert compared >= size * len(found.values)


@pytest.mark.parametrize("last", [0, 1, 5])
def test_what_is_done_is_not_done_again(whole, model, data, tmp_path, monkeypatch, last):
    place = tmp_path / f"out{whole.suffix}"
    ran = []
    run = one_batch.run_batch

    def stops(opened, fed, plan, store, number):
        run(opened, fed, plan, store, number)
        ran.append(number)
        if number == last:
            raise KeyboardInterrupt

    monkeypatch.setattr(dump, "run_batch", stops)
    with pytest.raises(KeyboardInterrupt):
        model.dump("*", data, place, size=4)
    assert contents(place)["index"].tolist()[: 4 * (last + 1)] == list(range(4 * (last + 1)))[:23]
    if last < 5:
        assert set(contents(place)["index"][4 * (last + 1) :].tolist()) == {-1}
    last = None
    found = model.dump("*", data, place, size=4)
    assert ran == list(range(6))
    assert found.before == ran.index(ran[-1]) + 1 - (6 - found.before)
    same(place, whole)
    ran.clear()
    assert model.dump("*", data, place, size=4).before == 6
    assert ran == []


@pytest.mark.parametrize("fails", [0, 3, 7])
def test_a_full_disk_leaves_what_was_written(whole, model, data, tmp_path, monkeypatch, fails):
    place = tmp_path / f"out{whole.suffix}"
    module, name = (zarr, "_write_all") if whole.suffix == ".zarr" else (hdf5, "_write_at")
    left = [fails]
    write = getattr(module, name)

    def full(*arguments):
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= 1
        write(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(module, name, full)
        with pytest.raises(OutputError, match="No space left") as caught:
            model.dump("*", data, place, size=4)
    assert "goes on from there" in caught.value.hint
    found = model.dump("*", data, place, size=4)
    assert found.before == fails // 3  # two values and the index for each batch
    same(place, whole)


def test_a_batch_is_not_done_before_all_of_it_is_written(whole, model, data, tmp_path, monkeypatch):
    place = tmp_path / f"out{whole.suffix}"
    monkeypatch.setattr(zarr.Chunks if whole.suffix == ".zarr" else hdf5.Places, "finish", _interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.dump("*", data, place, size=4)
    monkeypatch.undo()
    assert set(contents(place)["index"].tolist()) == {-1}
    assert model.dump("*", data, place, size=4).before == 0
    same(place, whole)


def _interrupted(*_):
    raise KeyboardInterrupt


def test_one_value_of_one_batch_is_in_memory(model, folder, tmp_path, monkeypatch):
    many = rows(400)
    np.save(tmp_path / "many.npy", many)
    alive, most, asked = weakref.WeakValueDictionary(), [], []
    write, read = zarr.Chunks.write, dataset.read_files

    def counting(self, value, batch, values):
        most.append(len(alive))  # of the values before: the one that is being written is not among them yet
        alive[len(most)] = values
        write(self, value, batch, values)

    def reading(arguments, how, **more):
        asked.append(how.chosen.stop - how.chosen.start)
        return read(arguments, how, **more)

    monkeypatch.setattr(zarr.Chunks, "write", counting)
    monkeypatch.setattr(dataset, "read_files", reading)
    model.dump("*", tmp_path / "many.npy", tmp_path / "out.zarr", size=8)
    assert len(most) == 2 * 50
    assert max(most) <= 1
    assert max(asked) == 8
    assert len(asked) >= 50


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"size": 5}, "another batch size (4 there, 5 now)"),
        ({"layer": "first"}, "other values: second#0/out0 is float32 [3], axis 0, 1 times 1 there, nothing now"),
        ({"side": "both"}, "other values: first#0/in0 is nothing there"),
        ({"verify": False}, "another choice of --no-verify"),
        ({"data": rows() + 1}, "other data, or it changed since"),
        ({"data": rows(20)}, "other data, or it changed since"),
        ({"threads": "77"}, "another number of threads"),
        ({"model": "other.onnx"}, "another model, or it changed since"),
        ({"versions": {"numpy": "0"}}, "begun with"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_another_dump_is_not_gone_on_with(whole, model, data, folder, monkeypatch, change, said):
    before = contents(whole)
    if "threads" in change:
        monkeypatch.setattr(dump, "threads", lambda: change["threads"])
    if "versions" in change:
        monkeypatch.setattr(dump, "versions_of", lambda _format: change["versions"])
    options = {"size": 4, **{name: change[name] for name in ("size", "side", "verify") if name in change}}
    with contextlib.ExitStack() as stack:
        which = model
        if "model" in change:
            which = stack.enter_context(open_model(dense(folder / "other.onnx", ("one", "two"))))
        caught = stack.enter_context(pytest.raises(OutputError))
        which.dump(change.get("layer", "*"), _file(folder, change.get("data"), data), whole, **options)
    assert said in caught.value.message
    assert "--force" in caught.value.hint
    after = contents(whole)
    assert all(after[name].tobytes() == values.tobytes() for name, values in before.items())


def _file(folder, values, usual):
    if values is None:
        return usual
    np.save(folder / "changed.npy", values)
    return folder / "changed.npy"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_force_begins_again(model, data, tmp_path, suffix):
    place = tmp_path / f"out{suffix}"
    model.dump("*", data, place, size=4)
    assert model.dump("first", data, place, size=5, overwrite=True).before == 0
    assert contents(place).keys() == {"index", "first#0/out0"}


@pytest.mark.parametrize("name", ["out.zarr", "out.h5"])
def test_what_is_no_dump_is_never_touched(model, data, tmp_path, name):
    place = tmp_path / name
    if name.endswith(".zarr"):
        place.mkdir()
        (place / "zarr.json").write_text("{}")
    else:
        place.write_bytes(b"my thesis")
    with pytest.raises(OutputError, match="is no dump"):
        model.dump("*", data, place, overwrite=True)
    assert (place / "zarr.json").read_text() == "{}" if place.is_dir() else place.read_bytes() == b"my thesis"


@pytest.mark.parametrize(
    ("name", "said"), [("out.npz", "a .zarr or an .h5"), ("none/out.zarr", "there isn't a folder")]
)
def test_places_where_nothing_can_be_written(model, data, tmp_path, name, said):
    with pytest.raises(OutputError, match=said):
        model.dump("*", data, tmp_path / name)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_two_processes_do_not_write_one_file(model, data, tmp_path, suffix):
    place = tmp_path / f"out{suffix}"
    model.dump("first", data, place, size=4)
    module = zarr if suffix == ".zarr" else hdf5
    held = module.open_store(place, module.read_about(place), [], [])
    try:
        with pytest.raises(OutputError, match="another process has it open"):
            model.dump("first", data, place, size=4)
    finally:
        held.close()
    assert model.dump("first", data, place, size=4).before == 6


@pytest.fixture(scope="module")
def mixed(folder):
    with open_model(folder / "mixing.onnx") as opened:
        yield opened


class TestWhoseRowsTheyAre:
    def test_a_named_layer_that_mixes_is_refused(self, mixed, data, tmp_path):
        with pytest.raises(LayerError, match=r"'centre' out0 is not written: .*several samples") as caught:
            mixed.dump(["clean", "centre"], data, tmp_path / "out.zarr", size=4)
        assert "--batch-size 1" in caught.value.hint
        assert not (tmp_path / "out.zarr").exists()

    def test_what_a_glob_matches_is_left_out(self, mixed, data, tmp_path):
        found = mixed.dump("*", data, tmp_path / "out.zarr", size=4)
        assert [value.layer for value in found.values] == ["clean"]
        why = {value.layer: value.left_out for value in found.left_out}
        assert why.keys() == {"centre", "last"}
        assert all("several samples" in reason for reason in why.values())
        assert contents(tmp_path / "out.zarr").keys() == {"index", "clean#0/out0"}

    def test_nothing_but_that_is_an_error(self, mixed, data, tmp_path):
        with pytest.raises(LayerError, match="nothing can be written: 'centre' out0"):
            mixed.dump("c*tre", data, tmp_path / "out.zarr", size=4)

    def test_one_sample_at_a_time_mixes_with_none(self, mixed, data, tmp_path):
        found = mixed.dump(["centre", "clean"], data, tmp_path / "out.zarr", size=1)
        assert {value.evidence for value in found.values} == {"each sample was run alone"}
        assert not contents(tmp_path / "out.zarr")["centre#0/out0"].any()  # each is its own mean

    def test_by_their_place_if_that_is_asked_for(self, mixed, data, tmp_path):
        found = mixed.dump("centre", data, tmp_path / "out.zarr", size=4, verify=False)
        assert found.values[0].evidence == "assumed from the shape (--no-verify)"
        assert not attributes(tmp_path / "out.zarr")["verified"]
        held = contents(tmp_path / "out.zarr")["centre#0/out0"]
        assert np.allclose(held[:4].mean(axis=0), 0, atol=1e-6)

    def test_what_no_graph_proves_is_verified_by_passes(self, mixed, data, tmp_path, monkeypatch):
        with open_model(data.parent / "dense.onnx", in_process=True) as opened:
            monkeypatch.setattr("kmr_cli.process.dump.proof_beside_passes", lambda *_, **__: (None, ""))
            found = opened.dump("*", data, tmp_path / "out.zarr", size=4)
            assert not any(value.proven for value in found.values)
            assert all(
                one.evidence.startswith("verified on the first batch of 4, samples 0, 2, 3:") for one in found.values
            )
        with open_model(data.parent / "mixing.onnx", in_process=True) as opened:
            found = opened.dump("*", data, tmp_path / "other.zarr", size=4)
            assert [value.layer for value in found.values] == ["clean"]

    def test_a_false_proof_is_contradicted(self, data, tmp_path, monkeypatch):
        from kmr_cli.errors import ProofError
        from kmr_cli.evidence import shares
        from kmr_cli.records import BatchIndex

        def claims(_proof, _tap, spec, size, _sample):
            return BatchIndex("separated", 0, tuple(range(size)), "", proven=True) if spec.shape[0] == size else None

        monkeypatch.setattr(shares, "proven_index", claims)
        with open_model(data.parent / "mixing.onnx", in_process=True) as opened:
            with pytest.raises(ProofError, match="out0 of layer 'centre'"):
                opened.dump("*", data, tmp_path / "out.zarr", size=4)
            assert opened.dump("clean", data, tmp_path / "out.zarr", size=4).values[0].proven

    def test_a_value_that_changes_its_shape(self, folder, tmp_path):
        values = np.abs(rows(12))
        values[:, 0] = 2.5
        values = np.minimum(values, 2.5)
        values[9, 1] = 6.5  # in the third batch it is wider
        np.save(tmp_path / "x.npy", values)
        with open_model(folder / "growing.onnx") as opened:
            with pytest.raises(ModelRunError) as caught:
                opened.dump("wide", tmp_path / "x.npy", tmp_path / "out.zarr", size=4)
            assert caught.value.message.startswith("rows 8:12: 'wide' out0: (4, 7) float32 for 4 samples")
            assert contents(tmp_path / "out.zarr")["index"].tolist() == [*range(8), *[-1] * 4]


def test_the_wrong_answers_of_a_child_are_refused(model, data, tmp_path, monkeypatch):
    plan = []

    class Lies:
        info, report = None, None

        def run(self, _task, arguments, take):
            plan.append(arguments)
            for part in self.parts:
                take(part)

    made = one_batch.Plan(two_values(), {0: 0}, None, ("out",))
    fed = feed.Feed.__new__(feed.Feed)
    fed.size, fed.data = 4, dataset.DataSet(4, 0, lambda _start, _stop: [])
    monkeypatch.setattr(feed.Feed, "batch", lambda *_: {})
    written = []

    class Keeps:
        def write(self, value, batch, values):
            written.append((value, batch, values.shape))

        def finish(self, batch):
            written.append(("done", batch))

    good = np.zeros((4, 5), np.float32)
    for parts, said in [
        ([], "not all values"),
        ([(1, good)], "nobody asked for"),
        ([(0, good), (0, good)], "nobody asked for"),
        ([(0, good[:3])], "another shape"),
        ([(0, good.astype(np.float64))], "another shape"),
    ]:
        lies = Lies()
        lies.parts = parts
        with pytest.raises(ModelRunError, match=said):
            one_batch.run_batch(lies, fed, made, Keeps(), 0)
        assert ("done", 0) not in written
    lies.parts = [(0, good)]
    one_batch.run_batch(lies, fed, made, Keeps(), 0)
    assert written[-1] == ("done", 0)


def two_values():
    from kmr_cli.records import DumpedValue

    return (
        DumpedValue("a", 0, "out0", (5,), "float32", 0, 1, 1, "separated", ""),
        DumpedValue("b", 0, "out0", (5,), "float32", 0, 1, 1, "mixed", "", left_out="mixed"),
    )


def test_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    assert about.threads() == "3"
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "2")
    assert about.threads() == "3, of TensorFlow 2"
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS")
    assert about.threads().isdigit()
