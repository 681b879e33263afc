"""Hold the check against models whose fault, or lack of one, is known, and write the table in detection.md.

Usage: python benchmarks/detection.py [--only WORD] [--jobs N] [--keep FILE [--minutes M]]

With ``--keep FILE`` every outcome is appended to FILE as it comes, and what stands there isn't checked again: so that
the whole can be run in pieces, or again after an interruption. The page is written once nothing is left.
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
from collections import defaultdict
from collections.abc import Collection
from dataclasses import asdict
from datetime import date
from importlib import import_module, metadata
from pathlib import Path
from subprocess import STDOUT
from typing import Any

HERE = Path(__file__).parent
TESTS = HERE.parent / "tests"
PARTS = {  # name of a process -> modules of cases
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
    "faults in ONNX": ("zoo.faults.onnx_faults",),
    "clean ONNX": ("zoo.clean.onnx_networks", "zoo.clean.onnx_kinds"),
    "faults in ONNX, new exporter": ("zoo.faults.onnx_faults_new",),
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


def run_part(part: str, only: str, keep: Path | None, until: float) -> None:
    """Check every case of a part, one line of JSON each. Runs in a process of its own."""
    sys.path.insert(0, str(TESTS))
    from zoo.cases import judge

    known = {(line["case"]["format"], line["case"]["name"]) for line in _kept(keep)}
    for module in PARTS[part]:
        for case in import_module(module).cases():
            if only not in f"{case.format}/{case.name}" or (case.format, case.name) in known:
                continue
            if time.time() > until:
                sys.exit(CONTINUES)
            line = json.dumps({"case": _public(case), **asdict(judge(case))})
            if keep is None:
                print(f"\n{line}", flush=True)  # a line of its own: a framework may have written half of one
            else:
                with keep.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")


def _kept(keep: Path | None) -> list[dict[str, Any]]:
    """What stands in the file of ``--keep``."""
    if keep is None or not keep.exists():
        return []
    return [json.loads(line) for line in keep.read_text(encoding="utf-8").splitlines()]


def _public(case: Any) -> dict[str, Any]:
    return {name: getattr(case, name) for name in ("name", "format", "kind", "rules", "layer")}


def collect(only: str, jobs: int, keep: Path | None, until: float, left_out: Collection[str]) -> list[dict[str, Any]]:
    """The outcomes of all other parts, a few processes at a time. Ends the program where time does not suffice."""
    waiting, outcomes, left = [part for part in PARTS if part not in left_out], [], False
    running: dict[str, tuple[subprocess.Popen[str], Any]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            part, said = waiting.pop(0), tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed with the process)
            command = [sys.executable, __file__, "--part", part, "--only", only, "--until", str(until)]
            command += ["--keep", str(keep)] if keep else []
            process = subprocess.Popen(command, env={**os.environ, **ONE_THREAD}, stdout=said, stderr=STDOUT, text=True)
            running[part] = process, said
        time.sleep(0.2)
        for part, (process, said) in list(running.items()):
            if process.poll() is None:
                continue
            del running[part]
            said.seek(0)
            lines = said.read().splitlines()
            found = [json.loads(line) for line in lines if line.startswith('{"case"')]
            if process.returncode == CONTINUES:
                left = True
            elif process.returncode:
                sys.exit(f"{part}: exit code {process.returncode}\n" + "\n".join(lines[-30:]))
            print(f"{part}: {len(found)} models" if keep is None else part, file=sys.stderr)
            outcomes += found
    if left:
        sys.exit("time is over before every model was checked: run it again")
    return [line for line in _kept(keep) if only in "{format}/{name}".format(**line["case"])] if keep else outcomes


def document(outcomes: list[dict[str, Any]], seconds: float, left_out: Collection[str] = ()) -> str:
    """The page."""
    faulty = [outcome for outcome in outcomes if outcome["case"]["rules"]]
    clean = [outcome for outcome in outcomes if not outcome["case"]["rules"]]
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    found, blamed = (sum(outcome[word] for outcome in faulty) for word in ("found", "blamed"))
    alarms = [outcome for outcome in clean if outcome["verdict"] in ("fail", "crash")]
    inconclusive = [outcome for outcome in clean if outcome["verdict"] == "inconclusive"]
    lines = [
        "# What the check finds",
        "",
        f"Written by `make detection` on {date.today().isoformat()}, {seconds / 60:.0f} minutes of one core:"
        f" Python {platform.python_version()}, {versions}.",
        "The models are built by `tests/zoo/faults/` and `tests/zoo/clean/`.",
        *([f"Left out this time: {'; '.join(left_out)}."] if left_out else []),
        "",
        f"- Seeded faults: {len(faulty)} models, {found} found by the right rule, in {blamed} of them the right layer"
        " and no other was named.",
        f"- Clean models: {len(clean)}, {len(alarms)} false alarms at error level, {len(inconclusive)}"
        " left inconclusive.",
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
    parser.add_argument(
        "--keep", type=Path, metavar="FILE", help="append outcomes to FILE, and leave out what it holds"
    )
    parser.add_argument("--minutes", type=float, metavar="M", help="begin no model after as long; needs --keep")
    parser.add_argument(
        "--leave-out", choices=PARTS, action="append", default=[], metavar="PART", help="not run; the page names it"
    )
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--until", type=float, default=float("inf"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        run_part(given.part, given.only, given.keep, given.until)
        return
    if given.minutes and not given.keep:
        parser.error("--minutes needs --keep FILE")
    until = time.time() + given.minutes * 60 if given.minutes else float("inf")
    outcomes = collect(given.only, given.jobs, given.keep, until, given.leave_out)
    page = document(outcomes, sum(outcome["seconds"] for outcome in outcomes), given.leave_out)
    if given.only:
        print(page)
    else:
        (HERE / "detection.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
