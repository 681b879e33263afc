"""Sparse matrices of SciPy in .npz files: the same numbers as SciPy's own, and nothing outside of the matrix."""

import numpy as np
import pytest
from scipy import sparse

from kmr_cli.batch.files import arrays
from kmr_cli.batch.files.source import parse
from kmr_cli.config.reading import Reading
from kmr_cli.errors import BatchError

RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(20, 7)).astype(np.float32) * (RNG.random((20, 7)) < 0.3)


def read(path, rows=None, argument="{}"):
    return arrays.read(parse(argument.format(path)), Reading(rows))


@pytest.mark.parametrize("rows", [None, "5:12"])
@pytest.mark.parametrize("layout", ["csr", "csc", "coo"])
def test_it_is_what_scipy_reads(tmp_path, layout, rows):
    path = tmp_path / "x.npz"
    sparse.save_npz(path, sparse.csr_matrix(VALUES).asformat(layout))
    (given,) = read(path, rows, "image={}")
    expected = sparse.load_npz(path).toarray()[slice(5, 12) if rows else slice(None)]
    assert given.name == "image"
    assert given.array.dtype == np.float32
    assert given.array.tobytes() == expected.tobytes()
    assert arrays.lengths(parse(str(path))) is None  # it is read as a whole, also where a data set is


def test_values_at_one_place_are_added(tmp_path):
    path = tmp_path / "x.npz"
    matrix = sparse.coo_matrix(([1.0, 2.0, 4.0], ([1, 1, 0], [2, 2, 0])), (3, 4))
    sparse.save_npz(path, matrix)
    assert read(path)[0].array.tolist() == [[4, 0, 0, 0], [0, 0, 3, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("layout", ["dia", "bsr"])
def test_other_layouts(tmp_path, layout):
    sparse.save_npz(tmp_path / "x.npz", sparse.csr_matrix(VALUES).asformat(layout))
    with pytest.raises(BatchError, match=f"the layout '{layout}'"):
        read(tmp_path / "x.npz")


def csr(**other):
    matrix = sparse.csr_matrix(VALUES)
    parts = {name: getattr(matrix, name) for name in ("indices", "indptr", "data", "shape")}
    return {"format": b"csr", **parts, **other}


def changed(array, place, value):
    array = array.copy()
    array[place] = value
    return array


MATRIX = csr()


@pytest.mark.parametrize(
    "parts",
    [
        csr(indices=changed(MATRIX["indices"], 0, 7)),
        csr(indices=changed(MATRIX["indices"], 0, -1)),
        csr(indptr=changed(MATRIX["indptr"], -1, 10**9)),
        csr(indptr=changed(MATRIX["indptr"], 3, 10**9)),
        csr(indptr=MATRIX["indptr"][:-1]),
        csr(indices=MATRIX["indices"].astype(float)),
        csr(data=MATRIX["data"][1:]),
        csr(data=MATRIX["data"].astype("U5")),
        csr(shape=(20,)),
        csr(shape=(20, -7)),
        {"format": b"coo", "data": np.ones(1), "shape": (2, 2), "row": np.array([2]), "col": np.array([0])},
        {"format": b"coo", "data": np.ones(1), "shape": (2, 2)},
    ],
)
def test_a_damaged_one(tmp_path, parts):
    np.savez(tmp_path / "x.npz", **parts)
    with pytest.raises(BatchError, match="not a sparse matrix, or a damaged one"):
        read(tmp_path / "x.npz")


def test_one_that_is_too_large_when_it_is_dense(tmp_path):
    path = tmp_path / "x.npz"
    sparse.save_npz(path, sparse.coo_matrix((np.ones(3), ([0, 5, 10**6], [0, 1, 10**6])), (10**6 + 1, 10**6 + 1)))
    with pytest.raises(BatchError, match=r"takes 8000\.0 GB of memory"):
        read(path)
    assert read(path, "4:6")[0].array.sum() == 1


def test_it_has_no_key(tmp_path):
    sparse.save_npz(tmp_path / "x.npz", sparse.csr_matrix(VALUES))
    with pytest.raises(BatchError, match="without a name"):
        read(tmp_path / "x.npz", argument="{}:data")
