"""Graphs that broke first versions of the proof, each with a twin that is clean."""

import numpy as np
from zoo.operators import Program

from kmr_cli.proof.graph import Ref
from kmr_cli.proof.sizes import BATCH

X, STEPS = Ref("x"), Ref("steps")
CASES = {}


def case(answer, *, at=""):
    """A model whose output ``answer`` is claimed of; ``at`` is the operator that must be blamed."""

    def note(build):
        CASES[build.__name__] = (build, answer, at)
        return build

    return note


def new():
    rng = np.random.default_rng(0)
    weights = {"w": rng.integers(-2, 3, (6, 6)) + 0.5, "bias": rng.integers(-2, 3, (6,)) + 0.5}
    weights["kernel"] = rng.integers(-2, 3, (6, 6, 1)) + 0.5
    return Program({"x": ((6,), "real"), "steps": ((4, 6), "real"), "ids": ((4,), "whole")}, weights)


# Reductions, and what looks like them


@case("meet", at="aten.sum")
def mean_of_the_batch(p):
    return p.add("aten.add", self=X, other=p.add("aten.sum", self=X, dim=(0,)))


@case("proven")
def mean_of_the_features(p):
    return p.add("aten.add", self=X, other=p.add("aten.sum", self=X, dim=(1,), keepdim=True))


@case("meet", at="aten.softmax")
def softmax_over_the_batch(p):
    return p.add("aten.softmax", self=X, dim=0)


@case("meet", at="aten.sort")
def sort_of_the_batch(p):
    return p.add("aten.sort", 2, self=X, dim=0)[0]


@case("proven")
def sort_of_the_features(p):
    return p.add("aten.sort", 2, self=X, dim=-1)[0]


@case("meet", at="aten.sum")
def zero_product(p):
    zero = p.add("aten.sum", self=p.add("aten.mul", self=X, other=0), dim=(0,))
    return p.add("aten.add", self=X, other=zero)


@case("meet", at="aten.select")
def first_sample_for_all(p):
    return p.add("aten.add", self=X, other=p.add("aten.select", self=X, dim=0, index=0))


@case("unknown", at="aten.flip")
def samples_turned_around(p):
    return p.add("aten.flip", self=X, dims=(0,))


@case("unknown", at="aten.roll")
def samples_moved_on(p):
    return p.add("aten.roll", self=X, shifts=1, dims=(0,))


@case("proven")
def steps_moved_on(p):
    return p.add("aten.roll", self=STEPS, shifts=1, dims=(1,))


@case("proven")
def channels_of_an_image_of_nobody(p):
    image = p.add("aten.expand", self=Ref("bias"), size=(6, 6))
    convolved = p.add("aten.conv1d", input=image, weight=Ref("kernel"))
    return p.add("aten.add", self=X, other=p.add("aten.sum", self=convolved, dim=(0,)))


@case("meet", at="aten.conv1d")
def samples_taken_for_channels(p):
    turned = p.add("aten.transpose", self=X, dim0=0, dim1=1)
    return p.add("aten.transpose", self=p.add("aten.conv1d", input=turned, weight=Ref("kernel")), dim0=0, dim1=1)


# Products


@case("meet", at="aten.matmul")
def samples_times_samples(p):
    return p.add("aten.matmul", self=X, other=p.add("aten.transpose", self=X, dim0=0, dim1=1))


@case("meet", at="aten.matmul")
def attention_over_samples(p):
    turned = p.add("aten.transpose", self=STEPS, dim0=0, dim1=1)
    scores = p.add("aten.matmul", self=turned, other=p.add("aten.transpose", self=turned, dim0=1, dim1=2))
    return p.add("aten.transpose", self=p.add("aten.matmul", self=scores, other=turned), dim0=0, dim1=1)


@case("proven")
def attention_over_steps(p):
    return p.add("aten.scaled_dot_product_attention", query=STEPS, key=STEPS, value=STEPS)


