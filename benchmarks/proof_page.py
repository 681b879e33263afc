"""The page proof.md, from the figures of all parts."""

from __future__ import annotations

import platform
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

from proof_outcomes import Outcome

FORMATS = {
    "pt2": "`.pt2`", "onnx": "ONNX", "savedmodel": "SavedModel", "keras": "`.keras`", "torchscript": "TorchScript",
}  # fmt: skip
VOCABULARIES = {
    "ATen": ("pt2", "torchscript"), "ONNX": ("onnx",), "TensorFlow": ("savedmodel", "keras"),
}  # fmt: skip
TITLES = {"faults": "seeded faults", "clean": "clean", "corpus": "third-party architectures"}
PACKAGES = ("kmr-inspect", "torch", "onnxruntime", "tensorflow", "keras", "numpy", "transformers", "timm",
            "torchvision", "keras-hub", "keras-cv-attention-models")  # fmt: skip
DETECTION = Path(__file__).parent / "detection.md"
SHOWN = 40
"""Models that are named where they are not decided, before the rest is counted."""

Part = dict[str, Any]


def figures(outcomes: list[Outcome]) -> Part:
    """What is kept of one group of models in one format."""
    from kmr_cli.proof.vocabularies import lookup

    missing: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    models: Counter[str] = Counter()
    for one in outcomes:
        missing.update(one.unknown.keys())
        kinds.update(one.kinds)
        models.update(one.kinds.keys())
    timed = [one for one in outcomes if one.kinds] or outcomes
    named = [one for one in outcomes if one.proven is (one.group == "faults")]
    meets = [one for one in outcomes if "meet" in one.answers]
    known = {kind: lookup(_vocabulary(one.format))(kind) is not None for one in outcomes for kind in one.kinds}
    return {
        "measured": max(one.measured for one in outcomes),
        "files": len(outcomes),
        "proven": sum(one.proven for one in outcomes),
        "decided": sum(one.decided for one in outcomes),
        "meets": len(meets),
        "right": sum(one.at_the_layer for one in meets),
        "run": sum(bool(one.claims) for one in outcomes),
        "held": dict(sum((Counter(one.claims) for one in outcomes), Counter())),
        "broken": [line for one in outcomes for line in one.broken],
        "milliseconds": {
            "median": round(1000 * statistics.median(one.judged for one in timed)),
            "most": round(1000 * max(one.judged for one in outcomes)),
            "reading": round(1000 * statistics.median(one.read for one in timed)),
        },
        "operators": {
            "nodes": sum(kinds.values()),
            "ruled": sum(count for kind, count in kinds.items() if known[kind]),
            "uses": sum(sum(one.unknown.values()) for one in outcomes),
            "kinds": sorted(kinds),
            "unruled": {kind: models[kind] for kind in sorted(kinds) if not known[kind]},
        },
        "missing": dict(missing.most_common()),
        "named": [f"{one.name}: {one.reason or 'proven'}" for one in named],
    }


def _vocabulary(format_: str) -> str:
    return {"pt2": "aten", "torchscript": "aten", "onnx": "onnx"}.get(format_, "tensorflow")


def page(parts: dict[str, Part], drawn: dict[str, Part], checks: dict[str, Part]) -> str:
    """The text."""
    lines = [
        "# What the structural proof decides",
        "",
        "Written by `python benchmarks/proof.py`: every line by the last run that measured it, with Python "
        f"{platform.python_version()}, {', '.join(_versions())}.",
        "",
        *_claims(parts, drawn),
        *_faults(parts),
        "- The time is that of the proof alone, and of reading the graph beside it; of a `.keras` file Keras builds "
        "the model first and TensorFlow traces it, and torch loads TorchScript, whose code is followed: that counts "
        "as reading. What cannot be traced or followed is not decided.",
        "",
        *_table(parts),
        "",
        *_corpus(parts),
        *_coverage(parts),
        *_checks(checks),
        *_undecided(parts),
        "",
        "## Beside batch-isolation-checker",
        "",
        *BESIDE.splitlines(),
    ]
    return "\n".join(lines) + "\n"


