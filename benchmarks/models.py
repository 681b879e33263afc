"""The models that are timed: built once with random weights, kept in benchmarks/cache/ (not committed)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CACHE = Path(__file__).parent / "cache"
BATCH = 8
RESNET50 = CACHE / "resnet50.keras"
RESNET50_H5 = CACHE / "resnet50.h5"
RESNET50_OF_TORCH = {
    "ResNet50 TorchScript": CACHE / "resnet50.pt",
    "ResNet50 `.pt2`": CACHE / "resnet50.pt2",
    "ResNet50 ONNX": CACHE / "resnet50.onnx",
}
MOBILENET = CACHE / "mobilenetv2_savedmodel"
RESNET18 = CACHE / "resnet18.pt"
RESNET18_PT2 = CACHE / "resnet18.pt2"
RESNET18_ONNX = CACHE / "resnet18.onnx"
BERT_PT2 = CACHE / "bert.pt2"
BERT_ONNX = CACHE / "bert.onnx"
OPERATORS = {path: path.with_name(f"{path.stem}_operators.onnx") for path in (RESNET18_ONNX, BERT_ONNX)}
"""The same without the names that exporters give: every operator is a layer then, and every value can be tapped."""
VECTORS = CACHE / "vectors.npy"
IMAGES = CACHE / "images.npy"
IMAGES_FIRST = CACHE / "images_channels_first.npy"
SMALL_IMAGES = CACHE / "small_images.npy"
SNAPSHOT = CACHE / "resnet50.kmr.json"
CHECKED = {
    "ResNet50 `.keras`": CACHE / "resnet50_128.keras",
    "ResNet50 SavedModel": CACHE / "resnet50_128_savedmodel",
    "MobileNetV2 `.keras`": CACHE / "mobilenetv2_128.keras",
    "MobileNetV2 SavedModel": CACHE / "mobilenetv2_128_savedmodel",
    "ResNet-18-sized TorchScript": RESNET18,
    "ResNet-18-sized `.pt2`": RESNET18_PT2,
    "ResNet-18-sized ONNX": RESNET18_ONNX,
}
RECURRENT = {"two LSTM layers over 200 steps, `.keras`": CACHE / "recurrent.keras"}
"""Timed alone: Keras runs the bare passes a step at a time."""
MIDDLE = {
    "like GhostNet, TorchScript": CACHE / "ghostnet.pt",
    "like SegFormer, TorchScript": CACHE / "segformer.pt",
    "like BERT, TorchScript": CACHE / "bert_small.pt",
}
"""Hundreds of values of which most are small: what a check does with each of them counts."""
SCANNED = {
    "ResNet50 `.keras`": RESNET50,
    "ResNet50 `.h5`": RESNET50_H5,
    "ResNet50 SavedModel": CHECKED["ResNet50 SavedModel"],
    **RESNET50_OF_TORCH,
}
LARGE = {
    "MobileNetV2 `.keras`": 1.5,
    "MobileNetV2 SavedModel": 1.5,
    "ResNet-18-sized TorchScript": 1.5,
    "ResNet-18-sized `.pt2`": 1.5,
    "ResNet-18-sized ONNX": 4.5,
}
"""Models of which a batch of 32 is tried (of ResNet50 its values would take more than 1 GB), and how much of the memory
of a bare pass that may take. onnxruntime holds all values of a pass; a session without them would hold weights twice.
"""
MIXING = {
    "MobileNetV2 `.keras` that mixes samples": CACHE / "mobilenetv2_128_mixing.keras",
    "MobileNetV2 SavedModel that mixes samples": CACHE / "mobilenetv2_128_mixing_savedmodel",
}
CHECKED_SIDE = 128  # of the images, in pixels: a check runs the model some twenty times
SCRIPTS = {"resnet50": RESNET50, "mobilenet": MOBILENET, "resnet18": RESNET18, "images": IMAGES}


def build_all() -> None:
    """Build what is missing."""
    import numpy as np

    CACHE.mkdir(exist_ok=True)
    if not IMAGES.exists():
        images = np.random.default_rng(0).standard_normal((BATCH, 224, 224, 3)).astype(np.float32)
        np.save(IMAGES, images)
        np.save(IMAGES_FIRST, np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    if not SMALL_IMAGES.exists():
        np.save(SMALL_IMAGES, np.random.default_rng(0).standard_normal((128, 3, 64, 64)).astype(np.float32))
    if not RESNET50.exists():
        import keras

        keras.utils.set_random_seed(0)
        keras.applications.ResNet50(weights=None).save(RESNET50)
    if not RESNET50_H5.exists():
        import keras

        keras.models.load_model(RESNET50, compile=False).save(RESNET50_H5)
    if not MOBILENET.exists():
        import keras

        keras.utils.set_random_seed(0)
        keras.applications.MobileNetV2(weights=None).export(str(MOBILENET), verbose=False)
    for name, stem in (("ResNet50", "resnet50_128"), ("MobileNetV2", "mobilenetv2_128")):
        archive, saved = CACHE / f"{stem}.keras", CACHE / f"{stem}_savedmodel"
        if not (archive.exists() and saved.exists()):
            import keras

            keras.utils.set_random_seed(0)
            make = getattr(keras.applications, name)
            # A softmax over random weights is the same for all images, to the last bit.
            model = make(weights=None, input_shape=(CHECKED_SIDE, CHECKED_SIDE, 3), classifier_activation=None)
            model.save(archive)
            model.export(str(saved), verbose=False)
    (recurrent,) = RECURRENT.values()
    if not recurrent.exists():
        _save_recurrent(recurrent)
    archive, saved = MIXING.values()
    if not (archive.exists() and saved.exists()):
        _save_mixing(archive, saved)
    of_torch = (RESNET18, RESNET18_PT2, RESNET18_ONNX, BERT_PT2, BERT_ONNX, VECTORS)
    if not all(path.exists() for path in of_torch):
        from torch_models import save_all

        save_all(*of_torch)
    if not all(path.exists() for path in RESNET50_OF_TORCH.values()):
        from torch_models import save_resnet50

        save_resnet50(*RESNET50_OF_TORCH.values())
    for path, plain in OPERATORS.items():
        if not plain.exists():
            from torch_models import without_names

            without_names(path, plain)
    if not all(path.exists() and path.with_suffix(".npy").exists() for path in MIDDLE.values()):
        from middle_models import save_all as save_middle

        save_middle(MIDDLE)


def take_snapshot() -> None:
    """Taken anew each time: a snapshot of an earlier state of this program is another amount of work."""
    command = [str(Path(sys.executable).parent / "kmr-inspect"), "snapshot", str(RESNET50), "--input", str(IMAGES)]
    subprocess.run([*command, "-o", str(SNAPSHOT), "--force"], check=True)


def _save_recurrent(path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    x = keras.Input((200, 5), name="steps")
    sequences = keras.layers.LSTM(8, return_sequences=True, name="first")(x)
    keras.Model(x, keras.layers.LSTM(8, name="second")(sequences)).save(path)


def _save_mixing(archive: Path, saved: Path) -> None:
    """The mean of all samples is taken from each at the very start: no tensor is free of the others."""
    import keras

    keras.utils.set_random_seed(0)
    shape = (CHECKED_SIDE, CHECKED_SIDE, 3)
    images = keras.Input(shape)
    body = keras.applications.MobileNetV2(weights=None, input_shape=shape, classifier_activation=None)
    model = keras.Model(images, body(images - keras.ops.mean(images, axis=0, keepdims=True)))
    model.save(archive)
    model.export(str(saved), verbose=False)


if __name__ == "__main__":
    build_all()
    if "snapshot" in sys.argv[1:]:
        take_snapshot()
