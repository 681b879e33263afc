"""Measure what the README claims about speed and memory, and write the table into benchmarks/README.md.

Usage: python benchmarks/run.py [--pairs N] [--only WORD]… [--write] [--list]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import data_sets  # noqa: E402
import models  # noqa: E402
from processes import Ratio, compare, environment, python  # noqa: E402
from table import Row, write  # noqa: E402

BIN = Path(sys.executable).parent
OURS = [str(BIN / "kmr-inspect")]
PEERS = HERE / "peers"
BUILT_ALONE = "proof, "
"""How the names of those cases begin that build what they measure, and delete it."""
SAVED_MODEL_CLI = "import sys; from tensorflow.python.tools.saved_model_cli import main; sys.exit(main())"
Measured = tuple[Ratio, str]
"""What came out, and a note."""


@dataclass(frozen=True)
class Case:
    """One thing to measure.

    Attributes:
        what, against, target, unit: as in the table.
        measure: takes the number of pairs.
    """

    what: str
    against: str
    target: float
    measure: Callable[[int], Measured]
    unit: str = "s"


def cases() -> Iterator[Case]:
    """All there is, in the order of the table."""
    yield from _processes()
    yield from _data_sets()
    yield from _lens()
    yield from _forwards()
    yield from _notebook()
    yield from _checks()
    yield from _sandbox()
    yield from _scans()
    yield from _endless()
    yield from _proofs()


def _processes() -> Iterator[Case]:
    """Whole commands against whole commands."""
    resnet, mobilenet, images = str(models.RESNET50), str(models.MOBILENET), str(models.IMAGES)
    program, graph, vectors = str(models.BERT_PT2), str(models.BERT_ONNX), str(models.VECTORS)
    sample = [*OURS, "sample"]
    tap = [str(PEERS / "keras_tap.py"), resnet]
    yield Case(
        "`kmr-inspect --help`",
        '`python -c "import click"`',
        2.0,
        _commands([*OURS, "--help"], python("-c", "import click"), 3),
    )
    yield Case(
        "`layers`, ResNet50 `.keras`",
        "load with Keras, print the summary",
        0.055,
        _commands([*OURS, "layers", resnet], python(str(PEERS / "keras_summary.py"), resnet), 1),
    )
    yield Case(
        "`layers`, MobileNetV2 SavedModel",
        "`saved_model_cli show --all`",
        0.10,
        _commands([*OURS, "layers", mobilenet], python("-c", SAVED_MODEL_CLI, "show", "--dir", mobilenet, "--all"), 1),
    )
    yield from _with_memory(
        "`layers`, transformer of 113 MB, `.pt2`",
        "`torch.export.load`, print",
        (0.08, 0.25),
        _commands([*OURS, "layers", program], python(str(PEERS / "pt2_load.py"), program), 3),
    )
    yield from _with_memory(
        "`layers`, transformer of 113 MB, ONNX",
        "`onnx.load`, walk through it",
        (0.8, 0.25),
        _commands([*OURS, "layers", graph], python(str(PEERS / "onnx_walk.py"), graph), 3),
    )
    start = "import sys, polygraphy.tools as tools; sys.exit(tools.main())"
    polygraphy = python("-c", start, "run", graph, "--onnxrt", "--input-shapes", "input:[4,32,768]")
    ours = [*sample, graph, "--layer", "1.norm1", "--index", "2", "--input", vectors, "--no-verify"]
    yield from _with_memory(
        "`sample` of one layer, the same ONNX file",
        "Polygraphy, that layer's value marked as output",
        (0.7, 0.5),
        _commands(ours, [*polygraphy, "--onnx-outputs", "/1/norm1/LayerNormalization_output_0"], 3),
    )
    yield Case(
        "`sample`, last layer of ResNet50, verification included",
        "load, tap with `keras.Model`, call, index",
        1.2,
        _commands(
            [*sample, resnet, "--layer", "predictions", "--index", "3", "--input", images],
            python(*tap, "predictions", "3", images),
            1,
        ),
    )
    yield Case(
        "`sample`, first quarter of ResNet50, `--no-verify`",
        "the same script",
        0.85,
        _commands(
            [*sample, resnet, "--layer", "conv2_block3_out", "--index", "3", "--input", images, "--no-verify"],
            python(*tap, "conv2_block3_out", "3", images),
            1,
        ),
    )
    yield Case(
        "`sample`, early layer of the MobileNetV2 SavedModel, `--no-verify`",
        "`tf.saved_model.load`, call the signature",
        0.85,
        _commands(
            [*sample, mobilenet, "--layer", "block_1_expand", "--index", "3", "--input", images, "--no-verify"],
            python(str(PEERS / "savedmodel_signature.py"), mobilenet, images),
            1,
        ),
    )
    yield Case(
        "`compare` with a snapshot, ResNet50",
        "`sample` of all layers, verification included",
        1.15,
        _commands(
            [*OURS, "compare", resnet, str(models.SNAPSHOT), "--input", images],
            [*sample, resnet, "--layer", "*", "--index", "3", "--input", images],
            1,
            _about_snapshot,
        ),
    )


def _commands(
    ours: list[str],
    theirs: list[str],
    factor: int,
    about: Callable[[], str] = lambda: "",
    written: Sequence[Path] = (),
) -> Callable[[int], Measured]:
    @cache  # time and peak memory are two rows of one measurement
    def measure(pairs: int) -> Measured:
        for name in ("polygraphy", "torchlens"):
            if name in " ".join(theirs) and importlib.util.find_spec(name) is None:
                raise LookupError(f"{name} is not installed")
        found = compare(ours, theirs, pairs=pairs * factor, written=written)
        return found, f"peak {found.peak:.0f} MB{about()}"

    return measure


def _about_snapshot() -> str:
    taps = len(json.loads(models.SNAPSHOT.read_text())["taps"])
    return f"; the snapshot: {taps} values, {models.SNAPSHOT.stat().st_size / 1000:.0f} kB"


def _with_memory(
    what: str, against: str, targets: tuple[float, float], measure: Callable[[int], Measured]
) -> Iterator[Case]:
    """Two rows of one measurement: time, and peak memory."""

    def peaks(pairs: int) -> Measured:
        found, _ = measure(pairs)
        ratio = found.peak / found.their_peak
        peak = replace(found, ours=found.peak, theirs=found.their_peak, ratio=ratio, low=ratio, high=ratio)
        return replace(peak, by_cpu=False), ""

    yield Case(what, against, targets[0], measure)
    yield Case(f"{what}, memory", against, targets[1], peaks, "MB")


def _data_sets() -> Iterator[Case]:
    """A whole data set into a file: both sides write what every layer gives."""
    for what, (ours, theirs) in data_sets.commands().items():
        against = data_sets.BESIDE[what]
        measure = _commands(ours, theirs, 1, written=data_sets.WRITTEN)
        yield from _with_memory(f"`dump` of all layers, {what}", against, (0.4, 0.3), measure)


def _lens() -> Iterator[Case]:
    """All values of one pass, ours with the proof of whose they are."""

    @cache
    def both() -> dict[str, Any]:
        if importlib.util.find_spec("torchlens") is None:
            raise LookupError("torchlens is not installed")
        return _script("lens.py")

    for kind, target, unit in (("time", 0.15, "s"), ("memory", 1.0, "MB")):

        def measure(_pairs: int, kind: str = kind) -> Measured:
            return Ratio(**both()[kind]), both()["note"] if kind == "time" else ""

        what = f"`sample` of all layers and samples with proof, ResNet-18-sized `.pt2`, {kind}"
        yield Case(what, "TorchLens, `trace` of the same network", target, measure, unit)


def _forwards() -> Iterator[Case]:
    """All layers or values tapped and discarded, in one process."""
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
    for name, (model, against) in bare.items():

        def measure(_pairs: int, name: str = name) -> Measured:
            found = _script("forwards.py", name)
            return Ratio(**found["ratio"]), f"{found['layers']} layers, {found['values']} values"

        tapped = "value" if name.startswith("onnx") else "layer"
        what = f"forward with every {tapped} tapped and discarded, {model}"
        yield Case(what, against, targets.get(name.partition("-")[0], 1.10), measure)


def _notebook() -> Iterator[Case]:
    """Opening a model where a framework is loaded already."""

    @cache
    def both(pairs: int) -> dict[str, Any]:
        return _script("notebook.py", str(pairs))

    for which, target in (("first", 1.5), ("second", 0.4)):

        def measure(pairs: int, which: str = which) -> Measured:
            return Ratio(**both(pairs)[which], pairs=pairs), ""

        what = f"`open_model`, the {which} in a notebook that holds TensorFlow"
        yield Case(what, "a fresh interpreter that imports what the program needs", target, measure)


def _checks() -> Iterator[Case]:
    """The check on an opened model: time against bare forward passes, memory against one set of activations."""
    timed = [(model, 1.3) for model in (*models.CHECKED, *models.RECURRENT)] + [(model, 3.0) for model in models.MIDDLE]
    weighed = [(model, 2.2 if "SavedModel" in model else 1.5) for model in (*models.CHECKED, *models.MIXING)]
    for kind, against, unit, chosen in (
        ("time", "as many bare forward passes at the same sizes", "s", timed),
        ("memory", "one set of activations", "MB", weighed),
        ("memory of the large batch", "one bare forward pass of such a batch", "MB", list(models.LARGE.items())),
    ):
        for model, target in chosen:

            def measure(pairs: int, kind: str = kind, model: str = model) -> Measured:
                found = _script("checks.py", kind, model, str(pairs))
                return Ratio(**found["ratio"]), found["note"]

            yield Case(f"`check-batch-axis`, {kind}, {model}", against, target, measure, unit)


def _scans() -> Iterator[Case]:
    """What a scan costs: absolute limits, of which the ratio is a share."""
    samples = [path for path in sorted((HERE.parent / "sample_models").iterdir()) if _is_model(path)]
    chosen = {"the sample model that takes most": samples, **{name: [path] for name, path in models.SCANNED.items()}}
    for model, paths in chosen.items():
        time = "50 ms beyond reading the file" if len(paths) > 1 else "0.3 s beyond reading the file"
        for kind, against, unit in (("time", time, "s"), ("memory", "80 MB", "MB")):

            def measure(_pairs: int, kind: str = kind, paths: list[Path] = paths) -> Measured:
                found = _script("scans.py", kind, *map(str, paths))
                return Ratio(**found["ratio"]), found["note"]

            yield Case(f"`scan`, {kind}, {model}", against, 1.0, measure, unit)


def _sandbox() -> Iterator[Case]:
    """What the sandbox costs, where a run is shortest."""
    for kind, name in {"ONNX": "digits.onnx", "`.keras`": "digits.keras"}.items():
        command = [*OURS, "sample", str(HERE.parent / "sample_models" / name), "--layer", "head", "--index", "0"]
        yield Case(
            f"`sample` in the sandbox, a small {kind} file",
            "`--no-sandbox`",
            1.05,
            _commands(command, [*command, "--no-sandbox"], 3),
        )


def _endless() -> Iterator[Case]:
    """What files without end take: absolute limits, as for scans."""
    for kind, against, unit in (("time", "2 s", "s"), ("memory", "200 MB", "MB")):

        def measure(_pairs: int, kind: str = kind) -> Measured:
            found = _script("endless.py", kind)
            return Ratio(**found["ratio"]), found["note"]

        yield Case(f"files without end, {kind}, the one that takes most", against, 1.0, measure, unit)


def _proofs() -> Iterator[Case]:
    """What the size of the weights adds to a structural proof, which reads none."""
    kinds = {"pt2": "`.pt2`", "onnx": "ONNX", "external": "ONNX with its weights beside it"}
    for kind, model in kinds.items():
        for what, unit in (("time", "s"), ("memory", "MB")):

            def measure(_pairs: int, kind: str = kind, what: str = what) -> Measured:
                found = _script("proofs.py", what, kind)
                return Ratio(**found["ratio"]), found["note"]

            yield Case(f"proof, {what}, 1 GB {model}", "the same graph with 1 MB of weights", 1.3, measure, unit)


def _is_model(path: Path) -> bool:
    return path.suffix in (".keras", ".h5", ".pt", ".pt2", ".onnx") or (path / "saved_model.pb").is_file()


def _script(name: str, *arguments: str) -> dict[str, Any]:
    """What a script of this folder prints, run in a process of its own."""
    done = subprocess.run(
        python(str(HERE / name), *arguments), env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Build the models, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=7, help="pairs of runs of each command")
    parser.add_argument("--only", action="append", default=[], help="measure only rows that contain this")
    parser.add_argument("--write", action="store_true", help="put rows chosen by --only into the table too")
    parser.add_argument("--list", action="store_true", help="show what there is to measure")
    arguments = parser.parse_args()
    every = list(cases())
    chosen = [case for case in every if not arguments.only or any(word in case.what for word in arguments.only)]
    if arguments.list:
        print(*(case.what for case in chosen), sep="\n")
        return
    # In a process of its own: the peak memory of a command includes what its parent had when it was started.
    snapshot = ["snapshot"] if any("snapshot" in case.what for case in chosen) else []
    if not all(case.what.startswith(BUILT_ALONE) for case in chosen):
        subprocess.run(python(str(HERE / "models.py"), *snapshot), check=True)
    # As pip does: in the sandbox nothing is written, and every run would compile what is imported there.
    subprocess.run(python("-m", "compileall", "-q", str(HERE.parent / "kmr_cli")), check=True)
    failed: list[str] = []
    for case in chosen:
        print(f"{case.what} …", file=sys.stderr, flush=True)
        try:
            result, note = case.measure(arguments.pairs)
        except LookupError as exc:
            print(f"  left out: {exc}", file=sys.stderr, flush=True)
            continue
        except (RuntimeError, OSError) as exc:  # the others are measured all the same
            print(f"  failed: {exc}", file=sys.stderr, flush=True)
            failed.append(case.what)
            continue
        row = Row(case.what, case.against, case.target, result, note, case.unit)
        print(row)
        if arguments.write or not arguments.only:
            write([row], [one.what for one in every])
    if failed:
        sys.exit(f"not measured: {', '.join(failed)}")


if __name__ == "__main__":
    main()
