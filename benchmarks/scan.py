"""Hold the scan, and other scanners, against the bad files of the tests and against models without harm.

Usage: python benchmarks/scan.py --peers FOLDER, or --corpus FOLDER ... The first folder holds a virtual environment for
each of the others, made by ``python3 -m venv FOLDER/picklescan && FOLDER/picklescan/bin/pip install picklescan`` and so
on, of modelscan with its extras, ``modelscan[tensorflow,h5py]``. The folders of a corpus hold models without harm, such
as benchmarks/corpus.py and benchmarks/keras_corpus.py export, which this program alone scans. Writes scan.md, and
scan.json, in which what was measured before stays.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from bad_files import SAMPLES, keras_files, onnx_files, pickles, savedmodels, torch_files  # noqa: E402

from kmr_cli.rules import RULES  # noqa: E402
from kmr_cli.scan.scan import scan  # noqa: E402

HOMES = {
    "pickles": pickles, "Keras": keras_files, "SavedModel": savedmodels, "TorchScript and `.pt2`": torch_files,
    "ONNX": onnx_files,
}  # fmt: skip
CLEAN = ("zoo.clean.onnx_networks", "zoo.clean.onnx_kinds", "zoo.clean.torch_networks", "zoo.clean.exported_networks")
"""Modules of the detection set whose models are small and built fast; ``make detection`` scans all of it."""
OURS = "kmr-inspect scan"
KEPT = HERE / "scan.json"
QUIET = {
    "PROMPTFOO_DISABLE_TELEMETRY": "1", "NO_ANALYTICS": "1", "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3",
    "PYTHONWARNINGS": "ignore",
}  # fmt: skip


def picklescan(command: Path, folder: Path) -> Iterator[str]:
    """The files of which picklescan says that they are dangerous, or suspicious."""
    told = _run([command, "--path", folder, "--globals"], folder)
    yield from re.findall(r"^(.+?):(?:[^:\n]+:)? (?:dangerous|suspicious) import", told, re.MULTILINE)


def modelscan(command: Path, folder: Path) -> Iterator[str]:
    """The files with an issue, of any severity."""
    report = folder.parent / "modelscan.json"
    _run([command, "--path", folder, "--reporting-format", "json", "--output-file", report], folder)
    for issue in json.loads(report.read_text())["issues"]:
        yield issue["source"]


def modelaudit(command: Path, folder: Path) -> Iterator[str]:
    """The files with an issue of severity warning or critical."""
    report = folder.parent / "modelaudit.json"
    _run([command, "scan", folder, "--format", "json", "--output", report, "--quiet"], folder)
    for issue in json.loads(report.read_text())["issues"]:
        if issue["severity"] in ("warning", "critical"):
            yield issue.get("location") or ""


PEERS: dict[str, Callable[[Path, Path], Iterator[str]]] = {
    "picklescan": picklescan, "modelscan": modelscan, "modelaudit": modelaudit,
}  # fmt: skip


def _run(command: list[Any], folder: Path) -> str:
    ran = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        cwd=folder.parent,
        env={**os.environ, **QUIET},
        check=False,
    )
    return ran.stdout + ran.stderr


def bad(folder: Path) -> dict[str, str]:
    """Makes the bad files; name of a case -> its kind."""
    kinds = {}
    for kind, home in HOMES.items():
        for case in home.CASES:
            if case.rule in RULES and RULES[case.rule].severity == "error":
                (folder / case.name).mkdir()
                path = case.build(folder / case.name)
                if path.suffix == ".bin":  # which some take for weights of another kind
                    path.rename(path.with_suffix(".pkl"))
                kinds[case.name] = kind
    return kinds


def clean(folder: Path) -> dict[str, str]:
    """Puts the models without harm into a folder; name -> kind."""
    kinds = {}
    for path in sorted(SAMPLES.iterdir()):
        if path.suffix in (".keras", ".h5", ".pt", ".pt2", ".onnx") or (path / "saved_model.pb").is_file():
            (folder / path.name).mkdir()
            goal = folder / path.name / path.name
            shutil.copytree(path, goal) if path.is_dir() else shutil.copy(path, goal)
            kinds[path.name] = "sample models"
    for module in CLEAN:
        for case in import_module(module).cases():
            name = f"{case.format}_{case.name}".replace("/", "_")
            (folder / name).mkdir()
            case.build(folder / name)
            kinds[name] = "clean models of the detection set"
    return kinds


FORMATS = {".pt2": "`.pt2`", ".onnx": "ONNX", ".pt": "TorchScript", ".keras": "`.keras`", "": "SavedModel"}


def corpus(folders: list[Path]) -> dict[str, Any]:
    """How many models of each format lie in these folders, and those in which the scan finds an error."""
    counts: Counter[str] = Counter()
    alarms: list[str] = []
    left: list[str] = []
    for path in sorted(one for folder in folders for one in folder.iterdir()):
        kind = FORMATS.get("" if path.is_dir() else path.suffix)
        if kind is None:
            continue
        counts[kind] += 1
        report = scan(path)
        errors = dict.fromkeys(f"{one.rule}, {one.message}" for one in report.findings if one.severity == "error")
        alarms += [f"{path.name}: {'; '.join(errors)}"] if errors else []
        left += [f"{path.name}: {report.inconclusive[0]}"] if report.verdict == "inconclusive" else []
    return {"files": dict(counts), "alarms": alarms, "inconclusive": left, "measured": date.today().isoformat()}


def ours(folder: Path, kinds: dict[str, str]) -> set[str]:
    """The cases of which this program's scan finds an error."""
    found = set()
    for name in kinds:
        paths = [one for one in (folder / name).iterdir() if one.name not in ("elsewhere", "weights.bin", "weights.h5")]
        if any(_fails(path) for path in paths if path.suffix != ".data"):
            found.add(name)
    return found


