"""What ``kmr-inspect doctor`` tells: true on this machine, and on one that has nothing."""

import pytest

from kmr_cli.api.versions import versions_of
from kmr_cli.cli import run
from kmr_cli.formats import all_formats
from kmr_cli.formats.common import frameworks
from kmr_cli.process.sandbox import landlock, seccomp


@pytest.mark.parametrize("arguments", [["doctor"], ["--version", "--verbose"], ["-V", "--verbose"]])
def test_what_is_installed(arguments, capsys):
    assert run(arguments) == 0
    said = capsys.readouterr().out
    for format_ in all_formats():
        (line,) = [line for line in said.splitlines() if line.startswith(f"{format_.TITLE} ")]
        known = versions_of(format_.NAME)
        assert all(f"{name} {known[name]}" in line for name in format_.PROGRAMS if name in known)
    assert ("Landlock" in said) == bool(landlock.version())


def test_a_machine_that_has_nothing(capsys, monkeypatch):
    monkeypatch.setattr(landlock, "version", lambda: 0)
    monkeypatch.setattr(seccomp, "available", lambda: False)
    monkeypatch.setattr(frameworks, "installed", lambda _: False)
    assert run(["doctor"]) == 0
    said = capsys.readouterr().out
    assert said.count("cannot be run: pip install") == len(all_formats())
    assert "sandbox               none: a model can reach whatever you can" in said
    monkeypatch.setattr(seccomp, "available", lambda: True)
    run(["doctor"])
    assert "seccomp (filters); no Landlock" in capsys.readouterr().out
