"""Hold the structural proof against graphs whose truth is known, and write the table in proof.md.

Usage: python benchmarks/proof.py [--graphs N] [--corpus FOLDER] [--without-zoo] [--without-passes] [--only WORD]

Three things are tried: random graphs of operators, every claim of which is held against NumPy; the models with seeded
faults and without any from tests/zoo, as .pt2 and ONNX; and whatever .pt2 and .onnx files lie in a folder, such as
benchmarks/corpus.py fills with architectures of transformers, timm and torchvision.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from kmr_cli.proof.verdict import Proof

HERE = Path(__file__).parent
TESTS = HERE.parent / "tests"
MODULES = {
    "faults": ("zoo.faults.exported_faults", "zoo.faults.onnx_faults", "zoo.faults.onnx_faults_new"),
    "clean": ("zoo.clean.exported_networks", "zoo.clean.onnx_networks"),
}
FORMATS = {"pt2": "`.pt2`", "onnx": "ONNX"}
PACKAGES = ("kmr-inspect", "torch", "onnxruntime", "numpy")
SAMPLES = 4
"""Of a batch that proven outputs are held against."""
SHOWN = 40
"""Models that are named where they are not decided, before the rest is counted."""


@dataclass(frozen=True)
class Outcome:
    """What the proof says of one file."""

    group: str
    format: str
    name: str
    answers: frozenset[str]
    layers: frozenset[str]
    reason: str
    unknown: dict[str, int]
    operators: int
    read: float
    judged: float
    fault: str = ""
    layer: str = ""
    held: int = 0
    broken: tuple[str, ...] = ()

    @property
    def decided(self) -> bool:
        """Whether every output is either proven or told to depend on something."""
        return "unknown" not in self.answers and bool(self.answers)

    @property
    def proven(self) -> bool:
        """Whether every output holds one row a sample, or at least keeps samples apart in another layout."""
        return self.answers <= {"proven", "layout"} and bool(self.answers)


def judged(path: Path, group: str, name: str, *, passes: bool, **known: str) -> Outcome:
    """The proof of a file, timed: reading its graph, and going through it; ``passes``: what is proven is also run."""
    from kmr_cli.formats.interface import OpenOptions
    from kmr_cli.proof.verdict import prove

    module = "kmr_cli.formats.exported.operators" if path.suffix == ".pt2" else "kmr_cli.formats.onnx.operators.build"
    start = time.perf_counter()
    graph = import_module(module).graph(path, OpenOptions())
    read = time.perf_counter() - start
    start = time.perf_counter()
    proof = prove(graph)
    spent = time.perf_counter() - start
    some = passes and any(claim.answer == "proven" for claim in proof.claims)
    held, broken = run(path, proof) if some else (0, ())
    open_claims = [claim for claim in proof.claims if claim.answer not in ("proven", "layout")]
    return Outcome(
        group,
        path.suffix[1:],
        name,
        frozenset(claim.answer for claim in proof.claims),
        frozenset(claim.layer for claim in open_claims),
        open_claims[0].reason if open_claims else "",
        proof.unknown,
        len(graph.operators),
        read,
        spent,
        **known,
        held=held,
        broken=broken,
    )


def run(path: Path, proof: Proof) -> tuple[int, tuple[str, ...]]:
    """Hold proven outputs against passes: (how many, what does not hold). Other samples are replaced one by one."""
    from kmr_cli.batch.synthetic import synthesize
    from kmr_cli.errors import KmrError
    from kmr_cli.formats import detect
    from kmr_cli.formats.interface import OpenOptions, Taps

    format_, options = detect(path), OpenOptions()
    proven = [claim.output for claim in proof.claims if claim.answer == "proven"]
    broken = []
    try:
        info = format_.describe(path, options)
        size = proof.batch or max(SAMPLES, proof.range[0])
        batch, other = (synthesize(info, size, seed, {}) for seed in (0, 1))
        session = format_.open(path, options)
        try:
            before = {name: np.array(rows) for name, rows in (session.capture(batch, Taps(())) or {}).items()}
            for sample in range(size):
                mixed = {name: np.array(rows) for name, rows in batch.items()}
                for name, rows in mixed.items():
                    rows[sample] = other[name][sample]
                after = session.capture(mixed, Taps(())) or {}
                for output in proven:
                    kept, now = (np.delete(np.asarray(one[output]), sample, 0) for one in (before, after))
                    if not np.array_equal(kept, now, equal_nan=kept.dtype.kind in "fc"):
                        broken.append(f"output {output!r} of {path.name} changed with sample {sample}")
        finally:
            session.close()
    except KmrError as exc:
        print(f"{path.name}: not run ({exc})", file=sys.stderr)
        return 0, ()
    return len(proven), tuple(broken)


def zoo(only: str, *, passes: bool) -> Iterator[Outcome]:
    """The models of tests/zoo that .pt2 and ONNX can hold."""
    for group, modules in MODULES.items():
        for module in modules:
            for case in import_module(module).cases():
                if only not in f"{case.format}/{case.name}" or case.format not in FORMATS:
                    continue
                with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    try:
                        path = case.build(Path(folder))
                    except Exception as exc:
                        print(f"{case.format}/{case.name}: not built here ({type(exc).__name__})", file=sys.stderr)
                        continue
                    yield judged(path, group, case.name, passes=passes, fault=case.kind, layer=case.layer)


def corpus(folder: Path | None, only: str, *, passes: bool) -> Iterator[Outcome]:
    """Files that somebody else's code was exported to."""
    for path in sorted(folder.iterdir()) if folder else ():
        if path.suffix[1:] in FORMATS and only in path.name:
            yield judged(path, "corpus", path.stem, passes=passes)


