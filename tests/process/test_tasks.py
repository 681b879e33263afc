"""How long reading may take."""

from kmr_cli.process.tasks import TASKS, reading_time


def test_time_to_read_grows_with_the_files(tmp_path):
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"x")
    with large.open("wb") as file:
        file.truncate(1 << 30)
    assert 100 < reading_time({"path": str(small)}) < 130
    assert reading_time({"path": str(large)}) > 400
    assert reading_time({"path": str(tmp_path)}) > 400
    assert reading_time({"path": str(tmp_path / "missing")}) < 130


def test_what_reads_is_limited_and_what_runs_is_not():
    limited = {name for name, task in TASKS.items() if task.limit is not None}
    assert limited == {"connections", "describe", "prove", "scan", "try_data"}