@case("proven")
def einsum_that_keeps_samples(p):
    return p.add("aten.einsum", equation="btd,bd->bt", tensors=(STEPS, X))


@case("meet", at="aten.einsum")
def einsum_that_joins_samples(p):
    return p.add("aten.einsum", equation="btd,cd->bt", tensors=(STEPS, X))


# Reshapes


@case("meet", at="aten.reshape")
def transposed_and_reshaped_back(p):
    turned = p.add("aten.transpose", self=STEPS, dim0=0, dim1=1)
    return p.add("aten.reshape", self=turned, shape=(BATCH, 4, 6))


@case("proven")
def heads_merged_into_the_batch(p):
    parted = p.add("aten.reshape", self=STEPS, shape=(BATCH, 4, 2, 3))
    heads = p.add("aten.permute", self=parted, dims=(2, 0, 1, 3))
    merged = p.add("aten.reshape", self=heads, shape=(2 * BATCH, 4, 3))
    seen = p.add("aten.scaled_dot_product_attention", query=merged, key=merged, value=merged)
    apart = p.add("aten.permute", self=p.add("aten.reshape", self=seen, shape=(2, BATCH, 4, 3)), dims=(1, 2, 0, 3))
    return p.add("aten.reshape", self=apart, shape=(BATCH, 4, 6))


@case("meet", at="aten.reshape")
def heads_merged_and_parted_the_other_way(p):
    parted = p.add("aten.reshape", self=STEPS, shape=(BATCH, 4, 2, 3))
    merged = p.add("aten.reshape", self=p.add("aten.permute", self=parted, dims=(2, 0, 1, 3)), shape=(2 * BATCH, 4, 3))
    return p.add("aten.reshape", self=merged, shape=(BATCH, 2, 4, 3))


@case("layout")
def time_first(p):
    return p.add("aten.transpose", self=STEPS, dim0=0, dim1=1)


# Place and number


@case("count")
def divided_by_the_number_of_samples(p):
    return p.add("aten.div", self=X, other=BATCH)


@case("count")
def divided_by_a_tensor_of_the_number(p):
    return p.add("aten.div", self=X, other=p.add("aten.full", size=(1,), fill_value=BATCH))


@case("proven")
def divided_by_the_number_of_steps(p):
    return p.add("aten.div", self=STEPS, other=4)


@case("count")
def last_of_as_many_as_samples(p):
    places = p.add("aten.arange", end=BATCH)
    return p.add("aten.mul", self=X, other=p.add("aten.select", self=places, dim=0, index=-1))


@case("place")
def numbered_samples(p):
    places = p.add("aten.unsqueeze", self=p.add("aten.arange", end=BATCH), dim=1)
    return p.add("aten.add", self=X, other=places)


@case("proven")
def numbered_features(p):
    return p.add("aten.add", self=X, other=p.add("aten.arange", end=6))


@case("place")
def numbers_behind_a_broadcast(p):
    places = p.add("aten.unsqueeze", self=p.add("aten.arange", end=BATCH), dim=1)
    return p.add("aten.where", condition=p.add("aten.expand", self=places, size=(BATCH, 6)), self=X, other=0.0)


@case("count")
def pairs_that_are_summed(p):
    pairs = p.add("aten.expand", self=p.add("aten.unsqueeze", self=X, dim=1), size=(BATCH, BATCH, 6))
    return p.add("aten.sum", self=pairs, dim=(1,))


# Indices


@case("proven")
def last_step_of_each_by_its_number(p):
    places = p.add("aten.arange", end=BATCH)
    last = p.add("aten.select", self=Ref("ids"), dim=1, index=0)
    return p.add("aten.index", self=STEPS, indices=(places, last))


@case("unknown", at="aten.index")
def rows_of_others_by_number(p):
    places = p.add("aten.flip", self=p.add("aten.arange", end=BATCH), dims=(0,))
    return p.add("aten.index", self=STEPS, indices=(places,))


