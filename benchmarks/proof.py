"""Hold the structural proof against graphs whose truth is known, and write the table in proof.md.

Usage: python benchmarks/proof.py [--formats NAME ...] [--graphs N] [--corpus FOLDER ...] [--zoo GROUP ...]
                                  [--without-passes] [--only WORD] [--keep FILE [--seconds N]] [--forget WORD]
                                  [--checks FILE] [--only-kept]

Three things are tried: random graphs of operators, every claim of which is held against data; the models with seeded
faults and without any from tests/zoo, in every format that has a graph; and whatever models lie in a folder, such as
benchmarks/corpus.py and benchmarks/keras_corpus.py fill with architectures of others. What a run does not measure keeps
the figures that it has in proof.json, with their date. With ``--keep FILE`` every outcome is appended to FILE as it
comes, and what stands there isn't measured again: so that a run can be done in pieces of N seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

from proof_outcomes import Kept, Outcome, judged
from proof_page import FORMATS, checked, figures, page

HERE = Path(__file__).parent
TESTS = HERE.parent / "tests"
MODULES = {
    ("faults", "pt2"): ("zoo.faults.exported_faults",),
    ("faults", "onnx"): ("zoo.faults.onnx_faults", "zoo.faults.onnx_faults_new"),
    ("faults", "savedmodel"): ("zoo.faults.tensorflow_faults", "zoo.faults.keras_faults"),
    ("faults", "keras"): ("zoo.faults.keras_faults",),
    ("clean", "pt2"): ("zoo.clean.exported_networks",),
    ("clean", "onnx"): ("zoo.clean.onnx_networks",),
    ("clean", "savedmodel"): ("zoo.clean.keras_networks",),
    ("clean", "keras"): ("zoo.clean.keras_networks", "zoo.clean.keras_layers"),
    ("faults", "torchscript"): ("zoo.faults.torch_faults", "zoo.faults.torch_kinds"),
    ("clean", "torchscript"): ("zoo.clean.torch_networks", "zoo.clean.torch_kinds"),
}
SUFFIXES = {".pt": "torchscript"}
IMPORTS = ("keras_hub", "keras_cv_attention_models")
"""Libraries whose layers a ``.keras`` file of the corpus needs; its name begins with the library's."""
RESULTS = HERE / "proof.json"
"""Figures of the last run of every part."""
RUN = 20_000_000
"""Bytes of the largest file of the corpus that is also run."""

Measure = Callable[[], Outcome]


def zoo(groups: Iterable[str], formats: Iterable[str], *, passes: bool) -> Iterator[tuple[str, str, str, Measure]]:
    """The models of tests/zoo of these groups, in these formats: group, format, name, and how it is measured."""
    from kmr_cli.formats.interface import OpenOptions

    def measured(case: Any, group: str) -> Outcome:
        with tempfile.TemporaryDirectory() as folder:
            try:
                path = case.build(Path(folder))
            except Exception as exc:
                return Outcome(group, case.format, case.name, not_run=f"not built here ({type(exc).__name__})")
            options = OpenOptions(imports=case.imports, method=case.method)
            return judged(path, group, case.name, options, passes=passes, case=case)

    for (group, format_), modules in MODULES.items():
        if group in groups and format_ in formats:
            for case in (one for module in modules for one in import_module(module).cases()):
                if case.format == format_:
                    yield group, format_, case.name, lambda case=case, group=group: measured(case, group)


def corpus(folders: Iterable[Path], formats: Iterable[str], *, passes: bool) -> Iterator[tuple[str, str, str, Measure]]:
    """Files that somebody else's code was exported to: group, format, name, and how it is measured."""
    from kmr_cli.formats.interface import OpenOptions

    for path in (one for folder in folders for one in sorted(folder.iterdir())):
        format_ = "savedmodel" if path.is_dir() else SUFFIXES.get(path.suffix, path.suffix[1:])
        if format_ not in formats:
            continue
        name = path.name if path.is_dir() else path.stem
        bytes_ = sum(one.stat().st_size for one in path.rglob("*")) if path.is_dir() else path.stat().st_size
        library = name.partition(".")[0]
        options = OpenOptions(imports=(library,) if format_ == "keras" and library in IMPORTS else ())
        yield (
            "corpus",
            format_,
            name,
            lambda path=path, name=name, options=options, run=passes and bytes_ <= RUN: judged(
                path, "corpus", name, options, passes=run
            ),
        )


def _random_files(count: int) -> dict[str, Any]:
    """Those of so many ONNX files."""
    from zoo import onnx_graphs

    tally: Counter[str] = Counter()
    wrong, ran = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(count):
            drawn = onnx_graphs.written(seed, 18, Path(folder))
            try:
                some = list(drawn.violations(tally))
            except onnx_graphs.ERRORS:
                continue  # onnxruntime takes less than the evaluator with which they are drawn
            ran += 1
            wrong += [f"{seed}: {one}" for one in some]
    return {"graphs": ran, **tally, "wrong": wrong, "measured": str(date.today())}