def _fails(path: Path) -> bool:
    try:
        return scan(path).verdict == "fail"
    except Exception:  # no model by itself: a file that belongs to one
        return False


def measured(peers: Path, tools: list[str]) -> dict[str, Any]:
    """What the tools find, counted by kind; what was measured of others before stays."""
    kept: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {"files": {}, "tools": {}}
    with tempfile.TemporaryDirectory() as here:
        for what, make in (("bad", bad), ("clean", clean)):
            folder = Path(here) / what
            folder.mkdir()
            kinds = make(folder)
            kept["files"][what] = dict(Counter(kinds.values()))
            for name in tools:
                found = (
                    ours(folder, kinds) if name == OURS else _named(PEERS[name], peers / name / "bin" / name, folder)
                )
                told = kept["tools"].setdefault(name, {"version": _version(peers, name)})
                told[what] = dict(Counter(kinds[one] for one in found if one in kinds))
                told.setdefault("given", {})[what] = len(kinds)
                if name == OURS:
                    kept["missed" if what == "bad" else "alarms"] = sorted(
                        kinds.keys() ^ found if what == "bad" else found
                    )
    return kept


def _named(peer: Callable[[Path, Path], Iterator[str]], command: Path, folder: Path) -> set[str]:
    """The cases that a tool names."""
    places = [os.path.relpath(_absolute(place, folder), folder) for place in peer(command, folder)]
    return {Path(place).parts[0] for place in places if Path(place).parts}


def _version(peers: Path, name: str) -> str:
    if name == OURS:
        return ""
    told = subprocess.run([peers / name / "bin" / "pip", "show", name], capture_output=True, text=True, check=True)
    return str(re.findall(r"^Version: (.*)$", told.stdout, re.MULTILINE)[0])


def _absolute(place: str, folder: Path) -> str:
    """A place that a scanner tells, which may be relative, and go on inside of an archive."""
    return place if place.startswith("/") else str(folder / place)


def page(kept: dict[str, Any]) -> str:
    """The text of scan.md."""
    tools = [name for name in (OURS, *PEERS) if name in kept["tools"]]
    lines = [
        "# The scan beside others", "",
        f"Written by `python benchmarks/scan.py` on {date.today().isoformat()}. The bad files are those of",
        "`tests/bad_files/` for which a rule of severity error speaks; each tool was pointed at the folder with all",
        "of them. Counted is a file for which a tool reports anything that is no mere remark (`modelaudit`: warning",
        "and critical). The corpus is this program's own, so that it finds all of it says little; the others look",
        "for pickles above all.", "",
        "Versions: " + ", ".join(f"{name} {kept['tools'][name]['version']}" for name in tools[1:]) + ".", "",
        "| | files | " + " | ".join(tools) + " |",
        "| --- | ---: |" + " ---: |" * len(tools),
    ]  # fmt: skip
    for what, title, whole in (("bad", "found", "all bad files"), ("clean", "alarms on", "all clean models")):
        files = kept["files"][what]
        for kind, count in files.items():
            numbers = [kept["tools"][name][what].get(kind, 0) for name in tools]
            lines.append(f"| {title}: {kind} | {count} | " + " | ".join(map(str, numbers)) + " |")
        sums = [sum(kept["tools"][name][what].values()) for name in tools]
        lines.append(f"| **{title}: {whole}** | {sum(files.values())} | " + " | ".join(map(str, sums)) + " |")
    if "corpus" in kept:
        files, told = kept["corpus"]["files"], kept["corpus"]["alarms"]
        blank = " |" * len(tools[1:])
        for kind, count in sorted(files.items()):
            some = sum(FORMATS.get(Path(one.partition(":")[0]).suffix, FORMATS[""]) == kind for one in told)
            lines.append(f"| alarms on: third-party architectures, {kind} | {count} | {some} |{blank}")
        lines.append(f"| **alarms on: all third-party architectures** | {sum(files.values())} | {len(told)} |{blank}")
    for name in tools:
        given = kept["tools"][name].get("given", {})
        if any(number != sum(kept["files"][what].values()) for what, number in given.items()):
            bad_ones, clean_ones = given["bad"], given["clean"]
            lines += ["", f"`{name}` was given an earlier set: {bad_ones} bad files and {clean_ones} clean models."]
    missed, alarms = (", ".join(kept[what]) or "none" for what in ("missed", "alarms"))
    if "corpus" in kept:
        known = kept["corpus"]
        lines += [
            "",
            f"The third-party architectures are those of `proof.md`, scanned on {known['measured']} by this program",
            f"alone. Alarms: {'; '.join(known['alarms']) or 'none'}. Inconclusive: {len(known['inconclusive'])}",
            "that name layers of keras-hub and keras-cv-attention-models, or operators of transformers, which are",
            "not in the file (KMR506).",
        ]
    return "\n".join([*lines, "", f"Missed by `{OURS}`: {missed}. Its alarms: {alarms}."]) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--corpus", type=Path, nargs="+", default=[])
    parser.add_argument("--tool", action="append", choices=[OURS, *PEERS], help="measure only these; the others stay")
    arguments = parser.parse_args()
    if arguments.peers:
        results = measured(arguments.peers.absolute(), arguments.tool or [OURS, *PEERS])
    else:
        results = json.loads(KEPT.read_text())
    if arguments.corpus:
        results["corpus"] = corpus(arguments.corpus)
    KEPT.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (HERE / "scan.md").write_text(page(results), encoding="utf-8")