@case("unknown", at="aten.index")
def rows_by_content(p):
    return p.add("aten.index", self=X, indices=(p.add("aten.select", self=Ref("ids"), dim=1, index=0),))


@case("meet", at="aten.index")
def columns_by_the_content_of_all(p):
    return p.add("aten.index", self=X, indices=(None, p.add("aten.select", self=Ref("ids"), dim=1, index=0)))


@case("proven")
def table_by_content(p):
    return p.add("aten.embedding", weight=Ref("w"), indices=Ref("ids"))


@case("meet", at="aten.scatter_add")
def sums_over_segments(p):
    index = p.add("aten.expand", self=p.add("aten.select", self=Ref("ids"), dim=1, index=0), size=(BATCH,))
    index = p.add("aten.expand", self=p.add("aten.unsqueeze", self=index, dim=1), size=(BATCH, 6))
    return p.add("aten.scatter_add", self=X, dim=0, index=index, src=X)


@case("proven")
def sums_within_a_sample(p):
    return p.add("aten.scatter_add", self=X, dim=1, index=Ref("ids"), src=X)


# Memory that is shared


@case("proven")
def steps_written_in_place(p):
    zeros = p.add("aten.zeros_like", self=STEPS)
    for step in range(4):
        p.add("aten.copy_", self=p.add("aten.select", self=zeros, dim=1, index=step), src=X)
    return p.add("aten.clone", self=zeros)


@case("unknown")
def one_sample_written_in_place(p):
    zeros = p.add("aten.zeros_like", self=X)
    first = p.add("aten.select", self=zeros, dim=0, index=0)
    p.add("aten.copy_", self=first, src=p.add("aten.sum", self=Ref("w"), dim=(0,)))
    p.add("aten.add_", self=zeros, other=X)
    p.add("aten.zero_", self=first)
    return p.add("aten.clone", self=zeros)


@case("meet", at="aten.sum")
def mean_written_through_a_view(p):
    row = p.add("aten.full", size=(1, 6), fill_value=0.0)
    view = p.add("aten.view", self=row, size=(6,))
    p.add("aten.copy_", self=view, src=p.add("aten.sum", self=X, dim=(0,)))
    return p.add("aten.add", self=X, other=row)


@case("meet", at="aten.sum")
def mean_seen_through_an_older_view(p):
    row = p.add("aten.full", size=(1, 6), fill_value=0.0)
    view = p.add("aten.view", self=row, size=(6,))
    p.add("aten.add_", self=row, other=p.add("aten.sum", self=X, dim=(0,), keepdim=True))
    return p.add("aten.add", self=X, other=view)


@case("proven")
def features_written_through_a_turned_view(p):
    copy = p.add("aten.clone", self=X)
    view = p.add("aten.transpose", self=copy, dim0=0, dim1=1)
    p.add("aten.add_", self=view, other=p.add("aten.sum", self=view, dim=(0,), keepdim=True))
    return p.add("aten.clone", self=copy)


@case("meet", at="aten.sum")
def samples_written_through_a_turned_view(p):
    copy = p.add("aten.clone", self=X)
    view = p.add("aten.transpose", self=copy, dim0=0, dim1=1)
    p.add("aten.add_", self=view, other=p.add("aten.sum", self=view, dim=(1,), keepdim=True))
    return p.add("aten.clone", self=copy)


@case("state")
def weights_that_are_written(p):
    p.add("aten.add_", self=Ref("bias"), other=1.0)
    return p.add("aten.add", self=X, other=Ref("bias"))


@case("proven")
def new_memory_that_is_filled(p):
    made = p.add("aten.empty_like", self=X)
    p.add("aten.copy_", self=made, src=X)
    return p.add("aten.clone", self=made)


@case("unknown", at="aten.empty_like")
def new_memory_that_is_read(p):
    return p.add("aten.add", self=X, other=p.add("aten.empty_like", self=X))


@case("count")
def sum_of_the_places(p):
    return p.add("aten.mul", self=X, other=p.add("aten.sum", self=p.add("aten.arange", end=BATCH), dim=(0,)))


