"""What a team accepts: allowances name layers as --layer does."""

import pytest

from kmr_cli.config.policy import Policy, combine, rules_of
from kmr_cli.config.pyproject import Settings
from kmr_cli.errors import KmrError, LayerError
from kmr_cli.records import Finding
from kmr_cli.rules import RULES

LAYERS = ["tower", "tower/scores", "other/dense", "tower/dense", "odd[0]", "scores2"]


def test_batch_sizes_are_the_callers_or_else_the_projects():
    project = Settings(batch_sizes=(4, 16))
    assert combine(project).batch_sizes == (4, 16)
    assert combine(project, sizes=[8, 2, 8]).batch_sizes == (2, 8)
    with pytest.raises(KmrError, match="at least 1, not 0"):
        Policy(batch_sizes=(0,))


def allowed(pattern, layer):
    policy = Policy(allow=(pattern,)).resolved(LAYERS, "/")
    (finding,) = policy.apply([Finding("KMR101", "error", layer, 0, "out0", "")])
    return finding.allowed


@pytest.mark.parametrize(
    ("pattern", "layer"),
    [
        ("tower/scores", "tower/scores"),
        ("scores", "tower/scores"),
        ("tower/*", "tower/dense"),
        ("*", ""),
        ("odd[0]", "odd[0]"),
    ],
    ids=["path", "end", "glob", "everything", "brackets"],
)
def test_allowed(pattern, layer):
    assert allowed(pattern, layer)
    assert Policy(allow=(pattern,)).resolved(LAYERS, "/").unmatched(LAYERS) == ()


def test_outputs_that_need_not_carry_samples():
    policy = combine(Settings(allow_output=("loss",)), allow_outputs=["aux_*"])
    assert policy.allow_outputs == ("loss", "aux_*")
    assert policy.allows_output("out1", "loss")
    assert policy.allows_output("aux_1")
    assert not policy.allows_output("out0", "scores")
    assert policy.unmatched_outputs(["loss", "out0"]) == ("aux_*",)


@pytest.mark.parametrize(
    ("pattern", "layer"),
    [("scores", "scores2"), ("cores", "tower/scores"), ("tower", "tower/scores"), ("scores*", "tower/scores")],
    ids=["other", "half a name", "container", "glob from the root"],
)
def test_not_allowed(pattern, layer):
    assert not allowed(pattern, layer)


def test_the_end_of_several_is_refused():
    with pytest.raises(LayerError, match="allow: 'dense' matches the end of 2 layers") as caught:
        Policy(allow=("dense",)).resolved(LAYERS, "/")
    assert "more of the path" in caught.value.hint


def test_what_matches_nothing_is_reported():
    policy = Policy(allow=("sores", "scores", "x*")).resolved(LAYERS, "/")
    assert policy.unmatched(LAYERS) == ("sores", "x*")


def test_a_resolved_policy_keeps_the_rest():
    policy = Policy(("KMR1",), ("KMR107",), ("scores",), ("mask",))
    assert policy.resolved(LAYERS, "/") == Policy(("KMR1",), ("KMR107",), ("tower/scores",), ("mask",))


def test_select_restricts_only_the_commands_that_it_names_a_rule_of():
    policy = Policy(select=("KMR1",))
    assert set(policy.counting("check-batch-axis")) == {rule for rule in RULES if rule.startswith("KMR1")}
    assert policy.counting("compare") == rules_of("compare")
    assert (policy.some("check-batch-axis"), policy.some("compare")) == (True, False)
    both = Policy(select=("KMR1", "KMR406"))
    assert both.counting("compare") == ("KMR406",)
    assert not both.counts("KMR301")


def test_ignore_reaches_every_command():
    assert Policy(ignore=("KMR4",)).counting("compare") == ()
    assert Policy(select=("KMR4",), ignore=("KMR401",)).counting("compare") == rules_of("compare")[1:]


def test_every_rule_is_of_one_command():
    families = (rules_of(command) for command in ("check-batch-axis", "compare", "scan"))
    assert tuple(rule for family in families for rule in family) == tuple(RULES)
    assert rules_of("compare") == tuple(rule for rule in RULES if rule[3] == "4")


def test_what_a_caller_says_stands_over_what_the_project_says():
    project = Settings(select=("KMR1",), ignore=("KMR107",), allow=("scores",))
    assert combine(project) == Policy(("KMR1",), ("KMR107",), ("scores",))
    said = combine(project, "check-batch-axis", select=["kmr3"], ignore=["kmr303"], allow=["x*"], masks=["mask"])
    assert said == Policy(("KMR3",), ("KMR107", "KMR303"), ("scores", "x*"), ("mask",))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"select": ["KMR9"]}, "no rule starts with 'KMR9'"),
        ({"ignore": ["mix"]}, "no rule starts with 'MIX'"),
        ({"select": ["KMR1"]}, "select KMR1 leaves no rule of compare, which has KMR401 to KMR409"),
        ({"select": ["KMR1"], "dashes": "--"}, "--select KMR1 leaves no rule of compare"),
        ({"ignore": ["KMR4"]}, "select and ignore leave no rule of compare, so nothing would be checked"),
    ],
)
def test_a_policy_that_can_find_nothing_is_refused(said, message):
    with pytest.raises(KmrError, match=message):
        combine(Settings(), "compare", **said)


def test_a_project_that_leaves_no_rule_is_named():
    with pytest.raises(KmrError, match=r"\[tool.kmr-inspect\] in pyproject.toml leaves no rule of compare"):
        combine(Settings(ignore=("KMR4",)), "compare")
    assert combine(Settings(ignore=("KMR4",)), "check-batch-axis").ignore == ("KMR4",)


def test_one_text_is_one_pattern():
    policy = Policy("KMR1", ignore="KMR107", allow="conv*", masks="mask")
    assert policy == Policy(("KMR1",), ("KMR107",), ("conv*",), ("mask",))
    assert not policy.allows("anything/else")  # as a sequence of characters it would hold "*"
    assert Policy(allow=["a", "b"]).allow == ("a", "b")


@pytest.mark.parametrize("said", [{"select": ("FOO",)}, {"ignore": "kmr1"}])
def test_an_unknown_code_is_refused_in_python_too(said):
    with pytest.raises(KmrError, match="no rule starts with"):
        Policy(**said)
