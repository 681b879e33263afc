"""Hold the structural proof against graphs whose truth is known, and write the table in proof.md.

Usage: python benchmarks/proof.py [--formats NAME ...] [--graphs N] [--corpus FOLDER] [--zoo GROUP ...]
                                  [--without-passes] [--only WORD]

Three things are tried: random graphs of operators, every claim of which is held against data; the models with seeded
faults and without any from tests/zoo, in every format that has a graph; and whatever models lie in a folder, such as
benchmarks/corpus.py and benchmarks/keras_corpus.py fill with architectures of transformers, timm, torchvision and
keras.applications. What a run does not measure keeps the figures that it has in proof.json, with their date.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from kmr_cli.formats.interface import OpenOptions
    from kmr_cli.proof.graph import Graph
    from kmr_cli.proof.verdict import Proof

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
FORMATS = {
    "pt2": "`.pt2`", "onnx": "ONNX", "savedmodel": "SavedModel", "keras": "`.keras`", "torchscript": "TorchScript",
}  # fmt: skip
SUFFIXES = {".pt": "torchscript"}
RESULTS = HERE / "proof.json"
"""Figures of the last run of every part."""
PACKAGES = ("kmr-inspect", "torch", "onnxruntime", "tensorflow", "keras", "numpy")
SAMPLES = 4
"""Of a batch that proven outputs are held against."""
RUN = 20_000_000
"""Bytes of the largest file of the corpus that is also run."""
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


def judged(path: Path, group: str, name: str, *, passes: bool, case: Any = None, **known: str) -> Outcome:
    """The proof of a file, timed: reading its graph, and going through it; ``passes``: what is proven is also run."""
    from kmr_cli.errors import KmrError
    from kmr_cli.formats import detect
    from kmr_cli.formats.interface import OpenOptions
    from kmr_cli.proof.verdict import prove

    format_ = detect(path)
    options = OpenOptions(imports=case.imports, method=case.method) if case else OpenOptions()
    shapes = case.shapes if case else {}
    start = time.perf_counter()
    try:
        graph = graph_of(format_, path, options, case)
    except KmrError as exc:
        why = f"no graph: {exc.message.removeprefix(f'{path}: ')}"
        return Outcome(group, format_.NAME, name, frozenset({"unknown"}), frozenset(), why, {}, 0, 0.0, 0.0, **known)
    read = time.perf_counter() - start
    start = time.perf_counter()
    proof = prove(graph)
    spent = time.perf_counter() - start
    some = passes and any(claim.answer == "proven" for claim in proof.claims)
    held, broken = run(path, proof, options, shapes) if some and not (case and case.data) else (0, ())
    open_claims = [claim for claim in proof.claims if claim.answer not in ("proven", "layout")]
    return Outcome(
        group,
        format_.NAME,
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


def graph_of(format_: Any, path: Path, options: OpenOptions, case: Any) -> Graph:
    """Of a file; where none holds it, of the session, for data like that which the model is checked with."""
    from kmr_cli.batch.synthetic import synthesize
    from kmr_cli.formats.interface import optional

    if not optional(format_, "EXPORTED"):
        found: Graph = format_.graph(path, options)
        return found
    info = format_.describe(path, options)
    if case is None:
        data = beside(path, [one.name for one in info.inputs])
    else:
        data = case.data() if case.data else synthesize(info, info.fixed_batch or case.size, 0, case.shapes)
    session = format_.open(path, options)
    try:
        exported: Graph = session.graph_for(dict(data))
        return exported
    finally:
        session.close()


def beside(path: Path, names: Sequence[str], seed: int = 0) -> dict[str, Any]:
    """The batch that benchmarks/corpus.py wrote beside a file that holds no shapes; of each seed in another order."""
    rng = np.random.default_rng(seed)
    with np.load(path.with_suffix(".npz")) as stored:
        rows = [np.concatenate([stored[key]] * SAMPLES)[:SAMPLES] for key in stored.files]
    return {name: rng.permuted(one.reshape(-1)).reshape(one.shape) for name, one in zip(names, rows, strict=True)}


def run(path: Path, proof: Proof, options: OpenOptions, shapes: Any) -> tuple[int, tuple[str, ...]]:
    """Hold proven outputs against passes: (how many, what does not hold). Other samples are replaced one by one."""
    from kmr_cli.batch.synthetic import synthesize
    from kmr_cli.errors import KmrError
    from kmr_cli.formats import detect
    from kmr_cli.formats.interface import Taps

    format_ = detect(path)
    proven = [claim.output for claim in proof.claims if claim.answer == "proven"]
    broken = []
    try:
        info = format_.describe(path, options)
        size = proof.batch or max(SAMPLES, proof.range[0])
        if path.with_suffix(".npz").exists() and path.suffix == ".pt":
            size, (batch, other) = SAMPLES, (beside(path, [one.name for one in info.inputs], seed) for seed in (0, 1))
        else:
            batch, other = (synthesize(info, size, seed, shapes) for seed in (0, 1))
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


def zoo(groups: Iterable[str], formats: Iterable[str], only: str, *, passes: bool) -> Iterator[Outcome]:
    """The models of tests/zoo of these groups, in these formats."""
    for (group, format_), modules in MODULES.items():
        if group not in groups:
            continue
        for case in (one for module in modules for one in import_module(module).cases() if format_ in formats):
            if case.format == format_ and only in f"{case.format}/{case.name}":
                with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    try:
                        path = case.build(Path(folder))
                    except Exception as exc:
                        print(f"{case.format}/{case.name}: not built here ({type(exc).__name__})", file=sys.stderr)
                        continue
                    known = {"fault": case.kind, "layer": case.layer}
                    yield judged(path, group, case.name, passes=passes, case=case, **known)


def corpus(folder: Path | None, formats: Iterable[str], only: str, *, passes: bool) -> Iterator[Outcome]:
    """Files that somebody else's code was exported to."""
    for path in sorted(folder.iterdir()) if folder else ():
        format_ = "savedmodel" if path.is_dir() else SUFFIXES.get(path.suffix, path.suffix[1:])
        if format_ in formats and only in path.name:
            small = path.is_dir() or path.stat().st_size <= RUN
            yield judged(path, "corpus", path.stem, passes=passes and small)