def random_graphs(count: int) -> tuple[Counter[str], list[str]]:
    """(how many claims were held against data, those that do not hold)."""
    from zoo.random_graphs import Drawn, violations

    tally: Counter[str] = Counter()
    wrong = [f"seed {seed}: {one}" for seed in range(count) for one in violations(Drawn(seed, 30).program, tally=tally)]
    return tally, wrong


def report(outcomes: list[Outcome], graphs: int, tally: Counter[str], wrong: list[str], seconds: float) -> str:
    """The page."""
    command = " ".join(
        ["python benchmarks/proof.py", *(one if one[:1] == "-" else Path(one).name for one in sys.argv[1:])]
    )
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    lines = [
        "# What the structural proof decides",
        "",
        f"Written by `{command}` on {date.today().isoformat()} in {seconds:.0f} seconds: Python "
        f"{platform.python_version()}, {versions}.",
        "",
        f"- Claims about values of {graphs} random graphs, held against NumPy: {sum(tally.values())} "
        f"({tally['Own']} of values of samples), {len(wrong)} violated.",
        *_summary(outcomes),
        "",
        *_table(outcomes),
        "",
        *_undecided(outcomes),
        "",
        "## Beside batch-isolation-checker",
        "",
        "[batch-isolation-checker](https://arxiv.org/abs/2505.18323) (google-deepmind) decides 37.5 % of 1,680 public",
        "ONNX models, at one batch size, in 0.1 to 50 seconds each, and names no layer. The corpora differ: theirs are",
        "published files, ours are exported here from the architectures' code, mostly with small widths, which changes",
        "sizes but no operator.",
    ]
    return "\n".join(lines) + "\n"


