"""The formats for CI: valid by their schemas, complete, never green where nothing was shown, and safe with any name."""

import json
import re
import unicodedata
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import xmlschema
from zoo.outcomes import ALARMING, CASES, CLEAN, EMPTY, FINDINGS, HOSTILE, INCONCLUSIVE, LONG, PATH

from kmr_cli.cli.exit_codes import ExitCode
from kmr_cli.cli.outcomes import exit_code
from kmr_cli.render.contents import Outcome, Run, of_check
from kmr_cli.render.documents import github, junit, sarif
from kmr_cli.rules import RULES

SCHEMAS = Path(__file__).parents[2] / "schemas"
DOCUMENTED = Path(__file__).parents[3] / "docs" / "check-batch-axis.schema.json"
FAILED = Outcome("check-batch-axis", PATH, "error", error="it does not run", hint="try another")
CODES = {"clean": 0, "findings": 1, "proven": 0, "possible": 0, "empty": 2, "hostile": 1, "several": 2, "none": 2}


def outcomes(*reports):
    return [of_check(report, report.path, Run(seconds=1.5)) for report in reports]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("format_", ["terminal", "json", "html", "junit", "sarif", "github"])
def test_the_exit_code_is_the_same_in_every_format(produce, case, format_):
    assert produce(case, format_)[1] == CODES[case]


def test_exit_codes():
    clean, bad, open_end, empty = outcomes(CLEAN, FINDINGS, INCONCLUSIVE, EMPTY)
    assert exit_code([clean, open_end]) == ExitCode.FINDINGS
    assert exit_code([clean, replace(open_end, inconclusive_allowed=True)]) == ExitCode.CLEAN
    assert exit_code([bad, replace(open_end, inconclusive_allowed=True)]) == ExitCode.FINDINGS
    assert exit_code([clean], strict=True) == ExitCode.CLEAN
    masks = replace(clean, not_examined=("training mode", "masks: padding in input 'x' (--mask-input x=0)"))
    assert exit_code([masks]) == ExitCode.CLEAN
    assert exit_code([masks], strict=True) == ExitCode.FINDINGS
    assert exit_code([clean, bad]) == ExitCode.FINDINGS
    assert exit_code([bad, FAILED]) == ExitCode.COULD_NOT
    assert exit_code([clean, empty]) == ExitCode.COULD_NOT
    assert exit_code([]) == ExitCode.COULD_NOT


@pytest.mark.parametrize("case", CASES)
def test_json_is_as_documented(produce, case):
    document = json.loads(produce(case, "json")[0])
    jsonschema.validate(document, json.loads(DOCUMENTED.read_text()))
    assert isinstance(document, dict) == (len(CASES[case]) == 1)


@pytest.fixture(scope="module")
def schema():
    return xmlschema.XMLSchema(SCHEMAS / "junit-10.xsd")


