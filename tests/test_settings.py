"""``[tool.kmr-inspect]`` in pyproject.toml."""

import pytest

from kmr_cli.errors import KmrError
from kmr_cli.rules import RULES
from kmr_cli.settings import Settings, read_settings


def test_the_nearest_file_counts(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.kmr-inspect]\nignore = ["KMR3"]\nallow = ["scores*"]\n')
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert read_settings(inner) == Settings(ignore=("KMR3",), allow=("scores*",))
    (inner / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert read_settings(inner) == Settings()


def test_no_file_at_all(tmp_path):
    assert read_settings(tmp_path) == Settings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.kmr-inspect]\nalow = []\n", "unknown key 'alow'"),
        ('[tool.kmr-inspect]\nallow = "x"\n', "must be a list of strings"),
        ("[tool.kmr-inspect]\nallow = [1]\n", "must be a list of strings"),
        ("[tool", "cannot be read"),
    ],
)
def test_mistakes_are_named(tmp_path, text, message):
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(KmrError, match=message):
        read_settings(tmp_path)


def test_every_rule_says_what_why_and_how():
    for code, rule in RULES.items():
        assert code == rule.code
        for text in (rule.found_when, rule.why, rule.remedy):
            assert 10 < len(text) < 130
            assert not text.endswith(".")
    assert len({rule.name for rule in RULES.values()}) == len(RULES)