def random_graphs(count: int, formats: Iterable[str]) -> dict[str, dict[str, Any]]:
    """How many claims about random graphs were held against data, and those that do not hold."""
    from zoo.random_graphs import Drawn, violations

    from kmr_cli.proof.vocabularies import lookup

    found: dict[str, dict[str, Any]] = {}
    if count and {"pt2", "onnx"} & set(formats):
        tally: Counter[str] = Counter()
        wrong = [f"{seed}: {one}" for seed in range(count) for one in violations(Drawn(seed, 30).program, tally=tally)]
        found["ATen, on NumPy"] = {"graphs": count, **tally, "wrong": wrong, "measured": str(date.today())}
    if count and "onnx" in formats:
        found["ONNX"] = _random_files(count // 2)
    if count and {"keras", "savedmodel"} & set(formats):
        from zoo import tensorflow_graphs

        tally, wrong, ran = Counter(), [], 0
        for seed in range(count // 10):
            try:
                traced = tensorflow_graphs.Drawn(seed, 14).traced
                some = list(violations(traced, lookup("tensorflow"), tally))
            except tensorflow_graphs.ERRORS:
                continue  # it runs at some batch sizes only
            ran += 1
            wrong += [f"{seed}: {one}" for one in some]
        found["TensorFlow"] = {"graphs": ran, **tally, "wrong": wrong, "measured": str(date.today())}
    return found


def measure(models: Iterable[tuple[str, str, str, Measure]], only: str, kept: Kept, until: float) -> list[Outcome]:
    """The outcomes of all models whose format/name holds a word; those that are kept are not measured again.

    ``until`` minus infinity measures none.

    Raises:
        TimeoutError: some are left when the time is over.
    """
    found = []
    for group, format_, name, measured in models:
        if only not in f"{format_}/{name}":
            continue
        if (group, format_, name) not in kept:
            if until == float("-inf"):
                continue
            if time.monotonic() > until:
                raise TimeoutError
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                kept.add(measured())
        found.append(kept[group, format_, name])
    return found


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS), help="formats to measure")
    parser.add_argument("--graphs", type=int, default=2000, help="random graphs; of TensorFlow a tenth")
    parser.add_argument("--corpus", type=Path, nargs="+", default=[], help="folders with models")
    parser.add_argument("--without-passes", action="store_true", help="run no model")
    parser.add_argument("--zoo", nargs="*", choices=("faults", "clean"), default=["faults", "clean"],
                        help="groups of models of tests/zoo")  # fmt: skip
    parser.add_argument("--only", default="", help="models with this in format/name; nothing is written")
    parser.add_argument("--keep", type=Path, help="append outcomes to this file, leave out what it holds")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no model after this time")
    parser.add_argument("--only-kept", action="store_true", help="measure no model: write what is kept")
    parser.add_argument("--checks", type=Path, help="what benchmarks/inconclusive.py --keep wrote, for its figures")
    parser.add_argument("--forget", help="first drop kept outcomes with this in group/format/name")
    options = parser.parse_args(None if arguments is None else list(arguments))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.path.insert(0, str(TESTS))
    passes, kept = not options.without_passes, Kept(options.keep)
    if options.forget is not None:
        kept.forget(options.forget)
    until = time.monotonic() + (float("-inf") if options.only_kept else options.seconds)
    try:
        outcomes = measure(corpus(options.corpus, options.formats, passes=passes), options.only, kept, until)
        outcomes += measure(zoo(options.zoo, options.formats, passes=passes), options.only, kept, until)
    except TimeoutError:
        print("some models are left: run it again", file=sys.stderr)
        return 1
    results = json.loads(RESULTS.read_text())
    drawn = results["random"] | random_graphs(options.graphs, options.formats)
    groups = {f"{one.group}/{one.format}" for one in outcomes}
    measured = {name: figures([one for one in outcomes if f"{one.group}/{one.format}" == name]) for name in groups}
    order = [f"{group}/{format_}" for group in ("corpus", "clean", "faults") for format_ in FORMATS]
    parts = results["models"] | measured
    parts = {name: parts[name] for name in order if name in parts}
    checks = results.get("checks", {})
    if options.checks is not None:
        checks = checked(map(json.loads, options.checks.read_text().splitlines()))
    text = page(parts, drawn, checks)
    if options.only:
        print(text)
    else:
        RESULTS.write_text(json.dumps({"models": parts, "random": drawn, "checks": checks}, indent=1) + "\n")
        (HERE / "proof.md").write_text(text)
    wrong = [line for one in drawn.values() for line in one["wrong"]]
    wrong += [line for one in measured.values() for line in one["broken"]]
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
