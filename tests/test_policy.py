"""What a team accepts: allowances name layers as --layer does."""

import pytest

from kmr_cli.errors import LayerError
from kmr_cli.policy import Policy
from kmr_cli.records import Finding

LAYERS = ["tower", "tower/scores", "other/dense", "tower/dense", "odd[0]", "scores2"]


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


@pytest.mark.parametrize(
    ("pattern", "layer"),
    [("scores", "scores2"), ("cores", "tower/scores"), ("tower", "tower/scores"), ("scores*", "tower/scores")],
    ids=["other", "half a name", "container", "glob from the root"],
)
def test_not_allowed(pattern, layer):
    assert not allowed(pattern, layer)


def test_the_end_of_several_is_refused():
    with pytest.raises(LayerError, match="allow: 'dense' is the end of 2 layers") as caught:
        Policy(allow=("dense",)).resolved(LAYERS, "/")
    assert "longer part" in caught.value.hint


def test_what_matches_nothing_is_told():
    policy = Policy(allow=("sores", "scores", "x*")).resolved(LAYERS, "/")
    assert policy.unmatched(LAYERS) == ("sores", "x*")


def test_a_resolved_policy_keeps_the_rest():
    policy = Policy(("KMR1",), ("KMR107",), ("scores",), ("mask",))
    assert policy.resolved(LAYERS, "/") == Policy(("KMR1",), ("KMR107",), ("tower/scores",), ("mask",))
