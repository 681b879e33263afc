"""Code in which samples meet, change places or are counted, in ways that a proof of it has to see; and clean kin."""

from __future__ import annotations

import torch
from torch import Tensor


def view_of_what_is_overwritten(x: Tensor) -> Tensor:
    base = torch.zeros_like(x)
    first = base[0]
    base.copy_(x)
    return x + first


def expanded_then_overwritten(x: Tensor) -> Tensor:
    total = torch.zeros(1, 6)
    spread = total.expand(x.size(0), 6)
    total.add_(x.sum(0, keepdim=True))
    return x + spread


def rows_shifted_by_one(x: Tensor) -> Tensor:
    out = torch.zeros_like(x)
    for row in range(x.size(0)):
        out[row] = x[row - 1] * 2
    return out


def number_out_of_the_batch(x: Tensor) -> Tensor:
    return x / float(x.abs().max())


def positive_rows_counted(x: Tensor) -> Tensor:
    return x + torch.full((1, 6), int((x[:, 0] > 0).sum()))


def transposed_in_place(x: Tensor) -> Tensor:
    base = x.clone()
    turned = base.t()
    turned.mul_(turned.mean(1, keepdim=True))
    return base


def mean_above_16_samples(x: Tensor) -> Tensor:
    return x - x.mean(0) if x.size(0) > 16 else x


def first_32_samples(x: Tensor) -> Tensor:
    return x[:32] * 2


def more_than_40_samples(x: Tensor) -> Tensor:
    return torch.cat([x[:40], x[40:] + x[:1]])


def windows_in_memory(x: Tensor) -> Tensor:
    return torch.as_strided(torch.cat([x, x]).contiguous(), [x.size(0), 6], [6, 1], 3)


def windows_over_samples(x: Tensor) -> Tensor:
    return torch.cat([x, x[:1]]).unfold(0, 2, 1).sum(-1)


def mean_in_a_task(x: Tensor) -> Tensor:
    task = torch.jit.fork(torch.mean, x, [0])
    return x + torch.jit.wait(task)


def equal_rows(x: Tensor) -> Tensor:
    return x * 2 if torch.equal(x[0], x[1]) else x


def where_the_largest_is(x: Tensor) -> Tensor:
    return torch.where(torch.arange(x.size(0)).unsqueeze(1) == x[:, :1].argmax(), x * 2, x)


def halves_swapped(x: Tensor) -> Tensor:
    half = x.size(0) // 2
    return torch.cat([x[half:], x[:half]])


def every_second_first(x: Tensor) -> Tensor:
    odd = x.size(0) % 2
    return x if odd == 0 else x.flip(0)


def other_memory(x: Tensor) -> Tensor:
    out = torch.zeros(1)
    out.set_(x.mean(0, keepdim=True))
    return x + out


def result_given(x: Tensor) -> Tensor:
    out = torch.zeros(1, 6)
    torch.mean(x, 0, True, out=out)
    return x + out


def data_overwritten(x: Tensor) -> Tensor:
    out = torch.zeros(6)
    out.data.copy_(x.mean(0))
    return x + out


def number_through_a_shape(x: Tensor) -> Tensor:
    return x / (1 + torch.nonzero(x[:, 0] > 0).size(0))


def number_through_a_buffer(x: Tensor) -> Tensor:
    kept = torch.zeros(1)
    kept.copy_(x[:1, 0])
    return x * 2 if bool(kept > 0) else x


def clamped_places(x: Tensor) -> Tensor:
    return x[torch.arange(x.size(0)).clamp(max=40)]


def kinds_counted(x: Tensor) -> Tensor:
    return x * torch.unique(x[:, 0]).numel()


def input_overwritten(x: Tensor) -> Tensor:
    x.sub_(x.mean(0))
    return x * 2


def number_as_a_tensor(x: Tensor) -> Tensor:
    return x - torch.tensor(float(x.max()))


def resized_in_place(x: Tensor) -> Tensor:
    out = x.clone()
    out.resize_(6, x.size(0))
    return x + out.mean(1)


def list_turned(x: Tensor) -> Tensor:
    rows = [x[row] for row in range(x.size(0))]
    return torch.stack(rows[1:] + rows[:1])


def branch_that_a_sample_decides(x: Tensor) -> Tensor:
    factor = 1.0
    if bool((x > 2).any()):
        factor = 2.0
    return x * factor


def divided_by_how_many_there_are(x: Tensor) -> Tensor:
    return x / x.size(0)


def root_of_how_many_there_are(x: Tensor) -> Tensor:
    return x * float(x.size(0)) ** 0.5


def steps_filled_in_place(x: Tensor) -> Tensor:
    out = torch.zeros(x.size(0), 3, 6)
    for step in range(3):
        out[:, step] = x * step
    return out.sum(1)


def features_in_place(x: Tensor) -> Tensor:
    base = x.clone()
    turned = base.t()
    turned.mul_(turned.mean(0, keepdim=True))
    return base


def frequencies(x: Tensor) -> Tensor:
    return torch.view_as_real(torch.fft.fft(x, dim=1) * 2).sum(-1)


def own_task(x: Tensor) -> Tensor:
    task = torch.jit.fork(torch.tanh, x)
    return x + torch.jit.wait(task)


def masked_by_value(x: Tensor) -> Tensor:
    out = x.clone()
    out[out > 1] = 0.0
    return out


def own_places(x: Tensor) -> Tensor:
    return x[torch.arange(x.size(0))] * 2


def asks_for_a_constant(x: Tensor) -> Tensor:
    scale = torch.arange(3).sum()
    return x * 2 if bool(scale > 2) else x - x.mean(0)


def any_batch_is_one(x: Tensor) -> Tensor:
    return x * 2 if x.size(0) > 0 and x.numel() >= x.size(0) else x - x.mean(0)


def convolved_over_features(x: Tensor) -> Tensor:
    return torch._convolution_mode(x.unsqueeze(1), torch.ones(2, 1, 3), None, [1], "same", [1], 1).flatten(1)


def convolved_over_samples(x: Tensor) -> Tensor:
    turned = x.t().unsqueeze(1)
    return torch._convolution_mode(turned, torch.ones(1, 1, 3), None, [1], "same", [1], 1).squeeze(1).t()


def weights_of_length_one(x: Tensor) -> Tensor:
    return x @ torch._weight_norm(torch.ones(6, 6), torch.ones(6, 1), 0)


def samples_as_weights(x: Tensor) -> Tensor:
    return torch._weight_norm(x, torch.ones(1, 6), 1)


def each_step_twice(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, 1).reshape(x.size(0), 2, -1)


NEVER_PROVEN = (
    view_of_what_is_overwritten, expanded_then_overwritten, rows_shifted_by_one, number_out_of_the_batch,
    positive_rows_counted, transposed_in_place, mean_above_16_samples, first_32_samples, more_than_40_samples,
    windows_in_memory, windows_over_samples, mean_in_a_task, equal_rows, where_the_largest_is, halves_swapped,
    every_second_first, other_memory, result_given, data_overwritten, number_through_a_shape, number_through_a_buffer,
    clamped_places, kinds_counted, input_overwritten, number_as_a_tensor, resized_in_place, list_turned,
    branch_that_a_sample_decides, divided_by_how_many_there_are, root_of_how_many_there_are,
    convolved_over_samples, samples_as_weights,
)  # fmt: skip
PROVEN = (
    steps_filled_in_place, features_in_place, frequencies, own_task, masked_by_value, own_places, asks_for_a_constant,
    any_batch_is_one, convolved_over_features, weights_of_length_one, each_step_twice,
)  # fmt: skip
