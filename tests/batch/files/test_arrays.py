"""Rows of .npy and .npz files: those that are asked for, without the others."""

import resource
import zipfile

import numpy as np
import pytest

from kmr_cli.batch.files import arrays, source
from kmr_cli.batch.given import read_files
from kmr_cli.config.reading import Reading
from kmr_cli.errors import BatchError

VALUES = np.arange(60.0).reshape(20, 3)


def rows_of(argument, rows):
    (item,) = read_files([str(argument)], Reading(rows))
    return item.array


@pytest.mark.parametrize(("rows", "expected"), [("4:7", slice(4, 7)), (":2", slice(0, 2)), ("18:", slice(18, 20))])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_rows(tmp_path, rows, expected, save):
    np.save(tmp_path / "a.npy", VALUES)
    np.save(tmp_path / "f.npy", np.asfortranarray(VALUES))
    save(tmp_path / "a.npz", x=VALUES, y=np.zeros(20))
    save(tmp_path / "f.npz", x=np.asfortranarray(VALUES))
    for argument in ("a.npy", "f.npy", "a.npz:x", "a.npz::x", "f.npz"):
        assert rows_of(tmp_path / argument, rows).tolist() == VALUES[expected].tolist(), argument


def test_rows_of_text(tmp_path):
    text = np.array(["a", "b", "c"], object)
    np.save(tmp_path / "a.npy", text, allow_pickle=True)
    np.savez(tmp_path / "a.npz", x=text)
    for name in ("a.npy", "a.npz"):
        assert rows_of(tmp_path / name, "1:3").tolist() == ["b", "c"]


@pytest.mark.parametrize("rows", ["10:21", "20:", "30:31"])
@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_rows_that_are_not_there(tmp_path, rows, name):
    np.save(tmp_path / "a.npy", VALUES)
    np.savez(tmp_path / "a.npz", x=VALUES)
    with pytest.raises(BatchError, match="holds 20 rows") as caught:
        rows_of(tmp_path / name, rows)
    assert caught.value.hint.startswith("--rows 1")


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_a_file_larger_than_the_memory(tmp_path, name):
    """The file is sparse, or packed: it takes no space, and would take more memory than this process may have."""
    if name == "a.npy":
        np.lib.format.open_memmap(tmp_path / name, "w+", np.float32, (2**16, 2**14))[40_000] = 7
    else:
        archive = zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED)
        with archive, archive.open("x.npy", "w", force_zip64=True) as member:
            header = {"descr": "<f4", "fortran_order": False, "shape": (2**10, 2**14)}
            np.lib.format.write_array_header_2_0(member, header)
            for number in range(2**4):
                member.write(np.full((2**6, 2**14), number, np.float32).tobytes())
    row = 40_000 if name == "a.npy" else 500
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = rows_of(tmp_path / name, f"{row}:{row + 2}")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert found[0, 0] == 7
    assert found.shape == (2, 2**14)
    assert grown < 40_000  # kB; the whole array takes 64 MB and more


def test_a_key_that_is_not_there(tmp_path):
    np.savez(tmp_path / "a.npz", left=VALUES, right=VALUES)
    np.save(tmp_path / "a.npy", VALUES)
    for argument, problem in (("a.npz:middle", "holds no array 'middle'"), ("a.npy:x", "holds one array without")):
        with pytest.raises(BatchError, match=problem):
            read_files([str(tmp_path / argument)])
    (item,) = read_files([f"x={tmp_path / 'a.npz'}:right"])
    assert (item.name, item.array.shape) == ("x", (20, 3))


def test_a_colon_in_the_name_of_a_file(tmp_path):
    np.save(tmp_path / "a:b.npy", VALUES)
    (item,) = read_files([str(tmp_path / "a:b.npy")])
    assert item.array.shape == (20, 3)


# -- files that would fill the memory


@pytest.fixture
def small(monkeypatch):
    """Limits that small files reach."""
    monkeypatch.setattr(source, "MOST", 400)
    monkeypatch.setattr(arrays, "_SMALL", 1000)


@pytest.mark.parametrize("save", [np.save, lambda path, values: np.savez(path, x=values)])
def test_what_takes_much_memory_is_refused_unless_rows_are_asked_for(tmp_path, small, save):
    save(tmp_path / "a", VALUES)
    (path,) = tmp_path.iterdir()
    with pytest.raises(BatchError, match=rf"{path.name}: takes 0.0 GB of memory") as raised:
        read_files([str(path)])
    assert raised.value.hint == "--rows 0:32 reads the first 32 rows alone"
    assert rows_of(path, "4:7").tolist() == VALUES[4:7].tolist()


def test_arrays_count_together(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", x=VALUES, y=VALUES)
    monkeypatch.setattr(source, "MOST", 1000)
    with pytest.raises(BatchError, match=r"takes 0\.0 GB of memory"):
        read_files([str(tmp_path / "a.npz")])
    assert read_files([str(tmp_path / "a.npz:x")])


def test_what_unpacks_to_much_is_refused(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros(10**6), f=np.zeros((10**3, 10**3), order="F"))
    assert len(read_files([str(tmp_path / "a.npz")])) == 2
    monkeypatch.setattr(arrays, "_SMALL", 10**5)
    with pytest.raises(BatchError, match=r"a.npz:x: 0.0 MB of the file claim to unpack to 0.0 GB"):
        read_files([str(tmp_path / "a.npz")])
    assert rows_of(f"{tmp_path / 'a.npz'}:x", "4:7").tolist() == [0, 0, 0]
    with pytest.raises(BatchError, match=r"a\.npz:f: .* claim to unpack"):  # of which rows are no piece
        rows_of(f"{tmp_path / 'a.npz'}:f", "4:7")


def test_thousands_of_arrays_are_refused(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", x=VALUES, y=VALUES)
    monkeypatch.setattr(arrays, "_MOST_ARRAYS", 1)
    with pytest.raises(BatchError, match="holds 2 arrays, and no model has as many inputs"):
        read_files([str(tmp_path / "a.npz")])
