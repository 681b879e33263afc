"""ONNX's part of ``make detection``: every fault found and its layer named, clean models left alone."""

import logging

import pytest
from zoo.cases import judge
from zoo.clean import onnx_networks
from zoo.faults import onnx_faults

BY_THE_NEW = frozenset({"softmax", "state", "LSTM without batch_first", "capacity"})
"""A second each; `make detection` runs them all."""
NEW = [case for case in onnx_faults.by_the_new_exporter() if case.name.removesuffix(", new exporter") in BY_THE_NEW]
FAULTS, CLEAN = [*onnx_faults.cases(), *NEW], list(onnx_networks.cases())

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
    assert len(FAULTS) >= 50
    assert len(NEW) == len(BY_THE_NEW)
    assert len(list(onnx_faults.by_the_new_exporter())) >= 50
    assert len(CLEAN) >= 40


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