def random_graphs(count: int, formats: Iterable[str]) -> dict[str, dict[str, Any]]:
    """How many claims about random graphs were held against data, and those that do not hold."""
    from zoo.random_graphs import Drawn, violations

    from kmr_cli.proof.vocabularies import lookup

    found: dict[str, dict[str, Any]] = {}
    if count and {"pt2", "onnx"} & set(formats):
        tally: Counter[str] = Counter()
        wrong = [f"{seed}: {one}" for seed in range(count) for one in violations(Drawn(seed, 30).program, tally=tally)]
        found["ATen, on NumPy"] = {"graphs": count, **tally, "wrong": wrong, "measured": str(date.today())}
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


def figures(outcomes: list[Outcome]) -> dict[str, Any]:
    """What is kept of one group of models in one format."""
    missing: Counter[str] = Counter()
    for one in outcomes:
        missing.update(one.unknown.keys())
    timed = [one for one in outcomes if one.operators] or outcomes
    named = [one for one in outcomes if one.proven is (one.group == "faults")]
    meets = [one for one in outcomes if "meet" in one.answers]
    return {
        "measured": str(date.today()),
        "files": len(outcomes),
        "proven": sum(one.proven for one in outcomes),
        "decided": sum(one.decided for one in outcomes),
        "meets": len(meets),
        "right": sum(_right(one) for one in meets),
        "held": sum(one.held for one in outcomes),
        "broken": [line for one in outcomes for line in one.broken],
        "milliseconds": {
            "median": round(1000 * statistics.median(one.judged for one in timed)),
            "most": round(1000 * max(one.judged for one in outcomes)),
            "reading": round(1000 * statistics.median(one.read for one in timed)),
        },
        "missing": dict(missing.most_common()),
        "named": [f"{one.name}: {one.reason or 'proven'}" for one in named],
    }


def report(parts: dict[str, dict[str, Any]], drawn: dict[str, dict[str, Any]]) -> str:
    """The page."""
    lines = [
        "# What the structural proof decides",
        "",
        "Written by `python benchmarks/proof.py`: every line by the last run that measured it, with Python "
        f"{platform.python_version()}, {', '.join(_versions())}.",
        "",
        *(
            f"- Claims about values of {one['graphs']} random graphs ({name}, {one['measured']}): "
            f"{one.get('Own', 0) + one.get('Free', 0)} held against data ({one.get('Own', 0)} of values of samples), "
            f"{len(one['wrong'])} violated."
            for name, one in drawn.items()
        ),
        *_summary(parts),
        "",
        *_table(parts),
        "",
        *_undecided(parts),
        "",
        "## Beside batch-isolation-checker",
        "",
        "[batch-isolation-checker](https://arxiv.org/abs/2505.18323) (google-deepmind) decides 37.5 % of 1,680 public",
        "ONNX models, at one batch size, in 0.1 to 50 seconds each, and names no layer. The corpora differ: theirs are",
        "published files, ours are exported here from the architectures' code, mostly with small widths, which changes",
        "sizes but no operator.",
    ]
    return "\n".join(lines) + "\n"


