"""A longer padding where the file declares the number of steps: what the model itself takes decides."""

import numpy as np
import pytest
from zoo.cases import judge
from zoo.clean import fixed_steps as clean
from zoo.faults import fixed_steps as faults

from kmr_cli.check.check import Policy, check
from kmr_cli.errors import ModelRunError
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions, Taps
from kmr_cli.records import ModelInfo, TensorSpec

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
FAULTS = {f"{case.format}, {case.name}": case for case in faults.cases()}
CLEAN = {f"{case.format}, {case.name}": case for case in clean.cases()}
IDS = faults.IDS


@pytest.mark.parametrize("name", FAULTS)
def test_padding_that_shows_is_found(name):
    outcome = judge(FAULTS[name])
    assert outcome.found, (outcome.verdict, outcome.errors, outcome.reasons)
    assert outcome.named == (FAULTS[name].layer,)


@pytest.mark.parametrize("name", CLEAN)
def test_its_twin_passes(name):
    outcome = judge(CLEAN[name])
    assert (outcome.verdict, outcome.errors) == ("pass", ()), outcome.reasons


@pytest.mark.parametrize("form", ["keras", "savedmodel", "pt2", "onnx"])
def test_sizes_are_free_for_as_long_as_they_are_wanted(form, tmp_path):
    path = CLEAN[f"{form}, fixed steps, average heeds its padding"].build(tmp_path)
    session = detect(path).open(path, OpenOptions())
    batch, longer = {"ids": IDS.astype("int32" if form in ("keras", "savedmodel") else "int64")}, {}
    longer["ids"] = np.concatenate([batch["ids"], np.full_like(batch["ids"], faults.PAD)], axis=1)
    try:
        (before,) = session.capture(batch, Taps(())).values()
        before = np.array(before)
        with session.any_size():
            (other,) = session.capture(longer, Taps(())).values()
            assert np.allclose(other, before, atol=1e-6)
        (after,) = session.capture(batch, Taps(())).values()
        assert (np.asarray(after) == before).all()
        if form != "pt2":  # nothing there insists on what is declared
            with pytest.raises(ModelRunError):
                session.capture(longer, Taps(()))
    finally:
        session.close()


class Fixed:
    """A function of ids, declared for six steps; it takes others where it can."""

    inputs = (TensorSpec("ids", (None, 6), "int64", limit=10),)
    layers = ()

    def __init__(self, function):
        self.function = function

    def capture(self, batch, taps, sink=None, *, stop=False):
        try:
            return {"y": self.function(batch["ids"])}
        except ValueError as exc:
            raise ModelRunError(str(exc)) from exc

    def any_size(self):
        from contextlib import nullcontext

        return nullcontext()

    def close(self):
        pass


VECTORS = np.random.default_rng(0).standard_normal((10, 4))


def verdict(function):
    session = Fixed(function)
    info = ModelInfo("m", "onnx", "", session.inputs, (), (), 0)
    return check(session, info, {"ids": IDS}, policy=Policy(masks=("ids=9",)))


def masked_sum(ids):
    return (VECTORS[ids] * (ids != 9)[..., None]).sum(axis=1)


def test_a_model_that_heeds_its_padding_passes():
    assert verdict(masked_sum).verdict == "pass"


def test_a_model_that_looks_at_six_steps_only_shows_nothing():
    report = verdict(lambda ids: VECTORS[ids[:, :6]].mean(axis=1))
    assert report.verdict == "inconclusive"
    (line,) = [line for line in report.inconclusive if "could not be made longer" in line]
    assert "takes exactly 6 steps" in line
    assert "export the model for any number of steps, or leave out --mask-input" in line


def test_a_model_that_makes_samples_of_the_steps_shows_nothing():
    report = verdict(lambda ids: VECTORS[ids.reshape(-1, 6)].mean(axis=1))
    assert report.verdict == "inconclusive"


def test_a_model_that_refuses_more_steps_shows_nothing():
    report = verdict(lambda ids: VECTORS[ids].reshape(len(ids), -1) @ np.ones((24, 2)))
    assert report.verdict == "inconclusive"


def test_a_model_that_finds_rows_by_the_number_of_its_steps_shows_nothing():
    """As a bag of embeddings does, of which an export fixed the offsets: of more steps it takes those of others."""
    report = verdict(lambda ids: masked_sum(ids.reshape(-1)[: 6 * len(ids)].reshape(-1, 6)))
    assert (report.verdict, report.findings) == ("inconclusive", ())
    assert verdict(lambda ids: VECTORS[ids].mean(axis=1)).verdict == "fail"
