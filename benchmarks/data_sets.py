"""A whole data set through a model, all its values written: the commands of both sides.

Every side runs 128 images of 64 pixels through the same network in batches of 8 and writes what each operator or layer
gives, in the way in which that program needs least memory. Both begin with nothing: to delete what an earlier run left
is not part of the job, and costs a file system more for many files than for few.
"""

from __future__ import annotations

import sys
from pathlib import Path

import models

HERE = Path(__file__).parent
OURS = str(Path(sys.executable).parent / "kmr-inspect")
_BATCH = 8
_POLYGRAPHY = """
import sys
import polygraphy.tools as tools
sys.exit(tools.main())
"""

BESIDE = {
    "ResNet-18-sized ONNX": "Polygraphy, all values marked as outputs, a file for each batch",
    "ResNet-18-sized ONNX, one `.h5`": "Polygraphy, all values marked as outputs, a file for each batch",
    "ResNet-18-sized `.pt2`": "TorchLens, a bundle for each batch",
    "ResNet-18-sized `.pt2`, one data set": "TorchLens, `extract_dataset`",
}
"""What is dumped, and the other side."""
_OUT = models.CACHE / "data_set"
WRITTEN = [_OUT.with_name(f"{_OUT.name}{end}") for end in (".zarr", ".h5", "_polygraphy", "_torchlens")]
"""What the commands write."""


def commands() -> dict[str, tuple[list[str], list[str]]]:
    """By what is dumped: our command, and theirs."""
    onnx, program = str(models.RESNET18_ONNX), str(models.RESNET18_PT2)
    marked = ["--onnxrt", "--onnx-outputs", "mark", "all", "--save-outputs", f"{_OUT}_polygraphy"]
    loader = str(HERE / "peers" / "polygraphy_batches.py")
    polygraphy = [sys.executable, "-c", _POLYGRAPHY, "run", onnx, *marked, "--data-loader-script", loader]
    lens = [
        sys.executable,
        str(HERE / "peers" / "torchlens_data_set.py"),
        str(models.SMALL_IMAGES),
        f"{_OUT}_torchlens",
    ]
    bundles, dataset = ([*lens, kind, str(_BATCH)] for kind in ("bundles", "dataset"))
    return dict(
        zip(
            BESIDE,
            [
                (_dump(onnx), polygraphy),
                (_dump(onnx, "h5"), polygraphy),
                (_dump(program), bundles),
                (_dump(program), dataset),
            ],
            strict=True,
        )
    )


def _dump(model: str, suffix: str = "zarr") -> list[str]:
    given = ["--layer", "*", "--input", str(models.SMALL_IMAGES), "--batch-size", str(_BATCH)]
    return [OURS, "dump", model, *given, "-o", f"{_OUT}.{suffix}"]
