"""Archives that two readers would read differently."""

import struct
import zipfile

import pytest

from kmr_cli.formats.common import archive_hazards


@pytest.fixture
def large(tmp_path):
    """A small archive with the records of large ones; where they stand: ``position`` of the first of the two."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"1")
        archive.writestr("b", b"2")
    data = path.read_bytes()
    here, total, length, offset = struct.unpack_from("<2H2L", data, len(data) - 14)
    body, position = data[:-22], len(data) - 22
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, here, total, length, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, position, 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    path.write_bytes(body + record + locator + end)
    return path


def told(path):
    return [hazard.kind for hazard in archive_hazards.scan(path)]


def test_a_large_archive_is_read_in_one_way(large):
    assert told(large) == []


@pytest.mark.parametrize(
    ("behind", "form", "value"),
    [(42 - 8, "<Q", 0), (98 - 24, "<Q", 1), (98 - 32, "<Q", 1), (14, "<H", 1), (6, "<L", 0)],
    ids=["where the records are", "how many", "how many here", "how many as in small ones", "where as in small ones"],
)
def test_one_number_that_contradicts_the_others(large, behind, form, value):
    data = bytearray(large.read_bytes())
    struct.pack_into(form, data, len(data) - behind, value)
    large.write_bytes(data)
    assert archive_hazards._contradicts_itself(large, 2)


def test_names_that_differ_in_case_are_one_where_they_are_found_so(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("assets/a", b"1")
        archive.writestr("assets/A", b"2")
    assert told(path) == []
    assert [hazard.kind for hazard in archive_hazards.scan(path, any_case=True)] == ["container"]
