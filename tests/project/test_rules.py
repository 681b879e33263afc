"""A rule is one file and one line of the table: every other place finds it there."""

import ast
import json
import re
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

import kmr_cli
from kmr_cli import rules
from kmr_cli.cli import run
from kmr_cli.config.limits import Limits
from kmr_cli.config.policy import Policy, combine, rules_of
from kmr_cli.config.pyproject import Settings
from kmr_cli.pytest_plugin.models import Models
from kmr_cli.pytest_plugin.run import ModelRun, kind_of, needs_evidence, route
from kmr_cli.records import Finding, Report
from kmr_cli.render.contents import Outcome
from kmr_cli.render.documents import sarif
from kmr_cli.render.headline import headline
from kmr_cli.rules import RULES, TABLE

PACKAGE = Path(kmr_cli.__file__).parent
MODEL = Path(__file__).parents[2] / "sample_models" / "digits.keras"
FILE = """
from kmr_cli.rules import Rule

BORROWED = Rule(
    "KMR901", "batch-borrowed", "error", "a sample borrows from the next", "it is not given back",
    "return what it took",
    headline="samples borrow from each other", gravity=95, needs_owners=True,
)
RULES = (BORROWED,)
"""


@pytest.fixture
def added(tmp_path, monkeypatch):
    """One file, one line."""
    (tmp_path / "borrowed.py").write_text(FILE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(TABLE, "KMR901", "borrowed")
    yield "KMR901"
    sys.modules.pop("borrowed", None)
    rules._load.cache_clear()


def finding(code, **more):
    return Finding(code, "error", "mid", 0, "out0", "words", **more)


def test_an_added_rule_is_listed_and_explained(added, capsys):
    assert run(["rules"]) == 0
    assert "KMR901  batch-borrowed         error" in capsys.readouterr().out
    assert run(["rules", added]) == 0
    assert "fix: return what it took" in capsys.readouterr().out


def test_an_added_rule_can_be_selected_and_ignored(added):
    assert added in rules_of("check-batch-axis")
    assert Policy(select=("KMR9",)).counting("check-batch-axis") == (added,)
    assert Policy(ignore=("KMR901",)).apply([finding(added)]) == []
    assert combine(Settings(), "check-batch-axis", select=["kmr9"]).counts(added)


def test_an_added_rule_has_its_place_in_the_headline(added):
    several = tuple(map(finding, ("KMR104", added, "KMR101")))
    report = Report("fail", "m.pt", "torchscript", 9, (4,), (), several, (), ())
    assert headline(report) == (
        "samples of a batch change each other, samples borrow from each other and samples of a batch can't be separated"
    )


def test_an_added_rule_is_described_in_sarif(added):
    document = json.loads(sarif.render([Outcome("check-batch-axis", "m.pt", "fail", (finding(added),))]))
    (described,) = document["runs"][0]["tool"]["driver"]["rules"]
    assert described["id"] == added
    assert described["shortDescription"]["text"] == "a sample borrows from the next"


def test_an_added_rule_has_tests_in_the_pytest_plugin(added, pytestconfig):
    from kmr_cli.pytest_plugin.asked import asked_of

    asked = replace(asked_of(pytestconfig), policy=Policy(), snapshot=None)
    models = Models(Limits())
    places = dict(ModelRun(MODEL, MODEL.name, asked, models).places())
    models.close()
    assert len(places) > 3
    assert all(added in codes for codes in places.values())
    assert kind_of(added) == "check"
    assert needs_evidence(added)
    layer = next(iter(places))
    assert route([replace(finding(added), layer=layer)], places, "/").keys() == {(layer, added)}


def test_a_line_without_its_rule_is_an_error(monkeypatch):
    monkeypatch.setitem(TABLE, "KMR902", "kmr_cli.check.rules.moved")
    with pytest.raises(LookupError, match=r"kmr_cli\.check\.rules\.moved\.RULES holds no rule KMR902"):
        RULES["KMR902"]


def test_the_table_and_the_files_of_rules_name_the_same():
    files = {
        f"kmr_cli.{command}.rules.{path.stem}"
        for command in ("check", "compare", "scan")
        for path in (PACKAGE / command / "rules").glob("*.py")
        if path.stem != "__init__"
    }
    assert files == set(TABLE.values())
    held = {module: [rule.code for rule in import_module(module).RULES] for module in files}
    assert held == {module: [code for code in TABLE if TABLE[code] == module] for module in files}
    for code, rule in RULES.items():
        command = TABLE[code].split(".")[1]
        assert rule.command == {"check": "check-batch-axis"}.get(command, command)


def test_listing_the_rules_loads_no_framework():
    script = (
        "import sys; from kmr_cli.cli import run; code = run(['rules']);"
        "print('LOADED', sorted({'tensorflow', 'torch', 'keras', 'jax'} & set(sys.modules)), code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "LOADED [] 0", done.stderr


def codes_named_in(text):
    constants = (node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
    return [value for value in constants if isinstance(value, str) and re.fullmatch(r"KMR\d{0,3}", value)]


def test_no_other_file_names_a_code():
    folders = [PACKAGE / command / "rules" for command in ("check", "compare", "scan")]
    homes = {PACKAGE / "rules.py", *(path for folder in folders for path in folder.glob("*.py"))}
    named = {path: codes_named_in(path.read_text()) for path in set(PACKAGE.rglob("*.py")) - homes}
    assert len(named) > 200
    assert {path.name: codes for path, codes in named.items() if codes} == {}
    assert all(codes_named_in(path.read_text()) for path in homes if path.stem != "__init__")


@pytest.mark.parametrize("line", ["run.add('KMR101', source)", "masked = 'KMR2'", "codes = ('KMR101', 'KMR104')"])
def test_a_code_that_is_named_elsewhere_is_noticed(line):
    assert codes_named_in(line)
