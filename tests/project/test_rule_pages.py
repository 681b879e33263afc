"""Every rule has a page, and its two examples show what the page says: found in one, not in the other."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from kmr_cli.rules import RULES

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import rule_pages  # noqa: E402

NUMBER = re.compile(r"\d+(\.\d+)?(e[-+]\d+)?")
"""Last bits and small differences are those of one machine."""


@pytest.mark.slow
@pytest.mark.parametrize("code", RULES)
def test_the_examples_show_what_the_page_says(code):
    found, fixed = rule_pages.screens_of(code)
    finding = re.compile(rf"^(error|warning|note) {code} ", re.MULTILINE)
    assert finding.search(found), found
    assert not finding.search(fixed), fixed
    assert re.search(r"^pass", fixed, re.MULTILINE), fixed
    shown = [NUMBER.sub("#", screen) for screen in rule_pages.recorded(code)]
    assert [NUMBER.sub("#", screen) for screen in (found, fixed)] == shown


def test_the_pages_say_what_the_rules_say():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "rule_pages.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("word", ["cross-sample-leak", "return x.softmax(0)", "```console"])
def test_a_page_that_says_something_else_is_noticed(word, tmp_path, monkeypatch):
    for page in rule_pages.FOLDER.glob("*.md"):
        (tmp_path / page.name).write_text(page.read_text())
    (tmp_path / "examples").symlink_to(rule_pages.FOLDER / "examples")
    page = tmp_path / "KMR101.md"
    page.write_text(page.read_text().replace(word, "other"))
    monkeypatch.setattr(rule_pages, "FOLDER", tmp_path)
    monkeypatch.setattr(sys, "argv", ["rule_pages.py", "--check"])
    with pytest.raises(SystemExit, match="KMR101"):
        rule_pages.main()