def _versions() -> Iterator[str]:
    for name in PACKAGES:
        try:
            yield f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue


def _summary(parts: dict[str, dict[str, Any]]) -> Iterator[str]:
    held, broken = sum(one["held"] for one in parts.values()), sum(len(one["broken"]) for one in parts.values())
    yield f"- Proven outputs, held against passes in which other samples are replaced: {held}, {broken} violated."
    faults = [one for name, one in parts.items() if name.startswith("faults/")]
    if faults:
        total = {key: sum(one[key] for one in faults) for key in ("files", "proven", "meets", "right")}
        yield (
            f"- Seeded faults: {total['files']} models, {total['proven']} proven (none may be but where the "
            f"fault is not of this kind); {total['meets']} told to be meetings of samples, "
            f"{total['right']} of them at the right layer."
        )
    yield (
        "- The time is that of the proof alone, and of reading the graph beside it; of a `.keras` file Keras builds "
        "the model first and TensorFlow traces it, and torch loads TorchScript, whose code is followed: that counts as "
        "reading. What cannot be traced or followed is not decided."
    )


def _right(outcome: Outcome) -> bool:
    return any(layer == outcome.layer or layer.startswith(f"{outcome.layer}") for layer in outcome.layers)


TITLES = {"faults": "seeded faults", "clean": "clean", "corpus": "third-party architectures"}


def _table(parts: dict[str, dict[str, Any]]) -> Iterator[str]:
    yield (
        "| models | format | files | proven | depends on others, place, number or state | not decided | decided "
        "| ms a model: median, most, reading | date |"
    )
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
    for name, one in parts.items():
        group, _, format_ = name.partition("/")
        files, decided = one["files"], one["decided"]
        yield (
            f"| {TITLES[group]} | {FORMATS[format_]} | {files} | {one['proven']} | {decided - one['proven']} | "
            f"{files - decided} | {100 * decided / files:.1f} % | "
            f"{', '.join(map(str, one['milliseconds'].values()))} | {one['measured']} |"
        )  # fmt: skip


def _undecided(parts: dict[str, dict[str, Any]]) -> Iterator[str]:
    missing: Counter[str] = Counter()
    for one in parts.values():
        missing.update(one["missing"])
    listed = ", ".join(f"`{name}` {count}" for name, count in missing.most_common(SHOWN))
    yield from ("## What has no rule", "")
    yield f"Operators, or uses of them, with the number of models they stand in: {listed}."
    for title, group in (
        ("Third-party architectures that are not proven", "corpus"),
        ("Clean models that are not proven", "clean"),
        ("Seeded faults that are proven", "faults"),
    ):
        some = [(name, one) for name, one in parts.items() if name.startswith(f"{group}/")]
        if not some:
            continue
        named = [f"- {FORMATS[name.partition('/')[2]]} {line}" for name, one in some for line in one["named"]]
        yield from ("", f"## {title}", "", *(named[:SHOWN] or ["None."]))
        if len(named) > SHOWN:
            yield f"- and {len(named) - SHOWN} more"


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS), help="formats to measure")
    parser.add_argument("--graphs", type=int, default=2000, help="random graphs; of TensorFlow a tenth")
    parser.add_argument("--corpus", type=Path, help="a folder with models")
    parser.add_argument("--without-passes", action="store_true", help="run no model")
    parser.add_argument("--zoo", nargs="*", choices=("faults", "clean"), default=["faults", "clean"],
                        help="groups of models of tests/zoo")  # fmt: skip
    parser.add_argument("--only", default="", help="models with this in their name; nothing is written")
    options = parser.parse_args(None if arguments is None else list(arguments))
    sys.path.insert(0, str(TESTS))
    passes = not options.without_passes
    outcomes = list(corpus(options.corpus, options.formats, options.only, passes=passes))
    outcomes += zoo(options.zoo, options.formats, options.only, passes=passes)
    kept = json.loads(RESULTS.read_text())
    drawn = kept["random"] | random_graphs(options.graphs, options.formats)
    groups = {f"{one.group}/{one.format}" for one in outcomes}
    measured = {name: figures([one for one in outcomes if f"{one.group}/{one.format}" == name]) for name in groups}
    order = [f"{group}/{format_}" for group in ("corpus", "clean", "faults") for format_ in FORMATS]
    parts = kept["models"] | measured
    parts = {name: parts[name] for name in order if name in parts}
    page = report(parts, drawn)
    if options.only:
        print(page)
    else:
        RESULTS.write_text(json.dumps({"models": parts, "random": drawn}, indent=1) + "\n")
        (HERE / "proof.md").write_text(page)
    wrong = [line for one in drawn.values() for line in one["wrong"]]
    wrong += [line for one in measured.values() for line in one["broken"]]
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