# What is nobody's and comes again within every sample


def _windows(p):
    """(batch * 4, 6): the steps of all samples, one behind the other."""
    return p.add("aten.reshape", self=STEPS, shape=(4 * BATCH, 6))


def _mask(p, rows=4):
    return p.add("aten.slice", self=Ref("w"), dim=0, start=0, end=rows)


@case("proven")
def a_mask_of_one_sample_spread_over_all(p):
    spread = p.add("aten.expand", self=_mask(p), size=(BATCH, 4, 6))
    flat = p.add("aten.reshape", self=spread, shape=(4 * BATCH, 6))
    masked = p.add("aten.add", self=_windows(p), other=flat)
    return p.add("aten.reshape", self=masked, shape=(BATCH, 4, 6))


@case("proven")
def a_mask_of_one_sample_repeated_for_all(p):
    repeated = p.add("aten.repeat", self=_mask(p), repeats=(BATCH, 1))
    turned = p.add("aten.transpose", self=p.add("aten.transpose", self=repeated, dim0=0, dim1=1), dim0=1, dim1=0)
    masked = p.add("aten.add", self=_windows(p), other=p.add("aten.mul", self=turned, other=Ref("bias")))
    return p.add("aten.reshape", self=masked, shape=(BATCH, 4, 6))


@case("proven")
def a_repeated_mask_that_is_cut_apart_again(p):
    repeated = p.add("aten.repeat", self=_mask(p), repeats=(BATCH, 1))
    apart = p.add("aten.reshape", self=repeated, shape=(BATCH, 4, 6))
    return p.add("aten.add", self=STEPS, other=apart)


@case("count")
def a_mask_whose_rows_are_spread_over_all(p):
    """Row 0 for as many as there are samples, then row 1: whose row it is depends on their number."""
    spread = p.add("aten.repeat_interleave", self=_mask(p), repeats=BATCH, dim=0)
    masked = p.add("aten.add", self=_windows(p), other=spread)
    return p.add("aten.reshape", self=masked, shape=(BATCH, 4, 6))


@case("place")
def a_mask_for_every_second_sample(p):
    """Four rows come again, and every sample has two."""
    turned = p.add("aten.permute", self=p.add("aten.reshape", self=STEPS, shape=(BATCH, 2, 2, 6)), dims=(1, 0, 2, 3))
    flat = p.add("aten.reshape", self=turned, shape=(4 * BATCH, 6))
    repeated = p.add("aten.repeat", self=_mask(p), repeats=(BATCH, 1))
    masked = p.add("aten.reshape", self=p.add("aten.add", self=flat, other=repeated), shape=(2, BATCH, 2, 6))
    apart = p.add("aten.permute", self=masked, dims=(1, 0, 2, 3))
    return p.add("aten.reshape", self=apart, shape=(BATCH, 4, 6))


@case("place")
def a_repeated_mask_times_the_number_of_the_row(p):
    numbers = p.add("aten.unsqueeze", self=p.add("aten.arange", end=4 * BATCH), dim=-1)
    repeated = p.add("aten.repeat", self=_mask(p), repeats=(BATCH, 1))
    masked = p.add("aten.add", self=_windows(p), other=p.add("aten.mul", self=repeated, other=numbers))
    return p.add("aten.reshape", self=masked, shape=(BATCH, 4, 6))


@case("proven")
def ones_by_the_numbers_of_the_samples(p):
    """As traces of transformers have it: which of them is taken does not matter."""
    ones = p.add("aten.full", size=(BATCH, 4), fill_value=1.0)
    rows = p.add("aten.unsqueeze", self=p.add("aten.arange", end=BATCH), dim=-1)
    picked = p.add("aten.index", self=ones, indices=(rows, p.add("aten.arange", end=4)))
    return p.add("aten.mul", self=STEPS, other=p.add("aten.unsqueeze", self=picked, dim=-1))


