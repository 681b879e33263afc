"""Masks, on models of several inputs made of plain functions: padding may not matter, nothing may divide by zero."""

import numpy as np
import pytest
from zoo.arrays import Named

from kmr_cli.check.check import Policy, check
from kmr_cli.errors import BatchError, ModelRunError
from kmr_cli.records import ModelInfo, TensorSpec

B, T, F = 7, 5, 3
VALUES = TensorSpec("values", (None, T, F), "float64")
MASK = TensorSpec("mask", (None, T), "float64")
TOKENS = TensorSpec("tokens", (None, None), "int64", 9)
TABLE = np.random.default_rng(3).standard_normal((9, F))


def mean(values, mask):
    return (values * mask[:, :, None]).sum(1) / np.maximum(mask.sum(1), 1)[:, None]


def blind_mean(values, mask):
    return values.mean(1) + 0 * mask.sum(1)[:, None]


def empty_mean(values, mask):
    return (values * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]


def per_step(values, mask):
    return np.tanh(values)


def poisoned_by_padding(values, mask):
    return np.cumsum(values[:, ::-1], axis=1)[:, ::-1] + 0 * mask[:, :, None]


def read(tokens):
    counts = (tokens != 0)[:, :, None]
    return (TABLE[tokens] * counts).sum(1) / np.maximum(counts.sum(1), 1)


def read_blindly(tokens):
    return TABLE[tokens].mean(1)


def report_on(function, *inputs, masks):
    session = Named(function, *inputs)
    info = ModelInfo("m", "keras", "", inputs, (), session.layers, 0)
    rng = np.random.default_rng(0)
    batch = {"values": rng.standard_normal((B, T, F)), "mask": np.ones((B, T)), "tokens": rng.integers(1, 9, (B, T))}
    batch["mask"][:, -1] = rng.integers(0, 2, B)
    batch = {spec.name: batch[spec.name] for spec in inputs}
    return check(session, info, batch, policy=Policy(select=("KMR2",), masks=masks))