BESIDE = """\
[batch-isolation-checker](https://arxiv.org/abs/2505.18323) (google-deepmind) gives a verdict on 37.5 % of 1,680
public ONNX models, at one batch size, in 0.1 to 50 seconds each, and names no layer. The figures above for ONNX are
the ones to put beside it: every batch size that the file takes, milliseconds, and the operator and layer where
samples meet. What differs between the corpora:

- Theirs are files that others published, exported by many tools over many years, of every opset; ours are exported
  here by one release of `torch.onnx` from the architectures' code. Old exports, and operators of runtimes' own
  domains, are rarer in ours.
- Ours leave the batch free wherever the exporter allows it; published files often fix it, at 1 too, where there is
  nothing to mix and this proof says so.
- Ours have random weights, and transformers small widths: that changes sizes, no operator.
- Theirs run a model's graph on symbolic inputs of one size with their own interpreter of operators; a model with one
  operator that it does not know gets no verdict. Here that operator is named, and the rest is judged."""


def _versions() -> Iterator[str]:
    for name in PACKAGES:
        try:
            yield f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue


def _claims(parts: dict[str, Part], drawn: dict[str, Part]) -> Iterator[str]:
    total = broken = 0
    for name, one in drawn.items():
        count = one.get("Own", 0) + one.get("Free", 0)
        total, broken = total + count, broken + len(one["wrong"])
        yield (
            f"- Claims about values of {one['graphs']:,} random graphs ({name}, {one['measured']}): {count:,} held "
            f"against data ({one.get('Own', 0):,} of values of samples), {len(one['wrong'])} violated."
        )
    for group, title in (("corpus", "the third-party architectures"), ("clean", "clean models of tests/zoo"),
                         ("faults", "models of tests/zoo with seeded faults")):  # fmt: skip
        some = [one for name, one in parts.items() if name.startswith(f"{group}/") and isinstance(one["held"], dict)]
        count, own = (sum(sum(one["held"].get(kind, 0) for kind in kinds) for one in some)
                      for kinds in (("Own", "Free"), ("Own",)))  # fmt: skip
        wrong = sum(len(one["broken"]) for one in some)
        total, broken = total + count, broken + wrong
        if count:
            yield (
                f"- Claims about values inside of {sum(one['run'] for one in some):,} of {title}: {count:,} held "
                f"against passes at several batch sizes ({own:,} of values of samples), {wrong} violated."
            )
    found = re.search(
        r"(\d+) claims about values were held against these passes, (\d+) violated", DETECTION.read_text()
    )
    if found is not None:
        yield f"- Whole checks of tests/zoo (`detection.md`): {int(found[1]):,} claims held, {found[2]} violated."
        total, broken = total + int(found[1]), broken + int(found[2])
    yield f"- **All together: {total:,} claims, {broken} violated.**"


def _faults(parts: dict[str, Part]) -> Iterator[str]:
    faults = [one for name, one in parts.items() if name.startswith("faults/")]
    if faults:
        total = {key: sum(one[key] for one in faults) for key in ("files", "proven", "meets", "right")}
        yield (
            f"- Seeded faults: {total['files']} models, {total['proven']} proven (none may be but where the "
            f"fault is not of this kind); {total['meets']} told to be meetings of samples, "
            f"{total['right']} of them at the right layer."
        )


def _table(parts: dict[str, Part]) -> Iterator[str]:
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
        )


def _corpus(parts: dict[str, Part]) -> Iterator[str]:
    if any(name.startswith("corpus/") for name in parts):
        yield "The third-party architectures are those that `corpus.py` exports as `.pt2`, ONNX and TorchScript"
        yield "(transformers, timm, torchvision) and `keras_corpus.py` saves as `.keras` and SavedModel"
        yield "(keras.applications, keras-hub, keras-cv-attention-models), with random weights."
        yield ""


