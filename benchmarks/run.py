"""Measure everything that the README claims about speed and memory, and write the table into benchmarks/README.md.

Usage: python benchmarks/run.py [--pairs N] [--only WORD]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import models  # noqa: E402
from processes import Ratio, compare, environment, python  # noqa: E402

BIN = Path(sys.executable).parent
OURS = [str(BIN / "kmr-inspect")]
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    against: str
    target: float
    result: Ratio
    note: str = ""
    unit: str = "s"


def process_rows(pairs: int, only: str) -> list[Row]:
    """Whole commands against whole commands."""
    resnet, mobilenet, images = str(models.RESNET50), str(models.MOBILENET), str(models.IMAGES)
    peers = HERE / "peers"
    sample = [*OURS, "sample"]
    tap = [str(peers / "keras_tap.py"), resnet]
    cases = [
        ("`kmr-inspect --help`", '`python -c "import click"`', 2.0, [*OURS, "--help"], python("-c", "import click"), 3),
        (
            "`layers`, ResNet50 `.keras`",
            "load with Keras, print the summary",
            0.08,
            [*OURS, "layers", resnet],
            python(str(peers / "keras_summary.py"), resnet),
            1,
        ),
        (
            "`layers`, MobileNetV2 SavedModel",
            "`saved_model_cli show --all`",
            0.10,
            [*OURS, "layers", mobilenet],
            [str(BIN / "saved_model_cli"), "show", "--dir", mobilenet, "--all"],
            1,
        ),
        *_of_torch(sample),
        (
            "`sample`, last layer of ResNet50, verification included",
            "load, tap with `keras.Model`, call, index",
            1.2,
            [*sample, resnet, "--layer", "predictions", "--index", "3", "--input", images],
            python(*tap, "predictions", "3", images),
            1,
        ),
        (
            "`sample`, first quarter of ResNet50, `--no-verify`",
            "the same script",
            0.85,
            [*sample, resnet, "--layer", "conv2_block3_out", "--index", "3", "--input", images, "--no-verify"],
            python(*tap, "conv2_block3_out", "3", images),
            1,
        ),
        (
            "`sample`, early layer of the MobileNetV2 SavedModel, `--no-verify`",
            "`tf.saved_model.load`, call the signature",
            0.85,
            [*sample, mobilenet, "--layer", "block_1_expand", "--index", "3", "--input", images, "--no-verify"],
            python(str(peers / "savedmodel_signature.py"), mobilenet, images),
            1,
        ),
        (
            "`compare` with a snapshot, ResNet50",
            "`sample` of all layers, verification included",
            1.15,
            [*OURS, "compare", resnet, str(models.SNAPSHOT), "--input", images],
            [*sample, resnet, "--layer", "*", "--index", "3", "--input", images],
            1,
        ),
    ]
    rows = []
    for what, against, target, ours, theirs, factor in cases:
        if only in what:
            print(f"{what} …", file=sys.stderr, flush=True)
            result = compare(ours, theirs, pairs=pairs * factor)
            note = f"peak {result.peak:.0f} MB"
            if "snapshot" in what:
                taps = len(json.loads(models.SNAPSHOT.read_text())["taps"])
                note += f"; the snapshot: {taps} values, {models.SNAPSHOT.stat().st_size / 1000:.0f} kB"
            rows.append(Row(what, against, target, result, note))
            print(f"  {result.ratio:.3f} (target {target})", file=sys.stderr, flush=True)
            if what in MEMORY:
                rows.append(_memory(what, against, result))
    return rows


MEMORY = {
    "`layers`, transformer of 113 MB, `.pt2`": 0.25,
    "`layers`, transformer of 113 MB, ONNX": 0.25,
    "`sample` of one layer, the same ONNX file": 0.5,
}
"""Rows whose peak memory is compared as well, and the target of that."""


def _of_torch(sample: list[str]) -> list[tuple[str, str, float, list[str], list[str], int]]:
    """Exported programs and ONNX against what else opens them. Polygraphy has its row where it is installed."""
    program, graph, vectors = str(models.BERT_PT2), str(models.BERT_ONNX), str(models.VECTORS)
    peers = HERE / "peers"
    cases = [
        (
            "`layers`, transformer of 113 MB, `.pt2`",
            "`torch.export.load`, print",
            0.08,
            [*OURS, "layers", program],
            python(str(peers / "pt2_load.py"), program),
            3,
        ),
        (
            "`layers`, transformer of 113 MB, ONNX",
            "`onnx.load`, walk through it",
            0.8,
            [*OURS, "layers", graph],
            python(str(peers / "onnx_walk.py"), graph),
            3,
        ),
    ]
    if importlib.util.find_spec("polygraphy") is not None:
        start = "import sys, polygraphy.tools as tools; sys.exit(tools.main())"
        polygraphy = ["-c", start, "run", graph, "--onnxrt", "--input-shapes", "input:[4,32,768]"]
        cases.append(
            (
                "`sample` of one layer, the same ONNX file",
                "Polygraphy, that layer's value marked as output",
                0.7,
                [*sample, graph, "--layer", "1.norm1", "--index", "2", "--input", vectors, "--no-verify"],
                python(*polygraphy, "--onnx-outputs", "/1/norm1/LayerNormalization_output_0"),
                3,
            )
        )
    return cases


def _memory(what: str, against: str, found: Ratio) -> Row:
    ratio = found.peak / found.their_peak
    result = Ratio(found.peak, found.their_peak, ratio, ratio, ratio, found.peak, found.pairs)
    return Row(f"{what}, memory", against, MEMORY[what], result, unit="MB")


def notebook_rows(pairs: int, only: str) -> list[Row]:
    """Opening a model where a framework is loaded already."""
    what = {
        "first": ("`open_model`, the first in a notebook that holds TensorFlow", 1.5),
        "second": ("`open_model`, the second in a notebook that holds TensorFlow", 0.4),
    }
    if not any(only in words for words, _ in what.values()):
        return []
    print("`open_model` in a notebook …", file=sys.stderr, flush=True)
    done = subprocess.run(
        python(str(HERE / "notebook.py"), str(pairs)), env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    rows = []
    for which, found in json.loads(done.stdout.splitlines()[-1]).items():
        words, target = what[which]
        result = Ratio(*(found[key] for key in ("ours", "theirs", "ratio", "low", "high")), 0, pairs)
        rows.append(Row(words, "a fresh interpreter that imports what the program needs", target, result))
        print(f"  {result.ratio:.3f} (target {target})", file=sys.stderr, flush=True)
    return rows


def forward_rows(only: str) -> list[Row]:
    """All layers tapped and discarded, in one process."""
    bare = {
        "keras": ("ResNet50 `.keras`", "`model(x, training=False)`"),
        "savedmodel": ("MobileNetV2 SavedModel", "the loaded signature"),
        "torchscript": ("ResNet-18-sized TorchScript", "the loaded module"),
        "pt2-resnet": ("ResNet-18-sized `.pt2`", "`torch.export.load(…).module()`"),
        "pt2-bert": ("four layers of BERT, `.pt2`", "`torch.export.load(…).module()`"),
        "onnx-resnet": ("ResNet-18-sized ONNX", "a plain session, optimization off"),
        "onnx-bert": ("four layers of BERT, ONNX", "a plain session, optimization off"),
    }
    targets = {"pt2": 1.05, "onnx": 1.3}
    rows = []
    for name, (model, against) in bare.items():
        what = f"forward with every layer tapped and discarded, {model}"
        if only in what:
            print(f"{what} …", file=sys.stderr, flush=True)
            output = subprocess.run(
                python(str(HERE / "forwards.py"), name), capture_output=True, text=True, check=False
            )
            if output.returncode:
                raise RuntimeError(output.stderr[-3000:])
            found = json.loads(output.stdout.splitlines()[-1])
            result = Ratio(*(found[key] for key in ("ours", "theirs", "ratio", "low", "high")), 0, found["pairs"])
            target = targets.get(name.partition("-")[0], 1.10)
            rows.append(Row(what, against, target, result, f"{found['layers']} layers, {found['values']} values"))
            print(f"  {result.ratio:.3f} (target {target})", file=sys.stderr, flush=True)
    return rows


def check_rows(pairs: int, only: str) -> list[Row]:
    """The check on an opened model: time against bare forward passes, memory against one set of activations."""
    rows = []
    for kind, against, unit in (
        ("time", "as many bare forward passes at the same sizes", "s"),
        ("memory", "one set of activations", "MB"),
    ):
        for model in models.CHECKED | (models.RECURRENT if kind == "time" else models.MIXING):
            what = f"`check-batch-axis`, {kind}, {model}"
            if only not in what:
                continue
            print(f"{what} …", file=sys.stderr, flush=True)
            target = 1.3 if kind == "time" else 2.2 if "SavedModel" in model else 1.5
            count = 1 if kind == "memory" else pairs
            command = python(str(HERE / "checks.py"), kind, model, str(count))
            done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(done.stderr[-3000:])
            found = json.loads(done.stdout.splitlines()[-1])
            result = Ratio(*(found[key] for key in ("ours", "theirs", "ratio", "low", "high")), 0, found["pairs"])
            rows.append(Row(what, against, target, result, found["note"], unit))
            print(f"  {result.ratio:.3f} (target {target})", file=sys.stderr, flush=True)
    return rows


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = [
        "| what | against | ratio (median, lowest to highest) | target | ours | theirs | pairs | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        found = row.result
        mark = "" if found.ratio <= row.target else " **missed**"
        lines.append(
            f"| {row.what} | {row.against} | {found.ratio:.3f} ({found.low:.3f} to {found.high:.3f}){mark} |"
            f" ≤ {row.target:g} | {found.ours:.3f} {row.unit} | {found.theirs:.3f} {row.unit} | {found.pairs}"
            f" | {row.note} |"
        )
    versions = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("keras", "tensorflow", "torch", "onnxruntime", "numpy")
    )
    lines += ["", f"Measured {date.today()} on {platform.machine()}, Python {platform.python_version()}, {versions}."]
    return "\n".join(lines)


def write(rows: list[Row]) -> None:
    """Put the table between its marks in README.md."""
    readme = HERE / "README.md"
    text = readme.read_text()
    before, after = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    readme.write_text(f"{before}\n{table(rows)}\n{after}")


def main() -> None:
    """Build the models, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=7, help="pairs of runs of each command")
    parser.add_argument("--only", default="", help="measure only rows that contain this; print, do not write")
    arguments = parser.parse_args()
    # In a process of its own: the peak memory of a command includes what its parent had when it was started.
    subprocess.run(python(str(HERE / "models.py")), check=True)
    rows = process_rows(arguments.pairs, arguments.only) + forward_rows(arguments.only)
    rows += notebook_rows(arguments.pairs, arguments.only) + check_rows(arguments.pairs, arguments.only)
    print(table(rows))
    if not arguments.only:
        write(rows)


if __name__ == "__main__":
    main()
