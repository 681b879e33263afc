"""Count the clean models that a check leaves inconclusive, and write the table in inconclusive.md.

Usage: python benchmarks/inconclusive.py --keep FILE [--corpus FOLDER] [--only WORD] [--minutes M]

An inconclusive check is exit code 1, so this is how often a build fails though nothing is wrong. Three kinds of models
are counted: the clean ones of tests/zoo, by benchmarks/detection.py; sample_models; and files in a folder, such as
benchmarks/corpus.py and benchmarks/keras_corpus.py fill with third-party architectures. What was checked is kept in
FILE and isn't checked again, so that the whole can be run in pieces.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SAMPLES = HERE.parent / "sample_models"
DATA = {"pair": "pair.npz", "recommender": "recommender.npz", "sequence": "sequence.npz"}
"""What a sample model is run on, by the start of its name; the digits for all others."""
SUFFIXES = (".keras", ".h5", ".pt", ".pt2", ".onnx")
RUN = 20_000_000
"""Bytes of the largest file of the corpus that is checked."""
SECONDS = 240
"""For one model; one that takes longer is named, and not counted."""
BAR = 0.03
"""The share that may stay inconclusive, so that inconclusive may be exit code 1."""
OURS, CORPUS = "`sample_models`", "third-party architectures"
Line = dict[str, Any]


def files(corpus: Path | None) -> Iterator[tuple[str, Path, Path | None]]:
    """Every model to check: its group, its file and its data."""
    for path in sorted(SAMPLES.iterdir()):
        if path.suffix in SUFFIXES or (path / "saved_model.pb").exists():
            data = next((file for start, file in DATA.items() if path.name.startswith(start)), "digits.npz")
            yield OURS, path, SAMPLES / data
    for path in sorted(corpus.iterdir()) if corpus else ():
        if (path / "saved_model.pb").exists() or (path.suffix in SUFFIXES and path.stat().st_size <= RUN):
            beside = path.with_suffix(".npz")  # of a file that holds no shapes
            yield CORPUS, path, beside if path.suffix == ".pt" and beside.exists() else None


def check(path: Path, data: Path | None) -> Line:
    """What a check says of one model, as the command runs it."""
    from kmr_cli import KmrError, open_model

    start = time.perf_counter()
    try:
        with open_model(path, timeout=SECONDS) as model:
            names = [spec.name for spec in model.info.inputs]
            report = model.check_batch_axis(None if data is None else _batch(data, names))
    except KmrError as exc:
        return {"verdict": "error", "why": [str(exc).splitlines()[0]], "seconds": time.perf_counter() - start}
    errors = [f"{one.rule} at {one.layer or 'the model'}" for one in report.findings if one.severity == "error"]
    why = list(report.inconclusive) if report.verdict == "inconclusive" else errors
    return {
        "verdict": report.verdict, "basis": report.basis, "why": why, "seconds": time.perf_counter() - start,
    }  # fmt: skip


def _batch(data: Path, names: list[str]) -> dict[str, Any]:
    """The arrays of a file by the names of the inputs: those of the same names, else in their order."""
    import numpy as np

    with np.load(data) as stored:
        arrays = {name: stored[name] for name in stored.files if name != "label"}
    if set(names) <= set(arrays):
        return {name: arrays[name] for name in names}
    rows = [np.concatenate([one] * 8)[:8] if len(one) < 8 else one for one in arrays.values()]
    return dict(zip(names, rows, strict=True))


def run(keep: Path, corpus: Path | None, only: str, until: float) -> int:
    """Check what isn't kept yet; how many models are left."""
    known, left = {(line["group"], line["name"]) for line in _lines(keep)}, 0
    for group, path, data in files(corpus):
        if (group, path.name) in known or only not in path.name:
            continue
        if time.time() > until:
            left += 1
            continue
        line = {
            "group": group,
            "name": path.name,
            "format": "SavedModel" if path.is_dir() else path.suffix,
            **check(path, data),
        }
        with keep.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(f"{path.name}: {line['verdict']} ({line['seconds']:.0f} s)", file=sys.stderr)
    return left


def _lines(file: Path) -> list[Line]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def of_zoo() -> str:
    """What detection.md says of the clean models of tests/zoo, with its date."""
    text = (HERE / "detection.md").read_text(encoding="utf-8")
    said, when = re.search(r"^- Clean models: (.*)$", text, re.MULTILINE), re.search(r" on (\d{4}-\d\d-\d\d)", text)
    if said is None or when is None:
        sys.exit("detection.md doesn't say how many clean models stay inconclusive: run benchmarks/detection.py")
    return f"`tests/zoo`, clean ([detection.md](detection.md), {when[1]}): {said[1]}"


def page(lines: list[Line]) -> str:
    """The page."""
    head = "| models | files | pass, as proven | pass, by evidence | inconclusive | share | fail | not checked |"
    told = [
        "# What stays inconclusive",
        "",
        f"Written by `python benchmarks/inconclusive.py` on {date.today().isoformat()}. An inconclusive check is exit"
        f" code 1: of models in which nothing is wrong, at most {BAR:.0%} may be. The share is that of the files that"
        " pass or are inconclusive.",
        "",
        f"- {of_zoo()}",
        "",
        head,
        f"| --- |{' ---: |' * 7}",
        *(_row(group, [line for line in lines if line["group"] == group]) for group in (OURS, CORPUS)),
        _row("**all**", lines),
        "",
        f"Of the third-party architectures, those files of up to {RUN / 1e6:.0f} MB that were checked so far.",
    ]
    for title, verdict in (("Inconclusive", "inconclusive"), ("Failed", "fail"), ("Not checked", "error")):
        some = [line for line in lines if line["verdict"] == verdict]
        told += ["", f"## {title}", ""]
        told += [f"- {line['group']}, {line['name']}: {'; '.join(line['why'][:2])}." for line in some] or ["None."]
    return "\n".join(told) + "\n"


def _row(title: str, lines: list[Line]) -> str:
    verdicts = Counter(line["verdict"] for line in lines)
    proven = sum(line["verdict"] == "pass" and line["basis"] == "proof" for line in lines)
    judged = verdicts["pass"] + verdicts["inconclusive"]
    share = f"{verdicts['inconclusive'] / judged:.1%}" if judged else ""
    cells = (
        len(lines), proven, verdicts["pass"] - proven, verdicts["inconclusive"], share, verdicts["fail"],
        verdicts["error"],
    )  # fmt: skip
    return f"| {title} | {' | '.join(map(str, cells))} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, required=True, metavar="FILE", help="outcomes, one a line")
    parser.add_argument("--corpus", type=Path, metavar="FOLDER", help="check the models in this folder too")
    parser.add_argument("--only", default="", metavar="WORD", help="files whose name contains WORD; no page")
    parser.add_argument("--minutes", type=float, default=float("inf"), metavar="M", help="begin no model after as long")
    given = parser.parse_args()
    left = run(given.keep, given.corpus, given.only, time.time() + given.minutes * 60)
    if left:
        sys.exit(f"{left} models are left: run it again")
    if not given.only:
        text = page(_lines(given.keep))
        (HERE / "inconclusive.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
