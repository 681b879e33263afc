"""Every bundled layer keeps the contract of a Keras layer."""

import keras
import pytest
from layers import layer_contract
from layers.cases import CASES

from kmr_cli import layers

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
FLOATS = [case for case in CASES if not case.integers]

every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_policy = pytest.mark.parametrize("policy", layer_contract.POLICIES)


def test_every_layer_has_cases():
    assert {case.name for case in CASES} == set(layers.__all__)
    assert len(layers.__all__) == 9


@every_policy
@every_case
def test_formula(case, policy):
    layer_contract.check_formula(case, policy)


@every_policy
@every_case
def test_symbolic_equals_eager(case, policy):
    layer_contract.check_symbolic_equals_eager(case, policy)


@every_case
def test_config(case):
    layer_contract.check_config(case)


@every_case
def test_clone(case):
    layer_contract.check_clone(case)


@every_case
def test_saved(case, tmp_path):
    layer_contract.check_saved(case, tmp_path)


@every_case
def test_samples_are_independent(case):
    layer_contract.check_samples_are_independent(case)


@pytest.mark.parametrize("case", FLOATS, ids=str)
def test_a_poisoned_neighbour(case):
    layer_contract.check_a_poisoned_neighbour(case)


@pytest.mark.parametrize("case", [case for case in FLOATS if case.learns], ids=str)
def test_training(case):
    layer_contract.check_training(case)


if ON_TENSORFLOW:

    @every_case
    def test_exported(case, tmp_path):
        layer_contract.check_exported(case, tmp_path)

    @every_case
    def test_compiled(case):
        layer_contract.check_compiled(case)
