"""``[tool.kmr-inspect.models]``: which data go with which models."""

import pytest

from kmr_cli.config.per_model import ModelSettings
from kmr_cli.config.pyproject import read_settings
from kmr_cli.errors import KmrError

TABLE = "[tool.kmr-inspect.models.{!r}]\n{}\n"


def settings(folder, *tables):
    folder.mkdir(exist_ok=True)
    (folder / "pyproject.toml").write_text("".join(TABLE.format(*table) for table in tables))
    return read_settings(folder)


def test_what_is_said_of_a_pattern_holds_for_the_models_that_fit(tmp_path):
    found = settings(tmp_path, ("models/a*.keras", 'input = "data/x.npz"\nmask-input = ["x=0"]\nbatch-sizes = [8, 1]'))
    expected = ModelSettings((str(tmp_path / "data/x.npz"),), (), ("x=0",), (1, 8))
    assert found.of(tmp_path / "models" / "a1.keras") == expected
    for other in ("models/b.keras", "a1.keras", "models/deep/a1.keras", "other/models/a1.keras"):
        assert found.of(tmp_path / other) == ModelSettings()


def test_paths_are_those_of_the_file_wherever_the_command_runs(tmp_path, monkeypatch):
    found = settings(tmp_path, ("m/a.keras", 'input = ["x=x.npy", "y=deep/y.npy"]'))
    (tmp_path / "m").mkdir()
    monkeypatch.chdir(tmp_path / "m")
    assert read_settings(tmp_path / "m").of("a.keras") == found.of("../m/a.keras")
    assert found.of("a.keras").input == (f"x={tmp_path / 'x.npy'}", f"y={tmp_path / 'deep/y.npy'}")


def test_the_last_that_says_something_of_a_key_wins_and_data_and_shapes_exclude_each_other(tmp_path):
    found = settings(
        tmp_path,
        ("*.pt", 'input = "x.npy"\nbatch-sizes = [4]'),
        ("a*.pt", 'shape = "8,8,1"'),
        ("ab.pt", "batch-sizes = [2]"),
    )
    assert found.of(tmp_path / "ab.pt") == ModelSettings((), ("8,8,1",), (), (2,))
    assert found.of(tmp_path / "c.pt") == ModelSettings((str(tmp_path / "x.npy"),), (), (), (4,))


def test_a_folder_with_the_characters_of_a_glob_is_that_folder(tmp_path):
    found = settings(tmp_path / "v[1]", ("a.pt", 'shape = "3"'))
    assert found.of(tmp_path / "v[1]" / "a.pt").shape == ("3",)
    assert found.of(tmp_path / "v1" / "a.pt").shape == ()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("inputs = 'x.npy'", "unknown key 'inputs'"),
        ("input = 3", "input must be a text or a list of texts"),
        ("shape = 'a,b'", "a,b"),
        ("batch-sizes = [0]", "at least 1"),
        ("batch-sizes = 8.5", "whole number"),
        ("input = 'x.npy'\nshape = '3'", "both input and shape"),
        ("input = 'x.npy'\ninput-from = 'a:b'", "both input and input-from"),
        ("input = 'x.npy'\nrows = '4'", "'4' is not START:STOP"),
        ("resize = 8", "resize must be a text"),
    ],
)
def test_a_slip_names_the_file_the_table_and_what_is_wrong(tmp_path, body, message):
    with pytest.raises(KmrError, match=message) as caught:
        settings(tmp_path, ("a*.pt", body))
    assert str(tmp_path / "pyproject.toml") in caught.value.message
    assert "a*.pt" in caught.value.message


@pytest.mark.parametrize("text", ["models = 3", "models = { 'a.pt' = 3 }"])
def test_models_holds_tables(tmp_path, text):
    (tmp_path / "pyproject.toml").write_text(f"[tool.kmr-inspect]\n{text}\n")
    with pytest.raises(KmrError, match="table"):
        read_settings(tmp_path)
