"""CSV and Parquet files: columns to inputs by name, or all as one; nothing is guessed, filled or cut off silently."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kmr_cli.batch.files import source
from kmr_cli.batch.fit import fit
from kmr_cli.batch.given import read_files
from kmr_cli.config.reading import Reading
from kmr_cli.errors import BatchError
from kmr_cli.records import TensorSpec

AGE = TensorSpec("age", (None, 1), "float32")
CITY = TensorSpec("city", (None,), "string")
ROW = TensorSpec("x", (None, 3), "float32")


def fed(arguments, *specs, rows=None):
    notices = []
    batch = fit(read_files(list(map(str, arguments)), Reading(rows)), specs, fixed_batch=None, notice=notices.append)
    return batch, notices


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_by_name(tmp_path):
    place = written(tmp_path / "a.csv", 'city,age,label\nOslo,3,1\n"a, b",4.5,0\n')
    batch, notices = fed([place], AGE, CITY)
    assert batch["age"].tolist() == [[3.0], [4.5]]
    assert batch["age"].dtype == np.float32
    assert batch["city"].tolist() == [b"Oslo", b"a, b"]
    assert notices == [f"{place}: left out 'label'"]


def test_all_columns_are_the_one_input_of_a_model(tmp_path):
    place = written(tmp_path / "a.csv", "a,b,c\n1,2,3\n4,5,6\n")
    batch, notices = fed([place], ROW)
    assert batch["x"].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert notices == [f"{place}: the columns 'a', 'b', 'c' are input 'x', in this order"]


def test_columns_are_chosen(tmp_path):
    place = written(tmp_path / "a.csv", "a,b,c,d\n1,2,3,4\n")
    assert fed([f"x={place}:d,a,b"], ROW)[0]["x"].tolist() == [[4, 1, 2]]
    assert fed([f"{place}:d,a,b"], ROW)[0]["x"].tolist() == [[4, 1, 2]]
    assert fed([f"age={place}:b"], AGE)[0]["age"].tolist() == [[2]]
    with pytest.raises(BatchError, match="has no column 'e'"):
        fed([f"x={place}:d,e"], ROW)


def test_another_number_of_columns(tmp_path):
    place = written(tmp_path / "a.csv", "a,b,c,label\n1,2,3,0\n")
    with pytest.raises(BatchError, match=r"has 4 columns .* but input 'x' takes 3 numbers a sample") as caught:
        fed([place], ROW)
    assert caught.value.hint == f"name the columns: --input x={place}:a,b,…"
    with pytest.raises(BatchError, match="takes more than a row") as caught:
        fed([place], TensorSpec("image", (None, 8, 8, 1), "float32"))
    assert caught.value.hint == "write them as an array of shape (batch, 8, 8, 1) with numpy.save"


def test_all_columns_are_no_input_where_some_go_by_name(tmp_path):
    place = written(tmp_path / "a.csv", "age,b\n1,2\n")
    with pytest.raises(BatchError, match="no data for input 'x'"):
        fed([place], AGE, TensorSpec("x", (None, 2), "float32"))


def test_names_of_digits_are_names(tmp_path):
    """``2_1`` is a number in Python's own text, and in no table."""
    place = written(tmp_path / "a.csv", "2_1,2_2,2_3\n1,2,3\n")
    assert fed([place], ROW)[0]["x"].tolist() == [[1, 2, 3]]
    assert fed([f"x={place}:2_3,2_1,2_2"], ROW)[0]["x"].tolist() == [[3, 1, 2]]


def test_without_names(tmp_path):
    np.savetxt(tmp_path / "a.csv", np.arange(6.0).reshape(2, 3), delimiter=",")
    assert fed([tmp_path / "a.csv"], ROW)[0]["x"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert fed([f"x={tmp_path / 'a.csv'}:2,1,0"], ROW)[0]["x"].tolist() == [[2, 1, 0], [5, 4, 3]]


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.tsv", "a\tb\tc\n1\t2\t3\n"), ("a.csv", "a;b;c\n1;2;3\n"), ("a.csv", "\ufeffa,b,c\r\n1,2,3\r\n\r\n")],
)
def test_delimiters_and_marks(tmp_path, name, text):
    assert fed([written(tmp_path / name, text)], ROW)[0]["x"].tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("age\n1\n\n3\n", "row 1 is empty"),
        ("age,b\n1,2\n,2\n", "row 1 is empty"),
        ("age,b\n1,2\nn/a,2\n", "row 1 holds 'n/a', which isn't a number"),
        ("age,age\n1,2\n", "two columns are called 'age'"),
        ("age,b\n1,2,3\n", "cannot be read as a table"),
        ("", "holds no table"),
        ("age\n", "the batch holds no samples"),
    ],
)
def test_what_is_missing_or_wrong_is_said(tmp_path, text, problem):
    with pytest.raises(BatchError, match=problem):
        fed([written(tmp_path / "a.csv", text)], AGE)


