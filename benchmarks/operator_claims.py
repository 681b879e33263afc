"""Hold the rules for PyTorch's operators against the inputs that PyTorch itself tests them with.

Usage: python benchmarks/operator_claims.py [--only WORD] [--each N] [--seconds S] [--keep FILE]

Every operator of torch comes with sample inputs in all its forms (``op_db``; it needs the package expecttest). Each is
traced to ATen, an owner is drawn for each of its tensors (samples on some axis, or nobody's), and whatever the rules
claim of the results is held against runs in which samples are replaced, turned around, and of another number.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.testing._internal.common_methods_invocations import op_db

from operator_samples import Sample, Traced, UnfitError

MOST = 3000
"""Elements of the largest sample input that is taken."""
PATIENCE = 120
"""Seconds for one operator."""
DTYPES = (torch.float64, torch.int64, torch.bool, torch.float32)


def samples(word: str) -> Iterator[tuple[str, Callable[[], Iterator[Any]]]]:
    """Every operator with a word in its name: what it is called, and its samples as (function, arguments)."""

    def of(info: Any) -> Iterator[Any]:
        dtype = next((one for one in DTYPES if info.supports_dtype(one, "cpu")), None)
        if dtype is None:
            return
        for sample in info.sample_inputs("cpu", dtype, requires_grad=False):
            given = (sample.input, sample.args, sample.kwargs)
            yield info.op, given
            if info.inplace_variant is not None and isinstance(sample.input, torch.Tensor):
                yield _on_a_copy(info.inplace_variant), given

    for info in op_db:
        name = f"{info.name}.{info.variant_test_name}" if info.variant_test_name else info.name
        if word in name:
            yield name, lambda info=info: of(info)


def _on_a_copy(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda first, *args, **kwargs: function(first.clone(), *args, **kwargs)


def hold(name: str, found: Iterator[Any], each: int, seed: int, tally: Counter[str]) -> list[str]:
    """The claims about one operator that do not hold.

    Args:
        name: of the operator.
        found: its samples.
        each: how often owners are drawn for each of them.
        seed: of the draw.
        tally: counts the claims by kind of owner, and those about samples by operator.
    """
    wrong: list[str] = []
    for number, (function, given) in enumerate(found):
        try:
            sample = Sample(function, given, MOST)
        except UnfitError:
            continue
        for turn in range(each):
            draw = random.Random(f"{seed} {name} {number} {turn}")
            try:
                traced = Traced(sample, draw)
                wrong += [f"{name} sample {number} draw {turn}: {one}" for one in traced.violations(tally)]
            except UnfitError:
                continue
    return wrong


def _held(name: str, found: Iterator[Any], each: int, seed: int) -> dict[str, Any]:
    tally: Counter[str] = Counter()
    wrong = hold(name, found, each, seed, tally)
    return {"tally": dict(tally), "wrong": wrong}


def _apart(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a copy of this process finds: some kernels crash on samples that do not fit each other any more."""
    receiver, sender = multiprocessing.Pipe(duplex=False)

    def run() -> None:
        try:
            sender.send(work())
        except Exception as exc:  # an operator whose samples need what is not installed
            sender.send({"tally": {}, "wrong": [], "left": f"{type(exc).__name__}: {exc}"[:200]})

    child = multiprocessing.get_context("fork").Process(target=run)
    child.start()
    sender.close()
    try:
        return receiver.recv() if receiver.poll(PATIENCE) else {"tally": {}, "wrong": [], "left": "too slow"}
    except EOFError:
        return {"tally": {}, "wrong": [], "left": "its kernel crashed"}
    finally:
        child.kill()
        child.join()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="operators with this in their name")
    parser.add_argument("--each", type=int, default=6, help="draws of owners for each sample input")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no operator after this time")
    parser.add_argument("--keep", type=Path, help="append what is found to this file, leave out what it holds")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    done = {}
    if options.keep and options.keep.exists():
        done = {one["name"]: one for one in map(json.loads, options.keep.read_text().splitlines())}
    until = time.monotonic() + options.seconds
    for name, found in samples(options.only):
        if name in done:
            continue
        if time.monotonic() > until:
            print("some operators are left: run it again", file=sys.stderr)
            return 1
        done[name] = _apart(lambda name=name, found=found: _held(name, found(), options.each, options.seed)) | {
            "name": name
        }
        if options.keep:
            with options.keep.open("a") as file:
                print(json.dumps(done[name]), file=file)
        for line in done[name]["wrong"]:
            print(line, flush=True)
    total = sum((Counter(one["tally"]) for one in done.values()), Counter())
    kinds = sorted(kind for kind in total if "." in kind)
    print(
        f"{total['Own'] + total['Free']} claims held ({total['Own']} of values of samples), by {len(kinds)} operators"
    )
    return 1 if any(one["wrong"] for one in done.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
