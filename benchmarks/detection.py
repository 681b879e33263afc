"""Hold the check against models whose fault, or lack of one, is known, and write the table in detection.md.

Usage: python benchmarks/detection.py [--part PART] [--only WORD] [--jobs N] [--keep FILE [--minutes M]]

With ``--keep FILE`` every outcome is appended to FILE as it comes, with the commit it was made at, and what stands
there isn't checked again: so that the whole can be run in pieces, or again after an interruption. The page is written
once FILE holds an outcome for every model of every part; ``--forget WORD`` drops those of the models named so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import date
from importlib import import_module, metadata
from pathlib import Path
from subprocess import STDOUT
from typing import Any

HERE = Path(__file__).parent
TESTS = HERE.parent / "tests"
PARTS = {  # name of a process -> modules of cases
    "training mode stored in calls": ("zoo.faults.keras_training", "zoo.clean.keras_training"),
    "outputs, order and lists": ("zoo.faults.torch_outputs", "zoo.clean.torch_outputs"),
    "found late": ("zoo.faults.torch_found", "zoo.clean.torch_found"),
    "found late, in TensorFlow": ("zoo.faults.tensorflow_found", "zoo.clean.tensorflow_found"),
    "certain batch sizes": ("zoo.faults.turns", "zoo.clean.turns"),
    "rows routed inside a layer": ("zoo.faults.routed", "zoo.clean.routed"),
    "lists": ("zoo.faults.lists", "zoo.clean.lists"),
    "ragged and sparse answers": ("zoo.faults.ragged", "zoo.clean.ragged"),
    "masks in ONNX": ("zoo.faults.onnx_masks", "zoo.clean.onnx_masks"),
    "clean keras.applications": ("zoo.clean.applications",),
    "clean keras.applications, the large ones": ("zoo.clean.large_applications",),
    "faults in Keras": ("zoo.faults.keras_faults", "zoo.faults.keras_masks"),
    "faults in tf.Module": ("zoo.faults.tensorflow_faults",),
    "clean tf.Module": ("zoo.clean.tensorflow_modules",),
    "faults in TorchScript": ("zoo.faults.torch_faults", "zoo.faults.torch_masks", "zoo.faults.torch_kinds"),
    "clean Keras": ("zoo.clean.keras_layers", "zoo.clean.keras_networks", "zoo.clean.keras_masks"),
    "clean TorchScript": ("zoo.clean.torch_networks", "zoo.clean.torch_masks", "zoo.clean.torch_kinds"),
    "ids in floats, steps declared": ("zoo.clean.ids", "zoo.clean.fixed_steps", "zoo.faults.fixed_steps"),
    "masks of attention": ("zoo.clean.attention_masks", "zoo.faults.attention_masks"),
    "rare values": ("zoo.faults.rare_values", "zoo.clean.rare_values"),
    "faults in ONNX": ("zoo.faults.onnx_faults",),
    "clean ONNX": ("zoo.clean.onnx_networks", "zoo.clean.onnx_kinds"),
    "faults in ONNX, new exporter": ("zoo.faults.onnx_faults_new",),
    "leaks of public designs": ("zoo.faults.public_designs",),
    "faults in .pt2": ("zoo.faults.exported_faults",),
    "clean .pt2": ("zoo.clean.exported_networks",),
}
FORMATS = ("keras", "h5", "savedmodel", "torchscript", "pt2", "onnx")
TITLES = {
    "keras": "`.keras`", "h5": "`.h5`", "savedmodel": "SavedModel", "torchscript": "TorchScript", "pt2": "`.pt2`",
    "onnx": "ONNX",
}  # fmt: skip
PACKAGES = ("kmr-inspect", "keras", "tensorflow", "torch", "onnxruntime", "numpy")
ONE_THREAD = {
    "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "PYTHONWARNINGS": "ignore", "KERAS_BACKEND": "tensorflow",
}  # fmt: skip


CONTINUES = 75
"""Exit status of a process that stopped because its time was over."""
Line = dict[str, Any]


def run_part(part: str, only: str, keep: Path, until: float) -> None:
    """List every case of a part, and check those of which no outcome is kept. Runs in a process of its own."""
    sys.path.insert(0, str(TESTS))
    from zoo.cases import judge

    cases = [case for module in PARTS[part] for case in import_module(module).cases()]
    listed = [_public(case) for case in cases]
    if _listed(keep).get(part) != listed:
        _append(keep, {"part": part, "listed": listed})
    known, commit = _outcomes(keep), _commit()
    for case in cases:
        if only not in _name(_public(case)) or _key(_public(case)) in known:
            continue
        if time.time() > until:
            sys.exit(CONTINUES)
        _append(keep, {"case": _public(case), "commit": commit, **asdict(judge(case))})


def _append(keep: Path, line: Line) -> None:
    with keep.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _lines(keep: Path) -> list[Line]:
    return [json.loads(line) for line in keep.read_text(encoding="utf-8").splitlines()] if keep.exists() else []


def _outcomes(keep: Path) -> dict[str, Line]:
    """The last outcome of every case. One that another rule or layer was expected of is another case."""
    return {_key(line["case"]): line for line in _lines(keep) if "case" in line}


def _listed(keep: Path) -> dict[str, list[Line]]:
    """The cases of every part, as they were listed last."""
    return {line["part"]: line["listed"] for line in _lines(keep) if "listed" in line}


def _public(case: Any) -> Line:
    """What is known of a case, as JSON has it."""
    public = {name: getattr(case, name) for name in ("name", "format", "kind", "layer")}
    return {**public, "rules": list(case.rules)}


def _key(public: Line) -> str:
    return json.dumps(public, sort_keys=True)


def _name(public: Line) -> str:
    return f"{public['format']}/{public['name']}"


def _commit() -> str:
    """Of the checkout that this stands in; with a mark where files were changed since."""
    git = ["git", "-C", str(HERE), "describe", "--always", "--abbrev=12", "--dirty=, changed", "--exclude=*"]
    said = subprocess.run(git, capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"


def forget(keep: Path, word: str) -> None:
    """Drop the outcomes of all cases whose format/name contains a word."""
    left = [line for line in _lines(keep) if "case" not in line or word not in _name(line["case"])]
    keep.write_text("".join(json.dumps(line) + "\n" for line in left), encoding="utf-8")


def run(parts: Sequence[str], only: str, jobs: int, keep: Path, until: float) -> None:
    """Check all cases of some parts, a few processes at a time. Ends the program where one of them fails."""
    waiting = list(parts)
    running: dict[str, tuple[subprocess.Popen[str], Any]] = {}
    while running or (waiting and time.time() < until):
        while waiting and len(running) < jobs and time.time() < until:
            part, said = waiting.pop(0), tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed with the process)
            command = [sys.executable, __file__, "--part", part, "--only", only, "--until", str(until)]
            command += ["--keep", str(keep)]
            process = subprocess.Popen(command, env={**os.environ, **ONE_THREAD}, stdout=said, stderr=STDOUT, text=True)
            running[part] = process, said
        time.sleep(0.2)
        for part, (process, said) in list(running.items()):
            if process.poll() is None:
                continue
            del running[part]
            said.seek(0)
            if process.returncode not in (0, CONTINUES):
                sys.exit(f"{part}: exit code {process.returncode}\n" + "\n".join(said.read().splitlines()[-30:]))
            print(f"{part}: {'done' if not process.returncode else 'to be continued'}", file=sys.stderr)


def gather(parts: Sequence[str], only: str, keep: Path) -> tuple[list[Line], int]:
    """The outcomes of all cases of some parts, in their order, and how many are missing; a part not listed is one."""
    listed, known = _listed(keep), _outcomes(keep)
    cases = [public for part in parts for public in listed.get(part, ()) if only in _name(public)]
    found = [known[_key(public)] for public in cases if _key(public) in known]
    return found, len(cases) - len(found) + sum(part not in listed for part in parts)


def document(outcomes: list[dict[str, Any]], seconds: float, left_out: Collection[str] = ()) -> str:
    """The page."""
    faulty = [outcome for outcome in outcomes if outcome["case"]["rules"]]
    clean = [outcome for outcome in outcomes if not outcome["case"]["rules"]]
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    found, blamed = (sum(outcome[word] for outcome in faulty) for word in ("found", "blamed"))
    alarms = [outcome for outcome in clean if outcome["verdict"] in ("fail", "crash")]
    inconclusive = [outcome for outcome in clean if outcome["verdict"] == "inconclusive"]
    refused = [outcome for outcome in outcomes if outcome["refused"]]
    commits = Counter(outcome["commit"] for outcome in outcomes)
    lines = [
        "# What the check finds",
        "",
        f"Written by `make detection` on {date.today().isoformat()}, {seconds / 60:.0f} minutes of one core:"
        f" Python {platform.python_version()}, {versions}.",
        f"Checked at commit {', '.join(f'`{name}` ({count:,} models)' for name, count in commits.most_common())}.",
        "The models are built by `tests/zoo/faults/` and `tests/zoo/clean/`.",
        *([f"Left out this time: {'; '.join(left_out)}."] if left_out else []),
        "",
        f"- Seeded faults: {len(faulty)} models, {found} found by the right rule, in {blamed} of them the right layer"
        " and no other was named.",
        f"- Clean models: {len(clean)}, {len(alarms)} false alarms at error level, {len(inconclusive)}"
        " left inconclusive.",
        f"- The scan would refuse {len(refused)} of all {len(outcomes):,} files.",
        f"- The proof, where the format hands out its graph: {sum(outcome['held'] for outcome in outcomes)} claims"
        f" about values were held against these passes, {sum(map(_contradicted, outcomes))} violated;"
        f" {sum(outcome['basis'] == 'proof' for outcome in clean)} clean models pass as proven, and"
        f" {sum(map(_proven_fault, faulty))} faults between samples do.",
        "",
        "## Seeded faults",
        "",
        "Each cell: found by the right rule / right layer named / seeded. Where two rules tell the same fault (rows"
        " with pieces of several samples, which a later layer adds up), either counts.",
        "",
        f"| what the model does | {' | '.join(TITLES[name] for name in FORMATS)} |",
        f"| --- | {' | '.join('---' for _ in FORMATS)} |",
    ]
    table: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for outcome in faulty:
        table[outcome["case"]["kind"]][outcome["case"]["format"]].append(outcome)
    for kind, by_format in sorted(table.items()):
        cells = [_cell(by_format[name]) if name in by_format else "" for name in FORMATS]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    total = {name: [outcome for outcome in faulty if outcome["case"]["format"] == name] for name in FORMATS}
    lines.append(f"| **all** | {' | '.join(_cell(total[name]) for name in FORMATS)} |")
    missed = [outcome for outcome in faulty if not (outcome["found"] and outcome["blamed"])]
    lines += ["", "### Missed, or another layer named", ""]
    lines += [_missed(outcome) for outcome in missed] or ["None."]
    lines += ["", "## Clean models", "", "| format | models | passed | false alarms | inconclusive |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for name in FORMATS:
        mine = [outcome["verdict"] for outcome in clean if outcome["case"]["format"] == name]
        if mine:
            alarm = mine.count("fail") + mine.count("crash")
            row = (TITLES[name], len(mine), mine.count("pass"), alarm, mine.count("inconclusive"))
            lines.append(f"| {' | '.join(map(str, row))} |")
    lines += ["", "### False alarms and inconclusive", ""]
    lines += [_alarm(outcome) for outcome in alarms + inconclusive] or ["None."]
    if refused:
        lines += ["", "### Refused by the scan", ""]
        lines += [f"- {_name(outcome['case'])}: {'; '.join(outcome['refused'])}." for outcome in refused]
    lines += ["", "### The clean models", ""]
    for name in FORMATS:
        names = [outcome["case"]["name"] for outcome in clean if outcome["case"]["format"] == name]
        if names:
            lines += [f"{TITLES[name]}: {', '.join(names)}.", ""]
    return "\n".join(lines).rstrip() + "\n"


BETWEEN_SAMPLES = {"KMR101", "KMR102", "KMR103", "KMR104", "KMR105", "KMR106", "KMR109"}


def _contradicted(outcome: dict[str, Any]) -> bool:
    """Whether a pass contradicted the proof, which ends the check."""
    return any("the proof claims" in reason for reason in outcome["reasons"])


def _proven_fault(outcome: dict[str, Any]) -> bool:
    """Whether a model in which samples change each other would pass as proven."""
    return bool(BETWEEN_SAMPLES & set(outcome["case"]["rules"])) and outcome["basis"] == "proof"


def _cell(outcomes: list[Any]) -> str:
    found, blamed = (sum(outcome[word] for outcome in outcomes) for word in ("found", "blamed"))
    return f"{found} / {blamed} / {len(outcomes)}"


def _missed(outcome: dict[str, Any]) -> str:
    case = outcome["case"]
    said = "; ".join(f"{rule} at `{layer or 'the model itself'}`" for rule, layer in outcome["errors"])
    said = said or outcome["verdict"] + "".join(f": {reason}" for reason in outcome["reasons"][:1])
    return (
        f"- {TITLES[case['format']]}, {case['name']}: wants {' or '.join(case['rules'])} at `{case['layer']}`; {said}."
    )


def _alarm(outcome: dict[str, Any]) -> str:
    case = outcome["case"]
    said = "; ".join(f"{rule} at `{layer or 'the model itself'}`" for rule, layer in outcome["errors"])
    why = said or "; ".join(outcome["reasons"][:2])
    return f"- {TITLES[case['format']]}, {case['name']}: {outcome['verdict']}: {why}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", metavar="WORD", help="cases whose format/name contains WORD; no page")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, metavar="FILE", help="append outcomes to FILE, leave out what it holds")
    parser.add_argument("--minutes", type=float, default=float("inf"), metavar="M", help="begin no model after as long")
    parser.add_argument("--forget", metavar="WORD", help="first drop kept outcomes whose format/name contains WORD")
    parser.add_argument(
        "--leave-out", choices=PARTS, action="append", default=[], metavar="PART", help="not run; the page names it"
    )
    parser.add_argument("--part", choices=PARTS, metavar="PART", help=f"run this one alone: {'; '.join(PARTS)}")
    parser.add_argument("--until", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.until is not None:
        run_part(given.part, given.only, given.keep, given.until)
        return
    with tempfile.TemporaryDirectory() as folder:
        keep = given.keep or Path(folder) / "outcomes.jsonl"
        if given.forget is not None:
            forget(keep, given.forget)
        parts = [given.part] if given.part else [part for part in PARTS if part not in given.leave_out]
        run(parts, given.only, given.jobs, keep, time.time() + given.minutes * 60)
        if given.part and given.keep:
            parts = list(PARTS)
        outcomes, missing = gather(parts, given.only, keep)
    if missing and given.keep:
        sys.exit(f"{missing} models, or parts of which it isn't known how many, are left: run it again")
    page = document(outcomes, sum(outcome["seconds"] for outcome in outcomes), given.leave_out)
    if given.only or (given.part and not given.keep):
        print(page)
    else:
        (HERE / "detection.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