@pytest.mark.parametrize("name", ["BMI", "PK", "GIF8"])
def test_names_that_look_like_the_beginning_of_another_file(tmp_path, name):
    place = written(tmp_path / "a.csv", f"{name},age\n1,2\n")
    assert fed([place], AGE)[0]["age"].tolist() == [[2]]


def test_text_in_other_encodings(tmp_path):
    for encoding in ("latin-1", "utf-16"):
        (tmp_path / "a.csv").write_bytes("größe,age\n1,2\n".encode(encoding))
        with pytest.raises(BatchError, match="not text in UTF-8"):
            fed([tmp_path / "a.csv"], AGE)


def test_a_column_in_which_the_type_changes_far_below(tmp_path):
    """Types are not told by the first rows."""
    rows = [*map(str, range(300_000)), "0.5"]
    place = written(tmp_path / "a.csv", "age\n" + "\n".join(rows) + "\n")
    assert fed([place], AGE)[0]["age"][-1] == 0.5


def test_rows_of_a_large_file(tmp_path):
    place = written(tmp_path / "a.csv", "age,b\n" + "".join(f"{number},x\n" for number in range(500_000)) + "broken")
    assert fed([place], AGE, rows="400000:400003")[0]["age"].ravel().tolist() == [400_000, 400_001, 400_002]
    place.write_text("age,b\n1,2\n3,4\n")
    with pytest.raises(BatchError, match="holds 2 rows"):
        fed([place], AGE, rows="1:3")


def test_a_file_that_does_not_fit_into_memory_is_refused_without_rows(tmp_path):
    place = written(tmp_path / "a.csv", "age,b\n" + "1,2\n" * 100)
    with place.open("r+b") as file:
        file.truncate(5 * 10**9)  # sparse
    with pytest.raises(BatchError, match=r"5\.0 GB") as caught:
        fed([place], AGE)
    assert "--rows" in caught.value.hint
    assert len(fed([place], AGE, rows="0:32")[0]["age"]) == 32


class TestParquet:
    @pytest.fixture
    def place(self, tmp_path):
        table = pa.table({
            "age": pa.array(range(10), pa.int32()),
            "city": pa.array([f"c{number}" for number in range(10)]).dictionary_encode(),
            "x": [[float(number)] * 3 for number in range(10)],
            "ragged": [[1]] * 9 + [[1, 2]],
            "gap": [1] * 9 + [None],
            "when": pa.array([0] * 10, pa.timestamp("s")),
        })  # fmt: skip
        pq.write_table(table, tmp_path / "a.parquet", row_group_size=4)
        return tmp_path / "a.parquet"

    def test_columns_by_name(self, place):
        batch, notices = fed([place], AGE, CITY, ROW, rows="3:9")
        assert batch["age"].ravel().tolist() == [3, 4, 5, 6, 7, 8]
        assert batch["city"].tolist()[:2] == [b"c3", b"c4"]
        assert batch["x"][0].tolist() == [3, 3, 3]
        assert f"{place}: left out 'ragged', 'gap', 'when'" in notices

    @pytest.mark.parametrize(
        ("column", "problem"),
        [("ragged", "different lengths"), ("gap", "row 9 is empty"), ("when", "timestamp.*neither numbers nor text")],
    )
    def test_what_cannot_be_an_array_is_refused_once_it_is_wanted(self, place, column, problem):
        with pytest.raises(BatchError, match=problem):
            fed([place], TensorSpec(column, None, None))

    def test_only_the_row_groups_that_hold_the_rows_are_read(self, place):
        """The others are damaged."""
        start = pq.ParquetFile(place).metadata.row_group(0).column(0)
        with place.open("r+b") as file:
            file.seek(start.dictionary_page_offset or start.data_page_offset)
            file.write(b"\xff" * 20)
        assert fed([place], AGE, rows="4:8")[0]["age"].ravel().tolist() == [4, 5, 6, 7]
        with pytest.raises(BatchError, match="cannot be read"):
            fed([place], AGE)

    def test_damaged(self, tmp_path):
        (tmp_path / "a.parquet").write_bytes(b"PAR1" + b"\xff" * 40 + b"PAR1")
        with pytest.raises(BatchError, match="damaged, or no Parquet file"):
            fed([tmp_path / "a.parquet"], AGE)


def test_a_column_that_unpacks_to_much_is_refused(tmp_path, monkeypatch):
    """Its number of rows tells nothing of that: each may hold a list of any length."""
    lists = pa.array([[0.0] * 5000] * 20, pa.list_(pa.float32()))
    pq.write_table(pa.table({"x": lists}), tmp_path / "a.parquet", use_dictionary=False)
    spec = TensorSpec("x", (None, 5000), "float32")
    assert fed([tmp_path / "a.parquet"], spec)[0]["x"].shape == (20, 5000)
    monkeypatch.setattr(source, "MOST", 1000)
    with pytest.raises(BatchError, match=r"a.parquet:x: takes 0.0 GB of memory"):
        fed([tmp_path / "a.parquet"], spec)
