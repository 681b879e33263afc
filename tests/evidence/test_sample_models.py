"""The sample command's answer on every sample model: each row verified, and the right one."""

import numpy as np
import pytest
from zoo.samples import DATA, HOME, batch_of

from kmr_cli import open_model
from kmr_cli.batch.given import number_samples

pytestmark = pytest.mark.slow
SAMPLE = 4
MERGED = {
    # Windows stand on axis 0 with the samples: rows 4i to 4i+3, or 8i to 8i+7 where the heads do too.
    "windows.keras": {"window_mix"},
    "windows.onnx": {"window_mix"},
    "windows.pt": {"window_mix"},
    "windows.pt2": {"window_mix"},
}


@pytest.fixture(scope="module", params=DATA)
def taken(request):
    with open_model(HOME / request.param, in_process=True) as model:
        data = HOME / DATA[request.param]
        yield request.param, model, model.sample("*", SAMPLE, data), data


def test_every_tap_is_verified(taken):
    name, _, records, _ = taken
    verified = {"separated", "merged", "moved", "reordered"}
    open_questions = {(r.layer, r.call, r.port): r.index for r in records if r.index.kind not in verified}
    assert open_questions == {}, name


def test_the_row_is_what_the_sample_alone_gives(taken):
    """Two samples in one batch against the same two among eleven: the row must be the same sample's."""
    _, model, records, data = taken
    with np.load(data) as archive:
        small = {spec.name: archive[spec.name][[SAMPLE, 0]] for spec in model.inputs}
    alone = {(r.layer, r.call, r.port): r for r in model.sample("*", 0, small, verify=True)}
    for record in records:
        other = alone[record.layer, record.call, record.port]
        assert record.value.shape == other.value.shape
        if other.index.kind in ("separated", "merged", "moved", "reordered"):
            np.testing.assert_allclose(
                record.value.astype(np.float64),
                other.value.astype(np.float64),
                rtol=1e-3,
                atol=1e-4,
                err_msg=record.layer,
            )


def test_merged_windows_are_reported(taken):
    name, _, records, _ = taken
    for layer in MERGED.get(name, ()):
        kinds = {record.index.kind for record in records if record.layer == layer}
        assert kinds == {"merged"}
    if name not in MERGED:
        assert {record.index.kind for record in records} == {"separated"}


def test_the_model_output_is_the_predicted_label(taken):
    name, model, _, data = taken
    with np.load(data) as archive:
        label = archive["label"][SAMPLE]
    if name.startswith("recommender"):
        indices, scores = model.sample("top", SAMPLE, data, side="out")
        assert label in indices.value
        assert (np.diff(scores.value) <= 0).all()
        return
    (record,) = model.sample("head", SAMPLE, data, side="out")
    assert label == (record.value.argmax() if record.value.size > 1 else float(record.value[0]) > 0.5)


def test_the_taps_at_the_inputs_have_the_numbers_of_the_samples_as_owners(taken):
    name, model, _, _ = taken
    batch = batch_of(name)
    records = model.sample("*", slice(None), batch, side="in")
    parts: dict[tuple[str, int, str], list] = {}
    for record in records:
        parts.setdefault((record.layer, record.call, record.port), []).append(record)
    for values in batch.values():
        rows = values.reshape(len(values), -1)
        at_input = [
            found
            for found in parts.values()
            if len(found) == len(values) and np.array_equal([record.value.ravel() for record in found], rows)
        ]
        assert at_input
        for found in at_input:
            assert found[0].index.axis == 0
            assert found[0].index.owners == tuple(number_samples(batch).tolist())
            assert [record.sample for record in found] == number_samples(batch).tolist()
