"""Results are written whole or not at all."""

import stat

import pytest

from kmr_cli.errors import OutputError
from kmr_cli.render.files import write_whole


def names(folder):
    return [entry.name for entry in folder.iterdir()]


def test_writes_and_leaves_nothing_behind(tmp_path):
    write_whole(tmp_path / "out.txt", lambda path: path.write_text("new"), overwrite=False)
    assert (tmp_path / "out.txt").read_text() == "new"
    assert names(tmp_path) == ["out.txt"]


def test_permissions_are_the_usual_ones(tmp_path):
    (tmp_path / "plain").touch()
    write_whole(tmp_path / "out.txt", lambda path: path.write_text("new"), overwrite=False)
    assert stat.S_IMODE((tmp_path / "out.txt").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_an_existing_file_is_kept_unless_forced(tmp_path):
    (tmp_path / "out.txt").write_text("old")
    with pytest.raises(OutputError, match="exists already"):
        write_whole(tmp_path / "out.txt", lambda path: path.write_text("new"), overwrite=False)
    assert (tmp_path / "out.txt").read_text() == "old"
    write_whole(tmp_path / "out.txt", lambda path: path.write_text("new"), overwrite=True)
    assert (tmp_path / "out.txt").read_text() == "new"


def test_a_file_that_appears_meanwhile_is_kept(tmp_path):
    def slow(path):
        path.write_text("new")
        (tmp_path / "out.txt").write_text("theirs")

    with pytest.raises(OutputError, match="exists already"):
        write_whole(tmp_path / "out.txt", slow, overwrite=False)
    assert (tmp_path / "out.txt").read_text() == "theirs"
    assert names(tmp_path) == ["out.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interruption_leaves_the_old_file(tmp_path, error):
    (tmp_path / "out.txt").write_text("old")

    def half(path):
        path.write_text("ha")
        raise error

    with pytest.raises((KeyboardInterrupt, OutputError)):
        write_whole(tmp_path / "out.txt", half, overwrite=True)
    assert (tmp_path / "out.txt").read_text() == "old"
    assert names(tmp_path) == ["out.txt"]


def test_places_where_nothing_can_be_written(tmp_path):
    for place, message in ((tmp_path, "is a directory"), (tmp_path / "none" / "out.txt", "there is no folder")):
        with pytest.raises(OutputError, match=message):
            write_whole(place, lambda path: path.write_text("x"), overwrite=True)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="there is no folder"):
        write_whole(tmp_path / "file" / "out.txt", lambda path: path.write_text("x"), overwrite=True)