@pytest.fixture(scope="module")
def validator():
    schema = json.loads((SCHEMAS / "sarif-written.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


class TestJUnit:
    @pytest.mark.parametrize("case", CASES)
    def test_valid(self, produce, schema, case):
        text, _ = produce(case, "junit")
        schema.validate(text)
        root = ET.fromstring(text)
        for node in (root, *root.iter("testsuite")):
            cases = list(node.iter("testcase"))
            assert int(node.get("tests")) == len(cases) > 0
            for attribute, tag in (("failures", "failure"), ("errors", "error")):
                assert int(node.get(attribute)) == sum(case.find(tag) is not None for case in cases)

    def test_the_schema_can_refuse(self, schema):
        text = junit.render(outcomes(FINDINGS))
        for wrong in (
            text.replace("<testcase ", "<test ").replace("</testcase", "</test"),
            text.replace(' time="', ' tme="'),
        ):
            assert not schema.is_valid(wrong)

    def test_one_test_per_layer_and_one_for_the_model(self):
        root = ET.fromstring(junit.render(outcomes(FINDINGS)))
        names = [case.get("name") for case in root.iter("testcase")]
        assert names == ["embed", "blocks/0", "blocks/1", "pairs", "head", "the model itself"]
        assert {case.get("classname") for case in root.iter("testcase")} == {PATH}
        assert {case.get("name") for case in root.iter("testcase") if case.find("failure") is not None} == {"blocks/0"}
        (failure,) = root.iter("failure")
        assert failure.get("type") == "KMR101 cross-sample-leak"
        assert failure.get("message").endswith("(and 1 more)")
        assert RULES["KMR101"].remedy in failure.text
        assert RULES["KMR102"].remedy in failure.text
        assert {node.text.splitlines()[0] for node in root.iter("system-out")} >= {
            "error KMR101 cross-sample-leak at pairs out0 (allowed: by design)",
            "warning KMR301 nondeterministic at the model itself out0",
        }

    @pytest.mark.parametrize("some", [[], outcomes(EMPTY), [FAILED]], ids=["none", "empty", "failed"])
    def test_nothing_checked_is_an_error(self, some):
        root = ET.fromstring(junit.render(some))
        assert int(root.get("errors")) == 1
        assert [case.find("error") is not None for case in root.iter("testcase")] == [True]

    @pytest.mark.parametrize(
        ("allowed", "tag", "count"), [(True, "skipped", "skipped"), (False, "failure", "failures")]
    )
    def test_what_was_not_shown_fails_or_is_skipped_and_never_passes(self, allowed, tag, count):
        (outcome,) = outcomes(INCONCLUSIVE)
        root = ET.fromstring(junit.render([replace(outcome, inconclusive_allowed=allowed)]))
        results = {case.get("name"): [child.tag for child in case] for case in root.iter("testcase")}
        assert results == {
            "gate": [],
            "the model itself": [tag],
            f"not verified: {INCONCLUSIVE.inconclusive[0]}": [tag],
        }
        assert root.find("testsuite").get(count) == "2"

    def test_a_finding_at_a_layer_that_was_not_tapped_is_not_lost(self):
        lost = replace(outcomes(FINDINGS)[0], layers=("head",))
        names = {case.get("name") for case in ET.fromstring(junit.render([lost])).iter("testcase")}
        assert {"blocks/0", "pairs", "embed"} <= names

    def test_a_layer_that_was_not_compared_is_not_a_pass_whatever_else_is_said_of_it(self, schema):
        report = outcomes(FINDINGS)[0]
        milder = tuple(replace(finding, severity="warning") for finding in report.findings)
        text = junit.render([replace(report, verdict="pass", layers=("head",), findings=milder)])
        schema.validate(text)
        results = {case.get("name"): [child.tag for child in case] for case in ET.fromstring(text).iter("testcase")}
        assert results["head"] == ["system-out"]
        assert results["pairs"] == results["embed"] == ["skipped", "system-out"]

    def test_hostile_names_stay_one_line_and_whole(self):
        text = junit.render(outcomes(ALARMING))
        assert text.isascii()
        assert "\x1b" not in text
        names = [case.get("name") for case in ET.fromstring(text).iter("testcase")]
        assert LONG in names
        (name,) = (name for name in names if name.startswith("a\\nb"))
        assert "\\r]]>::error file=x::y,\\x1b[2J\\x00\\x7f\\udc80\\u202e&<\"'" in name


class TestSarif:
    @pytest.mark.parametrize("case", CASES)
    def test_valid(self, produce, validator, case):
        text, _ = produce(case, "sarif")
        document = json.loads(text)
        validator.validate(document)
        (run,) = document["runs"]
        rules = run["tool"]["driver"]["rules"]
        assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])
        prints = [result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]]
        assert len(prints) == len(set(prints))

    @pytest.mark.parametrize("case", CASES)
    def test_valid_by_the_standard(self, produce, case):
        schema = json.loads((SCHEMAS / "sarif-2.1.0-rtm.5.json").read_text())
        assert schema["additionalProperties"] is False
        cls = jsonschema.validators.validator_for(schema)
        cls(schema, format_checker=cls.FORMAT_CHECKER).validate(json.loads(produce(case, "sarif")[0]))

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ('"kind": "fail"', '"kind": "bad"'),
            ('"level": "warning"', '"level": "none"'),
            ('"uri": "models/scores%20v2.keras"', '"uri": "models/scores v2.keras"'),
            ('"uriBaseId"', '"uriBaseID"'),
            ('"ruleIndex"', '"rule"'),
        ],
    )
    def test_the_schema_can_refuse(self, validator, old, new):
        text = sarif.render(outcomes(FINDINGS))
        assert old in text
        assert not validator.is_valid(json.loads(text.replace(old, new)))

    def results(self, *reports):
        return json.loads(sarif.render(outcomes(*reports)))["runs"][0]["results"]

    def test_findings_keep_their_level_and_their_place(self):
        found = self.results(FINDINGS)
        assert [(result["ruleId"], result["level"]) for result in found] == [
            (finding.rule, finding.severity) for finding in FINDINGS.findings
        ]
        assert found[0]["locations"][0]["logicalLocations"] == [{"fullyQualifiedName": "blocks/0", "kind": "module"}]
        assert found[0]["properties"]["samples"] == [[0, 1], [1, 0]]
        assert ["suppressions" in result for result in found] == [finding.allowed for finding in FINDINGS.findings]
        assert found[2]["suppressions"][0]["justification"] == "allowed: by design"

    def test_every_rule_brings_its_help(self):
        rules = json.loads(sarif.render(outcomes(FINDINGS)))["runs"][0]["tool"]["driver"]["rules"]
        assert [rule["id"] for rule in rules] == ["KMR101", "KMR102", "KMR107", "KMR301"]
        for rule in rules:
            assert RULES[rule["id"]].remedy in rule["help"]["text"]
            assert RULES[rule["id"]].remedy in rule["help"]["markdown"]
            assert rule["fullDescription"]["text"] == RULES[rule["id"]].why

    def test_a_finding_stays_the_same_when_its_wording_changes(self):
        first = FINDINGS.findings[0]
        known = [result["partialFingerprints"] for result in self.results(FINDINGS)]
        reworded = replace(FINDINGS, findings=(replace(first, message="other words"), *FINDINGS.findings[1:]))
        moved = replace(FINDINGS, findings=(replace(first, layer="blocks/1"), *FINDINGS.findings[1:]))
        assert [result["partialFingerprints"] for result in self.results(reworded)] == known
        assert self.results(moved)[0]["partialFingerprints"] != known[0]

    def test_two_findings_of_the_same_place_are_two(self):
        first = FINDINGS.findings[0]
        twice = self.results(replace(FINDINGS, findings=(first, replace(first, message="seen at another output"))))
        assert twice[0]["partialFingerprints"] != twice[1]["partialFingerprints"]

    def test_what_was_not_shown_is_open(self):
        (result,) = self.results(INCONCLUSIVE)
        assert "suppressions" not in result
        (accepted,) = outcomes(INCONCLUSIVE)
        told = json.loads(sarif.render([replace(accepted, inconclusive_allowed=True)]))["runs"][0]["results"]
        assert [one["status"] for one in told[0]["suppressions"]] == ["accepted"]
        assert (result["kind"], result["level"], result["message"]["text"]) == (
            "open",
            "none",
            INCONCLUSIVE.inconclusive[0],
        )

    @pytest.mark.parametrize("some", [[], outcomes(EMPTY), [FAILED]], ids=["none", "empty", "failed"])
    def test_nothing_checked_is_not_success(self, some):
        (invocation,) = json.loads(sarif.render(some))["runs"][0]["invocations"]
        assert not invocation["executionSuccessful"]
        assert len(invocation["toolExecutionNotifications"]) == 1
        (fine,) = json.loads(sarif.render(outcomes(CLEAN)))["runs"][0]["invocations"]
        assert fine == {"executionSuccessful": True}

    def test_hostile_names(self):
        text = sarif.render(outcomes(ALARMING))
        assert text.isascii()
        found = json.loads(text)["runs"][0]["results"]
        place = found[0]["locations"][0]
        uri = place["physicalLocation"]["artifactLocation"]["uri"]
        assert unquote(uri, errors="surrogateescape") == ALARMING.path
        assert place["logicalLocations"][0]["fullyQualifiedName"] == HOSTILE.replace("\udc80", "\\udc80")
        for result in found:
            assert not re.search(r"(?<!\\)\[[^\]]*\]\(", result["message"]["text"]), "a name made a link"

    def test_a_file_below_this_folder_is_relative_and_others_are_not(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

        def artifact(path):
            (result,) = self.results(replace(INCONCLUSIVE, path=str(path)))
            return result["locations"][0]["physicalLocation"]["artifactLocation"]

        assert artifact(tmp_path / "a b.keras") == {"uri": "a%20b.keras", "uriBaseId": "%SRCROOT%"}
        assert artifact("/else where/a.keras") == {"uri": "file:///else%20where/a.keras"}


class TestGitHub:
    COMMAND = re.compile(r"::(error|warning|notice) (?:file=([^,:]*),)?title=([^,:]*)::(.*)")

    def annotations(self, text):
        *lines, summary = text.split("\n")[:-1]
        assert summary.startswith("kmr-inspect: ")
        return [self.COMMAND.fullmatch(line).groups() for line in lines]

    @pytest.mark.parametrize("case", CASES)
    def test_every_line_is_an_annotation_but_the_last(self, produce, case):
        found = self.annotations(produce(case, "github")[0])
        order = ["error", "warning", "notice"]
        levels = [order.index(level) for level, *_ in found]
        assert levels == sorted(levels)
        assert (0 in levels) == (CODES[case] != 0)

    def test_findings(self):
        found = self.annotations(github.render(outcomes(FINDINGS)))
        assert [(level, title) for level, _, title, _ in found] == [
            ("error", "KMR101 cross-sample-leak"),
            ("error", "KMR102 batch-size-dependent"),
            ("warning", "KMR301 nondeterministic"),
            ("notice", "KMR101 cross-sample-leak (allowed%3A by design)"),
            ("notice", "KMR107 batch-axis-moved"),
        ]
        assert all(file == PATH for _, file, _, _ in found)
        assert found[0][3].startswith("blocks/0: an output of one sample")
        assert found[0][3].endswith(f"%0Afix: {RULES['KMR101'].remedy}")
        assert found[-1][3].startswith("embed, head: ")

    def test_hostile_names_start_no_command(self):
        text = github.render(outcomes(ALARMING))
        assert all(unicodedata.category(character) != "Cc" or character == "\n" for character in text)
        assert "\udc80" not in text
        found = self.annotations(text)
        assert len(found) == 5
        assert found[3][2] == "not examined"
        assert "%250A" in found[0][3]
        assert "%250A" in found[3][3]

    def test_the_summary_counts(self):
        last = github.render([*outcomes(FINDINGS, CLEAN, INCONCLUSIVE), FAILED]).splitlines()[-1]
        assert last == (
            "kmr-inspect: 4 models: 1 pass, 1 fail, 1 inconclusive, 1 not checked;"
            " 2 errors, 1 warning, 2 notes, 1 allowed"
        )
