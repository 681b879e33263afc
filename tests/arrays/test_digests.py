"""Digests of tensors: equal means equal, anything else means that someone has to look."""

import ml_dtypes
import numpy as np
import pytest

from kmr_cli.arrays.digests import Fingerprint, digest, digests

DTYPES = ["float32", "float64", "float16", "int64", "int8", "bool", "complex64", ml_dtypes.bfloat16]


def tensor(dtype="float32", shape=(6, 5, 7)):
    return (np.random.default_rng(0).standard_normal(shape) * 9).astype(dtype)


def laid_out(array, layout):
    if layout == "columns":
        return np.asfortranarray(array)
    if layout == "gaps":
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    return array.copy()


@pytest.mark.parametrize("layout", ["rows", "columns", "gaps"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_row_is_distinguished_from_every_other(dtype, layout):
    array = tensor(dtype)
    fingerprint = Fingerprint(array, 6)
    assert fingerprint.same(laid_out(array, layout))
    for row in range(6):
        other = array.copy()
        other[row, 4, 6] = not other[row, 4, 6] if dtype == "bool" else other[row, 4, 6] + np.array(1).astype(dtype)
        other = laid_out(other, layout)
        assert not fingerprint.same(other)
        assert not fingerprint.same(other, [row])
        assert fingerprint.same(other, [part for part in range(6) if part != row])


def test_a_change_of_place_is_seen():
    array = tensor()
    fingerprint = Fingerprint(array, 6)
    assert not fingerprint.same(np.roll(array, 1, axis=1))
    assert not fingerprint.same(array[:, :, ::-1])
    assert not fingerprint.same(array[[1, 0, 2, 3, 4, 5]], [0])


def test_the_whole_tensor_as_one_part():
    array = tensor()
    assert Fingerprint(array).same(array.copy())
    assert not Fingerprint(array).same(array + 1)
    assert Fingerprint(np.float32(3) * np.ones(())).same(np.full((), 3.0))
    assert Fingerprint(np.zeros((0, 3))).same(np.zeros((0, 3)))


def test_equal_values_in_other_bits_are_for_others_to_judge():
    assert not Fingerprint(np.zeros(4)).same(-np.zeros(4))


@pytest.mark.parametrize("other", [tensor(shape=(6, 7, 5)), tensor().view("int32"), tensor()[:5]])
def test_another_shape_or_dtype_is_not_the_same(other):
    assert not Fingerprint(tensor(), 6).same(other)


def test_text_has_none():
    text = np.array([b"a", b"b"], object)
    assert digests(text, 2, range(2)) is None
    assert not Fingerprint(text, 2).same(text)


def test_a_tensor_with_gaps_is_not_copied_as_a_whole():
    assert digests(laid_out(tensor(), "gaps"), 1, [0]) is None
    assert not Fingerprint(tensor()).same(laid_out(tensor(), "gaps"))


def test_digests_do_not_depend_on_the_layout():
    array = tensor()
    assert digests(array, 6, range(6)) == digests(np.asfortranarray(array), 6, range(6))
    assert len(set(digests(array, 6, range(6)))) == 6


@pytest.mark.parametrize("layout", ["columns", "gaps"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_digest_is_of_values_and_not_of_how_they_lie(dtype, layout):
    array = tensor(dtype)
    assert digest(array) == digest(laid_out(array, layout))
    assert digest(array) != digest(array.reshape(5, 6, 7))
    other = array.copy()
    other[0, 0, 0] = 0
    assert digest(array) != digest(other)


def test_a_digest_knows_dtypes_that_have_one_width():
    bits = np.arange(4, dtype=np.int16)
    assert len({digest(bits.view(dtype)) for dtype in (np.int16, np.float16, ml_dtypes.bfloat16)}) == 3


def test_a_digest_of_text():
    assert digest(np.array([b"a", b"b"], object)) == digest(np.array([b"a", b"b"], object))
    assert digest(np.array([b"a", b"b"], object)) != digest(np.array([b"ab", b""], object))