def _coverage(parts: dict[str, Part]) -> Iterator[str]:
    """How many of the operators of the third-party architectures have a rule."""
    rows = []
    for title, formats in VOCABULARIES.items():
        some = [one for name, one in parts.items() if name in {f"corpus/{one}" for one in formats}]
        some = [one for one in some if "operators" in one]
        if not some:
            continue
        kinds = {kind for one in some for kind in one["operators"]["kinds"]}
        unruled: Counter[str] = Counter()
        for one in some:
            unruled.update(one["operators"]["unruled"])
        nodes, ruled, uses = (sum(one["operators"][key] for one in some) for key in ("nodes", "ruled", "uses"))
        without = ", ".join(f"`{kind}` (in {count})" for kind, count in unruled.most_common()) or "none"
        rows.append(
            f"| {title} | {sum(one['files'] for one in some)} | {len(kinds)} | {len(kinds) - len(unruled)} | {nodes:,} "
            f"| {100 * ruled / nodes:.2f} % | {100 * (ruled - min(uses, ruled)) / nodes:.2f} % | {without} |"
        )
    if rows:
        yield from (
            "## Coverage",
            "",
            "Of the operators in the graphs of the third-party architectures, with those inside of loops and branches;",
            "*used as a rule has it*: where no rule said that it does not cover this use either.",
            "",
            "| vocabulary | files | different operators | with a rule | nodes | whose operator has a rule "
            "| used as a rule has it | operators without one |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
            *rows,
            "",
        )


def checked(lines: Iterable[dict[str, Any]]) -> dict[str, Part]:
    """By format, what whole checks of third-party architectures ended with: lines that inconclusive.py kept."""
    found: dict[str, Part] = {}
    for line in lines:
        if line["group"] != "third-party architectures":
            continue
        format_ = SUFFIXES.get(line["format"], line["format"])
        mine = found.setdefault(format_, {**dict.fromkeys(CHECKED, 0), "measured": str(date.today()), "named": []})
        verdict = f"pass by {line['basis']}" if line["verdict"] == "pass" else line["verdict"]
        mine[verdict] += 1
        if line["verdict"] != "pass":
            mine["named"].append(f"{line['name']}: {line['verdict']}: {'; '.join(line['why'][:1])}")
    return found


SUFFIXES = {".pt2": "`.pt2`", ".onnx": "ONNX", ".pt": "TorchScript", ".keras": "`.keras`"}
CHECKED = ("pass by proof", "pass by evidence", "fail", "inconclusive", "error")


def _checks(checks: dict[str, Part]) -> Iterator[str]:
    """What whole checks of the third-party architectures end with."""
    if not checks:
        return
    yield from (
        "## Whole checks of third-party architectures",
        "",
        "`kmr-inspect check-batch-axis` with made-up data, of a sample of the small files (`inconclusive.py`).",
        "",
        f"| format | models | {' | '.join(CHECKED)} | date |",
        f"| --- | ---: |{' ---: |' * len(CHECKED)} --- |",
    )
    total = Counter({key: sum(one[key] for one in checks.values()) for key in CHECKED})
    for format_, one in (*sorted(checks.items()), ("**all**", {**total, "measured": ""})):
        counts = [one[key] for key in CHECKED]
        yield f"| {format_} | {sum(counts)} | {' | '.join(map(str, counts))} | {one['measured']} |"
    judged = sum(total.values()) - total["error"]
    yield from ("", f"Inconclusive are {total['inconclusive'] / max(judged, 1):.1%} of those that were judged.", "")
    named = [f"- {format_} {line}" for format_, one in sorted(checks.items()) for line in one["named"]]
    yield from (*named, "") if named else ()


def _undecided(parts: dict[str, Part]) -> Iterator[str]:
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
        yield from ("", f"## {title}", "", *(_shown(named) or ["None."]))


def _shown(named: Iterable[str]) -> list[str]:
    listed = list(named)
    more = [f"- and {len(listed) - SHOWN} more"] if len(listed) > SHOWN else []
    return listed[:SHOWN] + more
