"""docs/reference.md says what the docstrings say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import kmr_cli

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")


def run(*arguments, root=ROOT):
    return subprocess.run(
        [sys.executable, root / "scripts" / "reference.py", *arguments],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_the_page_is_up_to_date():
    done = run("--check")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", ["", PAGE.replace("damaged", "fine")], ids=["no page", "another word"])
def test_another_page_is_not(tmp_path, page):
    for name in ("scripts", "docs"):
        (tmp_path / name).mkdir()
    (tmp_path / "scripts" / "reference.py").write_bytes((ROOT / "scripts" / "reference.py").read_bytes())
    (tmp_path / "docs" / "reference.md").write_text(page, encoding="utf-8")
    done = run("--check", root=tmp_path)
    assert done.returncode == 1
    assert "docs/reference.md is out of date: run python scripts/reference.py" in done.stderr
    assert run(root=tmp_path).returncode == 0
    assert (tmp_path / "docs" / "reference.md").read_text(encoding="utf-8") == PAGE


def test_every_public_name_has_its_entry():
    headings = re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)
    assert sorted([*headings, "__version__"]) == sorted(kmr_cli.__all__)
    methods = re.findall(r"^#### Model\.(\w+)$", PAGE, re.MULTILINE)
    assert set(methods) == {name for name in vars(kmr_cli.Model) if not name.startswith("_")}


def test_it_is_well_formed():
    assert PAGE.count("```") % 2 == 0
    text = re.sub(r"^```.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    anchors = {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in re.findall(r"^#+ (.+)$", text, re.M)}
    links = re.findall(r"\]\(#([^)]*)\)", text)
    assert links
    assert set(links) <= anchors
    assert "``" not in text
    assert not re.search(r":\w+:`", text)
