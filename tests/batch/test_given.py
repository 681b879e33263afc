"""Files and arrays against what a model wants; synthetic batches."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kmr_cli.batch.fit import fit
from kmr_cli.batch.given import from_arrays, read_files
from kmr_cli.batch.synthetic import choose_batch_size, synthesize
from kmr_cli.batch.words import show_shape
from kmr_cli.errors import BatchError
from kmr_cli.formats.facts import without_inputs
from kmr_cli.records import ModelInfo, TensorSpec

IMAGE = TensorSpec("image", (None, 8, 8, 1), "float32")
TOKENS = TensorSpec("tokens", (None, None), "int32", limit=50)


def info(*specs, **more):
    return ModelInfo("m", "keras", "Keras", specs, (), (), 0, **more)


def fitted(data, *specs, notice=lambda _: None, fixed_batch=None):
    hint = without_inputs("keras")
    return fit(from_arrays(data), specs, fixed_batch=fixed_batch, notice=notice, without_inputs=hint)


class TestReading:
    def test_npy(self, tmp_path):
        np.save(tmp_path / "a.npy", np.ones((2, 3)))
        (item,) = read_files([str(tmp_path / "a.npy")])
        assert item.name is None
        assert item.array.shape == (2, 3)

    def test_named_npy(self, tmp_path):
        np.save(tmp_path / "a.npy", np.ones((2, 3)))
        (item,) = read_files([f"left={tmp_path / 'a.npy'}"])
        assert item.name == "left"

    def test_a_file_whose_name_has_an_equals_sign(self, tmp_path):
        np.save(tmp_path / "lr=1.npy", np.ones(2))
        (item,) = read_files([str(tmp_path / "lr=1.npy")])
        assert item.name is None

    def test_npz_with_labels(self, tmp_path):
        np.savez(tmp_path / "d.npz", image=np.ones((4, 8, 8, 1), np.float32), label=np.arange(4))
        notices = []
        batch = fit(read_files([str(tmp_path / "d.npz")]), (IMAGE,), fixed_batch=None, notice=notices.append)
        assert list(batch) == ["image"]
        assert notices == [f"{tmp_path / 'd.npz'}: left out 'label'"]

    def test_lone_array_of_an_npz_needs_no_name(self, tmp_path):
        np.savez(tmp_path / "d.npz", whatever=np.ones((4, 8, 8, 1), np.float32))
        assert list(fit(read_files([str(tmp_path / "d.npz")]), (IMAGE,), fixed_batch=None, notice=print)) == ["image"]

    def test_a_name_that_is_typed_is_the_input(self, tmp_path, monkeypatch):
        """And what to type instead is told with the files as they were given."""
        monkeypatch.chdir(tmp_path)
        np.savez("d.npz", a=np.ones((4, 8, 8, 1), np.float32), b=np.ones((4, 8, 8, 1), np.float32))
        np.save("left.npy", np.ones((4, 8, 8, 1), np.float32))
        Path("t.csv").write_text("a,b\n1,2\n")
        pair = (replace(IMAGE, name="left"), replace(IMAGE, name="right"))
        assert list(fit(read_files(["d.npz:a"]), (IMAGE,), fixed_batch=None, notice=print)) == ["image"]
        for arguments, specs, hint in (
            (["wrong=d.npz:a"], (IMAGE,), "give --input image=d.npz:a"),
            (["wrong=left.npy"], (IMAGE,), "give --input image=left.npy"),
            (["d.npz"], (IMAGE,), "give --input image=d.npz:a"),
            (["d.npz"], pair, "give --input left=d.npz:a --input right=d.npz:b"),
            (["d.npz:b", "left.npy"], pair, "give --input left=left.npy --input right=d.npz:b"),
            (["t.csv"], pair, "give --input left=t.csv:a --input right=t.csv:b"),
            (
                ["left=t.csv:b"],
                pair,
                "give --input left=t.csv:b --input right=FILE.npy, or one npz file with these names",
            ),
        ):
            with pytest.raises(BatchError, match="no data for input") as caught:
                fit(read_files(arguments), specs, fixed_batch=None, notice=print)
            assert caught.value.hint == hint

    def test_one_member_of_an_npz(self, tmp_path):
        np.savez(tmp_path / "d.npz", left=np.zeros(2), right=np.ones(2))
        (item,) = read_files([f"right={tmp_path / 'd.npz'}"])
        assert item.array.tolist() == [1, 1]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "not a .npy or .npz file"),
            (b"PK\x03\x04cut", "not a .npy or .npz"),
            (b"\x93NUMPY\x01\x00", "not a .npy"),
        ],
        ids=["empty", "cut zip", "cut npy"],
    )
    def test_damaged_files(self, tmp_path, content, message):
        (tmp_path / "x.npy").write_bytes(content)
        with pytest.raises(BatchError, match=message):
            read_files([str(tmp_path / "x.npy")])

    def test_missing_file(self, tmp_path):
        with pytest.raises(BatchError, match="no such file"):
            read_files([str(tmp_path / "none.npy")])

    def test_python_objects_are_not_read(self, tmp_path):
        np.save(tmp_path / "o.npy", np.array([{}], dtype=object), allow_pickle=True)
        with pytest.raises(BatchError, match="Python objects"):
            read_files([str(tmp_path / "o.npy")])

    def test_an_array_in_python_that_is_none(self):
        fields = np.zeros(3, [("a", "f4"), ("b", "i4")])
        for value, message in (
            (fields, "fields a, b"),
            ({"x": 1}, "a dict, not an array"),
            ([[1], ["a", [2]]], "lengths"),
        ):
            with pytest.raises(BatchError, match=message) as caught:
                from_arrays({"image": value})
            assert caught.value.message.startswith("image: ")
            assert caught.value.hint

    def test_a_tensor_that_numpy_cannot_take(self):
        class Tensor:
            def __array__(self, dtype=None, copy=None):
                raise RuntimeError("Can't call numpy() on Tensor that requires grad.\nmore")

        with pytest.raises(BatchError, match=r"an array for NumPy \(Can't call numpy\(\) on Tensor that") as caught:
            from_arrays(Tensor())
        assert "tensor.detach()" in caught.value.hint


class TestFitting:
    def test_rank_and_shape_are_named(self):
        with pytest.raises(BatchError, match=r"'image': expected shape \(batch, 8, 8, 1\), given \(4, 8, 8\)"):
            fitted(np.ones((4, 8, 8), np.float32), IMAGE)

    def test_a_single_sample_is_recognized(self):
        with pytest.raises(BatchError) as caught:
            fitted(np.ones((8, 8, 1), np.float32), IMAGE)
        assert "add the batch axis" in caught.value.hint

    def test_rows_that_could_be_images_are_recognized(self):
        with pytest.raises(BatchError) as caught:
            fitted(np.ones((4, 64), np.float32), IMAGE)
        assert "array.reshape(-1, 8, 8, 1)" in caught.value.hint
        with pytest.raises(BatchError) as caught:
            fitted(np.ones((4, 65), np.float32), IMAGE)
        assert caught.value.hint is None

    def test_channels_first_is_recognized(self):
        with pytest.raises(BatchError) as caught:
            fitted(np.ones((4, 1, 8, 8), np.float32), IMAGE)
        assert "another order" in caught.value.hint

    def test_wider_floats_are_cast_with_a_notice(self):
        notices = []
        batch = fitted(np.ones((4, 8, 8, 1)), IMAGE, notice=notices.append)
        assert batch["image"].dtype == np.float32
        assert notices == ["input 'image': cast from float64 to float32"]

    def test_floats_for_integers_are_refused(self):
        with pytest.raises(BatchError, match="'tokens': expected int32, given float64"):
            fitted(np.ones((4, 3)), TOKENS)

    def test_integers_that_do_not_fit_are_refused(self):
        with pytest.raises(BatchError, match="expected int8, given int64"):
            fitted(np.array([[300]]), TensorSpec("x", (None, 1), "int8"))

    def test_text(self):
        spec = TensorSpec("word", (None,), "string")
        assert fitted(np.array(["a", "é"]), spec)["word"].tolist() == [b"a", "é".encode()]
        with pytest.raises(BatchError, match="expected string, given int64"):
            fitted(np.array([1]), spec)
        with pytest.raises(BatchError, match="expected float32, given string"):
            fitted(np.full((2, 8, 8, 1), "a"), IMAGE)
        with pytest.raises(BatchError, match=r"Python objects \(NoneType\), neither numbers nor text"):
            fitted(np.array(["a", None], dtype=object), spec)

    @pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="NumPy 2")
    def test_text_of_any_length(self):
        text = np.array(["a", "é"], dtype=np.dtypes.StringDType())
        assert fitted(text, TensorSpec("word", (None,), "string"))["word"].tolist() == [b"a", "é".encode()]
        assert fitted(text, TensorSpec("word", None))["word"].tolist() == [b"a", "é".encode()]

    def test_embedding_range(self):
        with pytest.raises(BatchError, match=r"50 is outside the embedding's range \[0, 50\)"):
            fitted(np.array([[3, 50]]), TOKENS)
        with pytest.raises(BatchError, match="-1 is outside"):
            fitted(np.array([[3, -1]]), TOKENS)

    def test_missing_and_extra_names(self):
        two = (TensorSpec("left", (None, 2), "float32"), TensorSpec("right", (None, 2), "float32"))
        one = np.ones((3, 2), np.float32)
        with pytest.raises(BatchError, match="no data for input 'right'"):
            fitted({"left": one}, *two)
        with pytest.raises(BatchError, match="no data for input 'left', 'right'"):
            fitted(one, *two)
        with pytest.raises(BatchError, match="no input 'rihgt'") as caught:
            fitted({"left": one, "right": one, "rihgt": one}, *two)
        assert caught.value.hint == "did you mean 'right'?"

    def test_different_numbers_of_samples(self):
        two = (TensorSpec("left", (None,), "float32"), TensorSpec("right", (None,), "float32"))
        with pytest.raises(BatchError, match="left 3, right 2"):
            fitted({"left": np.ones(3, np.float32), "right": np.ones(2, np.float32)}, *two)

    def test_no_samples(self):
        with pytest.raises(BatchError, match="holds no samples"):
            fitted(np.ones((0, 8, 8, 1), np.float32), IMAGE)

    def test_a_single_number_is_not_a_batch(self):
        for spec in (IMAGE, TensorSpec("x"), TensorSpec("x", (), "float32", presumed=frozenset({"rank"}))):
            with pytest.raises(BatchError, match=r"given \(\)|a single number, but"):
                fitted(np.array(3.0, np.float32), spec)

    def test_text_where_the_file_tells_no_dtype(self):
        for words in (np.array(["a", "bc"]), np.array([b"a", b"bc"]), np.array(["a", b"bc"], object)):
            array = fitted(words, TensorSpec("x"))["x"]
            assert (array.dtype, array.tolist()) == (np.dtype(object), [b"a", b"bc"])
        with pytest.raises(BatchError, match="neither numbers nor text"):
            fitted(np.array(["a", None], object), TensorSpec("x"))

    @pytest.mark.parametrize(
        ("specs", "message"), [([], "declares no input"), ([IMAGE, TensorSpec("t", ())], "'t': takes a single number")]
    )
    def test_a_model_without_an_axis_for_samples(self, specs, message):
        data = {"image": np.ones((2, 8, 8, 1), np.float32), "t": np.float32(1)}
        for action in (lambda: fitted(data, *specs), lambda: synthesize(info(*specs), 4, 0, {})):
            with pytest.raises(BatchError, match=message) as caught:
                action()
            assert caught.value.hint

    def test_fixed_batch(self):
        with pytest.raises(BatchError, match="exactly 4 samples at a time, not 3"):
            fitted(np.ones((3, 8, 8, 1), np.float32), IMAGE, fixed_batch=4)
        with pytest.raises(BatchError, match="exactly 1 sample at a time, not 3") as caught:
            fitted(np.ones((3, 8, 8, 1), np.float32), IMAGE, fixed_batch=1)
        assert caught.value.hint == "--batch-size 1 takes the first"


class TestSynthetic:
    def test_seeded_and_valid(self):
        model = info(IMAGE, TOKENS)
        first, again, other = (synthesize(model, 5, seed, {}) for seed in (0, 0, 1))
        assert first["image"].shape == (5, 8, 8, 1)
        assert first["tokens"].dtype == np.int32
        assert first["tokens"].min() >= 0
        assert first["tokens"].max() < 50
        assert all(np.array_equal(first[name], again[name]) for name in first)
        assert not np.array_equal(first["image"], other["image"])

    @pytest.mark.parametrize("dtype", ["bool", "string", "complex64", "uint8", "bfloat16", "float16"])
    def test_every_dtype(self, dtype):
        (array,) = synthesize(info(TensorSpec("x", (None, 4), dtype)), 3, 0, {}).values()
        assert array.shape == (3, 4)
        assert array.dtype == (object if dtype == "string" else np.dtype(dtype))

    def test_floats_that_index_an_embedding_are_whole_numbers(self):
        spec = TensorSpec("ids", (None, 20), "float32", limit=4)
        (array,) = synthesize(info(spec), 5, 0, {}).values()
        assert array.dtype == np.float32
        assert set(array.ravel()) == {0, 1, 2, 3}
        with pytest.raises(BatchError, match="4 is outside"):
            fitted(np.full((2, 20), 4, np.float32), spec)

    def test_batch_size_equals_no_other_dimension(self):
        assert choose_batch_size(info(IMAGE)) == 9
        assert choose_batch_size(info(TOKENS), 12) == 13
        assert choose_batch_size(info(IMAGE, fixed_batch=3)) == 3

    def test_unknown_shape_asks_with_the_command(self):
        model = info(TensorSpec("x", (None, 3, None, None), "float32"), free_dims=False)
        with pytest.raises(BatchError) as caught:
            synthesize(model, 4, 0, {})
        assert "--input x=FILE.npy" in caught.value.hint
        assert "--shape 3,N,N" in caught.value.hint
        assert synthesize(model, 4, 0, {None: (3, 16, 16)})["x"].shape == (4, 3, 16, 16)

    def test_shape_that_contradicts_the_file(self):
        with pytest.raises(BatchError, match=r"shapes=\{'image': '9,9,1'\} does not fit"):
            synthesize(info(IMAGE), 4, 0, {"image": (9, 9, 1)})
        with pytest.raises(BatchError, match="the model has no input"):
            synthesize(info(IMAGE), 4, 0, {"img": (8, 8, 1)})


def test_damaged_files_of_every_kind_are_one_error(tmp_path):
    """Every byte in turn: whatever NumPy, zipfile and zlib raise, and no array of a terabyte."""
    np.savez_compressed(tmp_path / "a.npz", x=np.arange(40.0))
    np.save(tmp_path / "b.npy", np.arange(4.0))
    outcomes = set()
    for name in ("a.npz", "b.npy"):
        whole = (tmp_path / name).read_bytes()
        for place in range(len(whole)):
            for other in (b"\xff", b"9999999999", b"("):
                (tmp_path / "damaged").write_bytes(whole[:place] + other + whole[place + 1 :])
                try:
                    read_files([str(tmp_path / "damaged")])
                except BatchError as exc:
                    outcomes.add(exc.message.rpartition(": ")[2])
    assert "not a .npy or .npz file, or cut short" in outcomes


def test_rows_of_different_lengths_and_dates():
    with pytest.raises(BatchError, match="different lengths"):
        fitted([[1.0], [1.0, 2.0]], TensorSpec("x", (None, 2), "float32"))
    with pytest.raises(BatchError, match="expected float32, given datetime64"):
        fitted(np.zeros((2, 2), "M8[s]"), TensorSpec("x", (None, 2), "float32"))


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((None, -8), "float32"),
        ((None, 10**18, 10**18), "float32"),
        ((None, *[1] * 100), "int32"),
        ((None, 2), "flo\x1b"),
    ],
)
def test_synthetic_data_for_an_absurd_input_is_refused(shape, dtype):
    with pytest.raises(BatchError, match="cannot make synthetic data of"):
        synthesize(info(TensorSpec("x", shape, dtype)), 8, 0, {})


def test_shapes_are_shown_with_the_batch():
    assert show_shape((None, 8, None)) == "(batch, 8, ?)"
    assert show_shape((4,)) == "(4,)"
    assert show_shape(None) == "?"


class TestTextOfObjects:
    def test_text_is_read(self, tmp_path):
        rows = np.array([["hello there", "ä"], [b"check", ""]], dtype=object)
        np.save(tmp_path / "text.npy", rows, allow_pickle=True)
        np.save(tmp_path / "order.npy", np.asfortranarray(rows), allow_pickle=True)
        np.savez(tmp_path / "text.npz", words=rows, x=np.ones(2))
        for argument in ("text.npy", "order.npy", "text.npz"):
            found = read_files([str(tmp_path / argument)])
            assert found[0].array.tolist() == rows.tolist()
            assert found[0].array.dtype == object

    @pytest.mark.parametrize("value", [1, None, Path("x"), ["a"], np.float32(1)], ids=repr)
    def test_other_objects_are_refused(self, tmp_path, value):
        rows = np.array(["a", "b"], dtype=object)
        rows[1] = value
        np.save(tmp_path / "objects.npy", rows, allow_pickle=True)
        with pytest.raises(BatchError, match="Python objects") as raised:
            read_files([str(tmp_path / "objects.npy")])
        assert "astype(str)" in raised.value.hint

    def test_nothing_that_a_pickle_names_is_run(self, tmp_path):
        class Evil:
            def __reduce__(self):
                return Path.touch, (tmp_path / "evil",)

        np.save(tmp_path / "evil.npy", np.array([Evil(), "a"], dtype=object), allow_pickle=True)
        with pytest.raises(BatchError, match="Python objects"):
            read_files([str(tmp_path / "evil.npy")])
        assert not (tmp_path / "evil").exists()
