"""Results are written whole or not at all."""

import os
import stat

import pytest

from kmr_cli.errors import OutputError
from kmr_cli.render.files.write import refuse_place, refuse_sources, write_whole


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
    for place, message in ((tmp_path, "is a directory"), (tmp_path / "none" / "out.txt", "there isn't a folder")):
        with pytest.raises(OutputError, match=message):
            write_whole(place, lambda path: path.write_text("x"), overwrite=True)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="there isn't a folder"):
        write_whole(tmp_path / "file" / "out.txt", lambda path: path.write_text("x"), overwrite=True)


def test_a_link_stays_and_its_file_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "out.txt").write_text("old")
    link = tmp_path / "link.txt"
    link.symlink_to("real/out.txt")
    write_whole(link, lambda path: path.write_text("new"), overwrite=True)
    assert link.is_symlink()
    assert (tmp_path / "real" / "out.txt").read_text() == "new"
    assert names(tmp_path / "real") == ["out.txt"]
    with pytest.raises(OutputError, match="exists already"):
        write_whole(link, lambda path: path.write_text("no"), overwrite=False)


def test_devices_pipes_and_circles_are_not_places(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "null").symlink_to("/dev/null")
    for name in ("pipe", "circle", "null"):
        with pytest.raises(OutputError, match="isn't a regular file"):
            refuse_place(tmp_path / name, overwrite=True)


@pytest.fixture
def sources(tmp_path):
    (tmp_path / "model.keras").touch()
    (tmp_path / "batch.npz").touch()
    (tmp_path / "exported" / "assets").mkdir(parents=True)
    (tmp_path / "link.json").symlink_to("model.keras")
    (tmp_path / "current").symlink_to("exported")
    return [str(tmp_path / "model.keras"), f"x={tmp_path / 'batch.npz'}", str(tmp_path / "current"), "gone="]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("model.keras", "is the model itself"),
        ("link.json", "is the model itself"),
        ("exported/../model.keras", "is the model itself"),
        ("batch.npz", "what it is run on"),
        ("exported/new.json", "lies inside"),
        ("current/assets/new.json", "lies inside"),
    ],
)
def test_what_is_read_is_not_written(tmp_path, sources, place, message):
    with pytest.raises(OutputError, match=message):
        refuse_sources(tmp_path / place, sources)


@pytest.mark.parametrize("place", ["model.kmr.json", "exported.json", "batch.npz.json"])
def test_beside_what_is_read_there_is_room(tmp_path, sources, place):
    refuse_sources(tmp_path / place, sources)
    assert not (tmp_path / place).exists()
