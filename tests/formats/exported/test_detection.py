"""A part of ``make detection`` on exported programs: faults found and their layer named, clean models left alone."""

import pytest
from zoo.cases import judge
from zoo.clean import exported_networks
from zoo.faults import exported_faults

ALL = list(exported_faults.cases())
FAULTS = [case for case in ALL if not case.name.endswith((", traced", ", shared", ", behind a sort", " features"))]
LEFT_OUT = ("torch.nn.", "architecture ", "heeds its mask")
CLEAN = [case for case in exported_networks.cases() if not case.name.startswith(LEFT_OUT)]
"""`make detection` runs the others as well."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


def test_there_are_many():
    assert len(ALL) >= 75
    assert len(FAULTS) >= 40
    assert len(CLEAN) >= 20
    assert len(list(exported_networks.cases())) >= 130
    names = [case.name for case in ALL]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.name)
def test_the_fault_is_found_and_its_layer_named(case):
    outcome = judge(case)
    assert outcome.found, (outcome.verdict, outcome.errors, outcome.reasons)
    assert outcome.named == (case.layer,)


@pytest.mark.parametrize("case", CLEAN, ids=lambda case: case.name)
def test_a_clean_model_passes(case):
    outcome = judge(case)
    assert outcome.errors == ()
    assert outcome.verdict == "pass", outcome.reasons