@pytest.mark.parametrize(
    ("function", "inputs", "mask", "expected"),
    [
        (mean, (VALUES, MASK), "mask", set()),
        (per_step, (VALUES, MASK), "mask", set()),
        (blind_mean, (VALUES, MASK), "mask", {("KMR201", "pool")}),
        (poisoned_by_padding, (VALUES, MASK), "mask", {("KMR201", "pool")}),
        (empty_mean, (VALUES, MASK), "mask", {("KMR202", "pool")}),
        (read, (TOKENS,), "tokens=0", set()),
        (read_blindly, (TOKENS,), "tokens=0", {("KMR201", "pool")}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_masks_should_hide(function, inputs, mask, expected):
    report = report_on(function, *inputs, masks=(mask,))
    assert {(finding.rule, finding.layer) for finding in report.findings} == expected
    assert (report.verdict == "fail") == bool(expected)


def test_masks_cost_at_most_four_passes_and_none_where_there_are_none():
    with_masks = report_on(read, TOKENS, masks=("tokens=0",)).forward_passes
    without = report_on(read, TOKENS, masks=()).forward_passes
    assert 2 <= with_masks - without <= 4
    explicit = report_on(mean, VALUES, MASK, masks=("mask",)).forward_passes
    assert 3 <= explicit - report_on(mean, VALUES, MASK, masks=()).forward_passes <= 4


@pytest.mark.parametrize("mask", ["no such", "tokens=none"])
def test_a_mask_that_is_none(mask):
    with pytest.raises(BatchError):
        report_on(read, TOKENS, masks=(mask,))


def test_a_mask_without_steps():
    flat = TensorSpec("mask", (None,), "float64")
    session = Named(lambda mask: mask * 2.0, flat)
    info = ModelInfo("m", "keras", "", (flat,), (), session.layers, 0)
    with pytest.raises(BatchError, match="no steps"):
        check(session, info, {"mask": np.arange(7.0)}, policy=Policy(masks=("mask",)))


def test_padding_that_nobody_can_vary_is_not_a_pass():
    fixed = TensorSpec("tokens", (None, T), "int64", 9)
    report = report_on(read, fixed, masks=("tokens=0",))
    assert report.verdict == "inconclusive"
    assert any("'tokens'" in reason for reason in report.inconclusive)


def test_a_mask_that_the_model_implies():
    implied = TensorSpec("tokens", (None, None), "int64", 9, padding=0.0)
    assert {finding.rule for finding in report_on(read_blindly, implied, masks=()).findings} == {"KMR201"}
    assert report_on(read, implied, masks=()).verdict == "pass"


def torch_mean(values, mask):
    return mean(values, 1 - mask)


def test_a_mask_whose_ones_are_padding():
    """The batch's last step is masked in some samples: the values tell which value hides."""

    def checked(function, masks):
        session = Named(function, VALUES, MASK)
        info = ModelInfo("m", "keras", "", (VALUES, MASK), (), session.layers, 0)
        rng = np.random.default_rng(0)
        batch = {"values": rng.standard_normal((B, T, F)), "mask": np.zeros((B, T))}
        batch["mask"][:3, -2:] = 1
        report = check(session, info, batch, policy=Policy(select=("KMR2",), masks=masks))
        return {finding.rule for finding in report.findings}

    assert checked(torch_mean, ("mask",)) == checked(torch_mean, ("mask=True",)) == set()
    assert checked(blind_mean, ("mask",)) == checked(blind_mean, ("mask=1",)) == {"KMR201"}
    assert checked(torch_mean, ("mask=0",)) == {"KMR201"}  # told the wrong way round


def test_invented_ids_stay_inside_the_range_where_the_last_one_is_padding():
    seen = []

    def last_is_padding(tokens):
        seen.append((tokens.min(), tokens.max()))
        counts = (tokens != 8)[:, :, None]
        return (TABLE[tokens] * counts).sum(1) / np.maximum(counts.sum(1), 1)

    assert report_on(last_is_padding, TOKENS, masks=("tokens=8",)).verdict == "pass"
    assert max(most for _, most in seen) == 8
    assert {finding.rule for finding in report_on(read_blindly, TOKENS, masks=("tokens=8",)).findings} == {"KMR201"}


FRAMES = TensorSpec("frames", (None, None, F), "float64")
COUNTS = TensorSpec("counts", (None,), "int64")
SHARES = TensorSpec("shares", (None,), "float32")
STRIDE, FRAME_STEPS = 8, 24


def strided(frames, count, *, masked):
    """A front end of stride 8, and attention that looks at all it gives, or at what counts alone."""
    inner = frames.shape[1] // STRIDE
    hidden = np.tanh(frames[:, : inner * STRIDE].reshape(len(frames), inner, STRIDE, -1).mean(2) + 0.5)
    keep = (np.arange(inner)[None] < count[:, None])[..., None]
    scores = np.exp(hidden @ hidden.transpose(0, 2, 1)) * (keep.transpose(0, 2, 1) if masked else 1)
    return (scores @ hidden) / np.maximum(scores.sum(2, keepdims=True), 1e-9) * keep


def by_counts(masked):
    return lambda frames, counts: strided(frames, counts // STRIDE, masked=masked)


def by_shares(masked):
    def run(frames, shares):
        return strided(frames, np.ceil(shares * np.float32(frames.shape[1] // STRIDE)), masked=masked)

    return run


def strided_report(function, lengths, most=None):
    def limited(**batch):
        if most is not None and batch["frames"].shape[1] > most:
            raise ModelRunError("too many steps")
        return function(**batch)

    session = Named(limited, FRAMES, lengths)
    info = ModelInfo("m", "torchscript", "", session.inputs, (), session.layers, 0)
    counts = np.array([24, 16, 8, 19, 22, 12, 10])
    frames = np.random.default_rng(0).standard_normal((B, FRAME_STEPS, F))
    frames[np.arange(FRAME_STEPS)[None] >= counts[:, None]] = 0
    told = counts if lengths is COUNTS else (counts / FRAME_STEPS).astype(np.float32)
    batch = {"frames": frames, lengths.name: told}
    return check(session, info, batch, policy=Policy(select=("KMR2",), masks=("frames=0",)))


@pytest.mark.parametrize(("lengths", "model"), [(COUNTS, by_counts), (SHARES, by_shares)])
def test_padding_is_made_long_enough_for_a_stride_and_lengths_go_with_it(lengths, model):
    assert [finding.rule for finding in strided_report(model(masked=False), lengths).findings] == ["KMR201"]
    clean = strided_report(model(masked=True), lengths)
    assert (clean.verdict, clean.findings) == ("pass", ())


def test_padding_shorter_than_the_stride_shows_nothing():
    report = strided_report(by_counts(masked=False), COUNTS, most=FRAME_STEPS + 5)
    assert report.verdict == "inconclusive"
    assert any("'frames'" in reason for reason in report.inconclusive)


@pytest.mark.parametrize(("heeds", "verdict"), [(True, "pass"), (False, "inconclusive")])
def test_where_nothing_longer_is_taken_other_content_beyond_the_lengths_tells(heeds, verdict):
    def model(frames, counts):
        keep = (np.arange(FRAME_STEPS)[None] < counts[:, None])[..., None] if heeds else np.ones(1)
        return (np.tanh(frames) * keep).sum(1) / np.maximum(counts, 1)[:, None]

    assert strided_report(model, COUNTS, most=FRAME_STEPS).verdict == verdict