# Numbers of samples that are numbers of samples no longer


@case("unknown", at="aten.index_select")
def samples_by_their_bucket(p):
    """Among few boundaries, all samples from some number on fall into one bucket, and take the same row."""
    bucket = p.add("aten.bucketize", self=p.add("aten.arange", end=BATCH), boundaries=Ref("bias"))
    return p.add("aten.index_select", self=X, dim=0, index=bucket)


@case("count")
def bucket_among_as_many_as_there_are_samples(p):
    ones = p.add("aten.full", size=(BATCH,), fill_value=-1.0)
    return p.add("aten.mul", self=X, other=p.add("aten.bucketize", self=X, boundaries=ones))


@case("proven")
def samples_by_their_number(p):
    return p.add("aten.index_select", self=X, dim=0, index=p.add("aten.arange", end=BATCH))


@case("place")
def slopes_that_go_by_the_sample(p):
    """One number throughout, until every place of the axis has a slope of its own."""
    row = p.add("aten.prelu", self=p.add("aten.full", size=(1, BATCH), fill_value=-1.0),
                weight=p.add("aten.arange", end=BATCH))  # fmt: skip
    return p.add("aten.mul", self=X, other=p.add("aten.transpose", self=row, dim0=0, dim1=1))


@case("place")
def a_grid_for_every_place_of_the_batch(p):
    scales = p.add("aten.add", self=p.add("aten.arange", end=BATCH), other=1.0)
    row = p.add("quantized_decomposed.quantize_per_channel", input=p.add("aten.full", size=(BATCH, 1), fill_value=8.0),
                scales=scales, axis=0)  # fmt: skip
    return p.add("aten.mul", self=X, other=row)


@case("unknown", at="aten.index_select")
def the_first_sample_by_a_number_that_is_spread(p):
    """A count of one number, repeated for all samples, counts no longer."""
    first = p.add("aten.slice", self=p.add("aten.arange", end=6), dim=0, start=0, end=1)
    return p.add("aten.index_select", self=X, dim=0, index=p.add("aten.expand", self=first, size=(BATCH,)))


@case("proven")
def attention_to_what_a_sample_holds(p):
    """Whose the result is does not follow from the queries, which are everybody's."""
    queries = p.add("aten.unsqueeze", self=Ref("w"), dim=0)
    return p.add("aten.scaled_dot_product_attention", query=queries, key=STEPS, value=STEPS)


@case("meet", at="aten.scaled_dot_product_attention")
def attention_among_samples(p):
    """Without an axis in front, the samples themselves are what is looked at."""
    return p.add("aten.scaled_dot_product_attention", query=X, key=X, value=X)


@case("count")
def something_added_to_the_first_place(p):
    """Zeros throughout, until one row of them is written to: of the place, and of the number by the rule."""
    zeros = p.add("aten.full", size=(BATCH, 6), fill_value=0.0)
    first = p.add("aten.slice", self=p.add("aten.arange", end=6), dim=0, start=0, end=1)
    row = p.add("aten.unsqueeze", self=Ref("bias"), dim=0)
    return p.add("aten.add", self=X, other=p.add("aten.index_add", self=zeros, dim=0, index=first, source=row))


@case("count")
def as_many_ones_added_as_there_are_samples(p):
    zeros = p.add("aten.full", size=(1, 6), fill_value=0.0)
    nowhere = p.add("aten.full", size=(BATCH,), fill_value=0.0)
    ones = p.add("aten.full", size=(BATCH, 6), fill_value=1.0)
    return p.add("aten.mul", self=X, other=p.add("aten.index_add", self=zeros, dim=0, index=nowhere, source=ones))


@case("unknown", at="aten.index_put")
def numbers_that_may_be_a_mask(p):
    """Nothing tells of which dtype they are: as a mask they would stay within their sample, as numbers they pick."""
    return p.add("aten.index_put", self=STEPS, indices=(Ref("ids"),), values=0.5)
