"""ONNX's part of ``make detection``: every fault found and its layer named, clean models left alone."""

import logging

import pytest
from zoo.cases import judge
from zoo.clean import onnx_networks
from zoo.faults import onnx_faults

FAULTS, CLEAN = list(onnx_faults.cases()), list(onnx_networks.cases())

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


@pytest.fixture(autouse=True)
def quiet():
    """The exporter logs what it does."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_there_are_many():
    assert len(FAULTS) >= 40
    assert len(CLEAN) >= 35


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
