"""A data set on several processes and on a Dask cluster: the same file, bit for bit."""

import numpy as np
import pytest
from zoo.dumps import contents, dense, rows, same

from kmr_cli import InputFunction, open_model
from kmr_cli.api.dumping import on_cluster, one_batch
from kmr_cli.errors import KmrError, ModelRunError, OutputError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    np.save(place / "x.npy", rows(50))
    dense(place / "dense.onnx")
    with open_model(place / "dense.onnx") as model:
        model.dump("*", place / "x.npy", place / "single.zarr", size=4)
        model.dump("*", place / "x.npy", place / "single.h5", size=4)
    return place


@pytest.mark.parametrize("suffix", [".zarr", ".h5"])
def test_several_processes(folder, tmp_path, suffix):
    place = tmp_path / f"out{suffix}"
    with open_model(folder / "dense.onnx") as model:
        assert model.dump("*", folder / "x.npy", place, size=4, jobs=3).before == 0
        same(place, folder / f"single{suffix}")
        assert model.dump("*", folder / "x.npy", place, size=4).before == 13


def test_a_batch_that_fails_ends_the_others(folder, tmp_path, monkeypatch):
    ran = []

    def fails(_twin, _feed, _plan, _store, number):
        ran.append(number)
        if number == 2:
            raise ModelRunError("no")

    monkeypatch.setattr("kmr_cli.api.dumping.dump.run_batch", fails)
    with open_model(folder / "dense.onnx") as model, pytest.raises(ModelRunError, match="no"):
        model.dump("*", folder / "x.npy", tmp_path / "out.zarr", size=1, jobs=2)
    assert 2 in ran
    assert len(ran) < 50


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("distributed")
    from distributed import LocalCluster

    with pytest.MonkeyPatch.context() as patched:
        for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
            patched.setenv(name, "1")  # the workers have them from here
        made = LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs="ERROR"
        )  # fmt: skip
    with made:
        yield made


def test_a_cluster(cluster, folder, tmp_path, monkeypatch):
    """The workers' threads are in the file: a single run of as many goes on with it."""
    place = tmp_path / "out.zarr"
    monkeypatch.chdir(folder)  # what is named from here, the workers find from there
    with open_model("dense.onnx") as model:
        found = model.dump("*", "x.npy", place, size=4, scheduler=cluster.scheduler_address)
        assert (found.before, found.batches) == (0, 13)
        same(place, folder / "single.zarr")
        monkeypatch.setattr("kmr_cli.api.dumping.dump.threads", lambda: "1")
        assert model.dump("*", "x.npy", place, size=4).before == 13
        monkeypatch.undo()


def test_a_cluster_goes_on_with_what_a_single_run_began(cluster, folder, tmp_path, monkeypatch):
    place = tmp_path / "out.zarr"
    run = one_batch.run_batch

    def stops(opened, fed, plan, store, number):
        run(opened, fed, plan, store, number)
        if number == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, open_model(folder / "dense.onnx") as model:
        patched.setattr("kmr_cli.api.dumping.dump.run_batch", stops)
        patched.setattr("kmr_cli.api.dumping.dump.threads", lambda: "1")
        with pytest.raises(KeyboardInterrupt):
            model.dump("*", folder / "x.npy", place, size=4)
    before = {path: path.stat().st_mtime_ns for path in place.rglob("c.*")}
    assert len(before) == 3 * 5
    with open_model(folder / "dense.onnx") as model:
        found = model.dump("*", folder / "x.npy", place, size=4, scheduler=cluster.scheduler_address)
    assert found.before == 5
    assert {path: path.stat().st_mtime_ns for path in before} == before
    same(place, folder / "single.zarr")


def test_what_a_worker_meets_is_told(cluster, folder, tmp_path):
    values = rows(12)
    values[:, 0] = 1
    values[9] = np.nan
    (folder / "kmr_fails_later.py").write_text(
        "import numpy\ndef batch(): return numpy.zeros((12, 4), numpy.float32)\n"
    )
    with open_model(folder / "dense.onnx") as model:
        with pytest.raises(KmrError, match="kmr_fails_later"):
            model.dump(
                "*", InputFunction("kmr_fails_later:batch"), tmp_path / "a.zarr", scheduler=cluster.scheduler_address
            )  # fmt: skip
        with pytest.raises(OutputError, match="several machines"):
            model.dump("*", folder / "x.npy", tmp_path / "a.h5", scheduler=cluster.scheduler_address)


def test_no_scheduler(folder, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(on_cluster, "_PATIENCE", "1s")
    with open_model(folder / "dense.onnx") as model, pytest.raises(KmrError, match="no Dask scheduler answers"):
        model.dump("*", folder / "x.npy", tmp_path / "out.zarr", scheduler="tcp://127.0.0.1:9")
    assert not (tmp_path / "out.zarr").exists()


class Client:
    """Workers that answer differently."""

    def __init__(self, answers):
        self.answers = answers

    def run(self, question, *_):
        if isinstance(self.answers, Exception):
            raise self.answers
        return self.answers.get(question.__name__, {})


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"threads": {"a": "1", "b": "2"}}, "different threads: a 1, b 2"),
        ({}, "has no workers"),
        (ModuleNotFoundError("No module named 'kmr_cli'"), "do not have this program"),
    ],
    ids=["threads", "none", "program"],
)
def test_workers_that_are_no_use(answers, said):
    with pytest.raises(KmrError, match=said):
        on_cluster.Cluster(Client(answers), "tcp://x").threads()


def test_workers_with_other_versions(folder):
    from kmr_cli.dumps import zarr

    about = zarr.read_about(folder / "single.zarr")
    other = {**about.versions, "numpy": "1.0"}
    cluster = on_cluster.Cluster(Client({"versions_of": {"a": other, "b": other}}), "tcp://x")
    with pytest.raises(KmrError, match=r"have numpy 1\.0, and this machine"):
        cluster.run(None, None, None, folder, about, [0], print)


def test_workers_with_other_files(folder, tmp_path):
    """A worker that sees another model, other data or no result says so, and writes nothing."""
    from kmr_cli.api.feed import Feed
    from kmr_cli.api.model import opened
    from kmr_cli.batch.request import request
    from kmr_cli.dumps import zarr

    about = zarr.read_about(folder / "single.zarr")
    asked = request(str(folder / "x.npy"), 4, None, 0)
    with open_model(folder / "dense.onnx") as model:
        behind = opened(model)
        Feed(behind, asked)
        plan = one_batch.Plan((), {}, None, ("out",))
        job = on_cluster._job(behind, asked, plan, folder / "single.zarr", about)
    for change, said in [
        ({"marks": ((1, 1),)}, "the data is another file"),
        ({"place": str(tmp_path / "none.zarr")}, "is not there"),
        ({"path": str(dense(tmp_path / "dense.onnx", ("one", "two")))}, "another file on the worker"),
    ]:
        with pytest.raises(KmrError, match=said):
            on_cluster._Ready(on_cluster.replace(job, **change))
    assert len(contents(folder / "single.zarr")) == 3