def _summary(outcomes: list[Outcome]) -> Iterator[str]:
    if held := sum(one.held for one in outcomes):
        broken = sum(len(one.broken) for one in outcomes)
        yield f"- Proven outputs, held against passes in which other samples are replaced: {held}, {broken} violated."
    else:
        yield "- No model was run: proven outputs were not held against passes."
    if all(one.group == "corpus" for one in outcomes):
        yield "- The models of `tests/zoo` were left out."
    faults = [one for one in outcomes if one.group == "faults"]
    clean = [one for one in outcomes if one.group == "clean"]
    meets = [one for one in faults if "meet" in one.answers]
    if faults:
        right = sum(_right(one) for one in meets)
        yield (
            f"- Seeded faults: {len(faults)} models, {sum(one.proven for one in faults)} proven (none may be but where "
            f"the fault is not of this kind); {len(meets)} told to be meetings of samples, {right} of them at the "
            "right layer."
        )  # fmt: skip
    if clean:
        false = sum("meet" in one.answers for one in clean)
        yield f"- Clean models: {len(clean)}, {sum(one.proven for one in clean)} proven, {false} told to be meetings."
    times = [1000 * one.judged for one in outcomes]
    if times:
        reading = statistics.median(1000 * one.read for one in outcomes)
        yield (
            f"- Time: median {statistics.median(times):.0f} ms a model for the proof alone, at most {max(times):.0f} "
            f"ms; reading the graph takes {reading:.0f} ms more."
        )


def _right(outcome: Outcome) -> bool:
    return any(layer == outcome.layer or layer.startswith(f"{outcome.layer}") for layer in outcome.layers)


def _table(outcomes: list[Outcome]) -> Iterator[str]:
    yield "| models | format | files | proven | depends on others, place, number or state | not decided | decided |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    titles = {"faults": "seeded faults", "clean": "clean", "corpus": "third-party architectures"}
    for group, title in titles.items():
        for name, shown in FORMATS.items():
            some = [one for one in outcomes if (one.group, one.format) == (group, name)]
            if some:
                proven, decided = sum(one.proven for one in some), sum(one.decided for one in some)
                yield (
                    f"| {title} | {shown} | {len(some)} | {proven} | {decided - proven} | {len(some) - decided} | "
                    f"{100 * decided / len(some):.1f} % |"
                )  # fmt: skip


def _undecided(outcomes: list[Outcome]) -> Iterator[str]:
    missing: Counter[str] = Counter()
    for one in outcomes:
        missing.update(one.unknown.keys())
    yield "## What has no rule"
    yield ""
    yield (
        "Operators, or uses of them, with the number of models they stand in: "
        + ", ".join(f"`{name}` {count}" for name, count in missing.most_common(SHOWN))
        + "."
    )
    for title, group, proven in (
        ("Third-party architectures that are not proven", "corpus", False),
        ("Clean models that are not proven", "clean", False),
        ("Seeded faults that are proven", "faults", True),
    ):
        if all(one.group != group for one in outcomes):
            continue
        some = [one for one in outcomes if one.group == group and one.proven is proven]
        yield from ("", f"## {title}", "")
        yield from (f"- {FORMATS[one.format]} {one.name}: {one.reason or 'proven'}" for one in some[:SHOWN])
        if len(some) > SHOWN:
            yield f"- and {len(some) - SHOWN} more"
        if not some:
            yield "None."


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--graphs", type=int, default=2000, help="random graphs")
    parser.add_argument("--corpus", type=Path, help="a folder with .pt2 and .onnx files")
    parser.add_argument("--without-passes", action="store_true", help="run no model")
    parser.add_argument("--without-zoo", action="store_true", help="leave out the models of tests/zoo")
    parser.add_argument("--only", default="", help="models with this in their name; nothing is written")
    options = parser.parse_args(None if arguments is None else list(arguments))
    sys.path.insert(0, str(TESTS))
    start = time.perf_counter()
    passes = not options.without_passes
    outcomes = list(corpus(options.corpus, options.only, passes=passes))
    if not options.without_zoo:
        outcomes += zoo(options.only, passes=passes)
    tally, wrong = random_graphs(options.graphs)
    broken = [line for one in outcomes for line in one.broken]
    page = report(outcomes, options.graphs, tally, wrong, time.perf_counter() - start)
    if options.only:
        print(page)
    else:
        (HERE / "proof.md").write_text(page)
    for line in (*wrong, *broken):
        print(line, file=sys.stderr)
    return 1 if wrong or broken else 0


if __name__ == "__main__":
    sys.exit(main())
