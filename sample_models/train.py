"""Train the sample models and write them, with their batches and snapshots, beside this script.

Run ``python sample_models/train.py`` (or ``make models``); ``--only pair`` trains one of them. Everything is
seeded: a second run gives the same models. It fails where a model is less accurate on held-out data than promised.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from data import BATCH_SIZE, SEED, Samples, Split, choices, digits, pairs, sequences
from take_snapshots import write_snapshots

# All three are read when the frameworks below are imported.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


@contextmanager
def silenced() -> Iterator[None]:
    """Keep what native code writes to stderr (TensorFlow greets on import) off the screen, unless we fail."""
    sys.stderr.flush()
    screen = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(screen, said.read())
            raise
        finally:
            os.dup2(screen, 2)
            os.close(screen)


with silenced():
    import keras
    import onnx
    import onnxruntime
    import tensorflow as tf
    import tf_keras
    import torch

    import keras2_networks
    import keras_networks
    import torch_networks
    from torch_twins import OUTPUTS, twin_of

Predict = Callable[[dict[str, np.ndarray]], np.ndarray]
ENDINGS = (".keras", ".h5", ".pt", ".pt2", ".onnx", ".npz", "_savedmodel", "snapshots")
"""Of the names that this script writes."""
YOUNGER = {
    "input_axes": None,
    "output_axes": None,
    "quantization_config": None,
    "renorm": False,
    "renorm_clipping": None,
    "renorm_momentum": 0.99,
    "sliding_window": None,
    "use_gate": False,
}
"""Settings, with their defaults, that Keras 3.15 writes and Keras 3.12 refuses: the last one for Python 3.10."""
LIMIT = 5_000_000
"""Bytes that all written files together must stay below."""


@dataclass(frozen=True)
class Written:
    """One line of the closing table."""

    path: Path
    accuracy: float
    parameters: int


def train_digits(folder: Path) -> list[Written]:
    """One set of weights in three formats: Keras 3 archive, SavedModel, Keras 2 HDF5."""
    split = digits()
    save_batch(folder / "digits.npz", split.held_out)
    model = fit_keras(keras_networks.digits, split, epochs=40)
    archive, exported, legacy = folder / "digits.keras", folder / "digits_savedmodel", folder / "digits.h5"
    save_archive(model, archive)
    shutil.rmtree(exported, ignore_errors=True)
    model.export(exported, verbose=False)

    twin = keras2_networks.digits()
    for layer in model.layers:
        twin.get_layer(layer.name).set_weights(layer.get_weights())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are saving your model as an HDF5 file", UserWarning)
        twin.save(legacy, include_optimizer=False)
    with h5py.File(legacy, "r+") as file:
        file.attrs["model_config"] = json.dumps(older(json.loads(file.attrs["model_config"])))

    loaded = {
        archive: predict_keras(keras.models.load_model(archive)),
        exported: predict_savedmodel(tf.saved_model.load(exported)),
        legacy: predict_keras(tf_keras.models.load_model(legacy, compile=False)),
    }
    return [
        Written(path, demand(path, accuracy(predict, split.held_out), 0.97), model.count_params())
        for path, predict in loaded.items()
    ]


def train_digits_torch(folder: Path) -> list[Written]:
    """One set of weights: scripted, traced, exported, and as ONNX."""
    split = digits()
    model = fit_torch(torch_networks.Digits, split, epochs=40)
    exported = [
        write_exported(folder / "digits.pt2", model, split.held_out, 0.97),
        write_onnx(folder / "digits.onnx", model, split.held_out, 0.97),
    ]
    with torchscript_warnings_ignored():
        programs = {
            folder / "digits_scripted.pt": torch.jit.script(model),
            folder / "digits_traced.pt": torch.jit.trace(model, torch.zeros(2, 8, 8, 1)),
        }
    return [*(write_torchscript(path, program, split.held_out, 0.97) for path, program in programs.items()), *exported]


def train_pair(folder: Path) -> list[Written]:
    """Two inputs, a nested model, and layers that run twice."""
    split = pairs()
    save_batch(folder / "pair.npz", split.held_out)
    archive = write_keras(folder / "pair.keras", keras_networks.pair, split, epochs=12, floor=0.95)
    return [archive, *write_twins(archive.path, split.held_out, 0.95)]


def train_sequence(folder: Path) -> list[Written]:
    """Embedding, mask and LSTM."""
    split = sequences()
    save_batch(folder / "sequence.npz", split.held_out)
    archive = write_keras(folder / "sequence.keras", keras_networks.sequence, split, epochs=60, floor=0.90)
    return [archive, *write_twins(archive.path, split.held_out, 0.90)]


def train_transformer(folder: Path) -> list[Written]:
    """A transformer block."""
    split = digits()
    archive = write_keras(folder / "transformer.keras", keras_networks.transformer, split, epochs=60, floor=0.95)
    return [archive, *write_twins(archive.path, split.held_out, 0.95)]


def train_windows(folder: Path) -> list[Written]:
    """Samples merged with windows on axis 0, in Keras."""
    return [write_keras(folder / "windows.keras", keras_networks.windows, digits(), epochs=40, floor=0.95)]


def train_windows_torch(folder: Path) -> list[Written]:
    """Samples merged with windows and heads on axis 0: scripted, exported, and as ONNX."""
    split = digits()
    model = fit_torch(torch_networks.Windows, split, epochs=40)
    with torchscript_warnings_ignored():
        program = torch.jit.script(model)
    return [
        write_torchscript(folder / "windows.pt", program, split.held_out, 0.95),
        write_exported(folder / "windows.pt2", model, split.held_out, 0.95),
        write_onnx(folder / "windows.onnx", model, split.held_out, 0.95),
    ]


def train_recommender(folder: Path) -> list[Written]:
    """The bundled layers and one set of weights in all formats."""
    split = choices()
    save_batch(folder / "recommender.npz", split.held_out)
    model = fit_recommender(split, epochs=30)
    archive, exported = folder / "recommender.keras", folder / "recommender_savedmodel"
    save_archive(model, archive)
    shutil.rmtree(exported, ignore_errors=True)
    model.export(exported, verbose=False)
    legacy, program = folder / "recommender.h5", folder / "recommender.pt"
    convert_recommender(model, archive, legacy, program)
    loaded = {
        archive: predict_keras(keras.models.load_model(archive)),
        exported: predict_savedmodel(tf.saved_model.load(exported)),
        legacy: predict_keras(keras.models.load_model(legacy, compile=False)),
        program: predict_torch(torch.jit.load(str(program))),
    }
    written = [
        Written(path, demand(path, accuracy(predict, split.held_out), 0.95), model.count_params())
        for path, predict in loaded.items()
    ]
    return [*written, *write_twins(archive, split.held_out, 0.95)]


def convert_recommender(model: keras.Model, archive: Path, legacy: Path, program: Path) -> None:
    """The weights of a recommender as legacy HDF5, and its archive as TorchScript."""
    twin = keras_networks.recommender_of_layers()
    twin.set_weights(model.get_weights())
    twin.save(legacy, include_optimizer=False)
    with h5py.File(legacy, "r+") as file:
        file.attrs["model_config"] = json.dumps(older(json.loads(file.attrs["model_config"])))
    script = Path(__file__).with_name("keras_to_torchscript.py")
    subprocess.run([sys.executable, script, archive, program], check=True)


JOBS: dict[str, Callable[[Path], list[Written]]] = {
    "digits": train_digits,
    "digits_torch": train_digits_torch,
    "pair": train_pair,
    "sequence": train_sequence,
    "transformer": train_transformer,
    "windows": train_windows,
    "windows_torch": train_windows_torch,
    "recommender": train_recommender,
}


def fit_keras(build: Callable[[], keras.Model], split: Split, *, epochs: int) -> keras.Model:
    """A trained model without its optimizer, which would triple the file."""
    keras.utils.set_random_seed(SEED)
    model, train = build(), split.train
    steps = epochs * -(-len(train.label) // 64)
    loss = "binary_crossentropy" if model.output_shape[-1] == 1 else "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)), loss)
    model.fit(as_keras_wants(model, train.inputs), train.label, batch_size=64, epochs=epochs, verbose=0)
    bare = build()
    bare.set_weights(model.get_weights())
    return bare


def fit_recommender(split: Split, *, epochs: int) -> keras.Model:
    """A recommender trained to score the chosen place highest of all 13, before the best are selected."""
    keras.utils.set_random_seed(SEED)
    model, train = keras_networks.recommender(), split.train
    scores = model.get_layer("top").input
    # Scores are sigmoids; their logits are what a softmax over the places wants.
    logits = keras.ops.log(scores + 1e-7) - keras.ops.log(1 - scores + 1e-7)
    trainer = keras.Model(model.inputs, logits)
    rate = keras.optimizers.schedules.CosineDecay(1e-2, epochs * -(-len(train.label) // 64))
    trainer.compile(keras.optimizers.Adam(rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    trainer.fit(as_keras_wants(model, train.inputs), train.label, batch_size=64, epochs=epochs, verbose=0)
    return model


def fit_torch(build: Callable[[], torch.nn.Module], split: Split, *, epochs: int) -> torch.nn.Module:
    """A trained model in eval mode."""
    torch.manual_seed(SEED)
    model, train = build(), split.train
    image, label = torch.from_numpy(train.inputs["image"]), torch.from_numpy(train.label)
    torch_networks.fit(model, image, label, epochs=epochs, rate=3e-3)
    return model


def write_keras(path: Path, build: Callable[[], keras.Model], split: Split, *, epochs: int, floor: float) -> Written:
    """Train, save, and measure what was saved."""
    model = fit_keras(build, split, epochs=epochs)
    save_archive(model, path)
    measured = accuracy(predict_keras(keras.models.load_model(path)), split.held_out)
    return Written(path, demand(path, measured, floor), model.count_params())


def older(value: Any) -> Any:
    """A configuration without what Keras 3.12 does not know and this model does not use."""
    if isinstance(value, dict):
        return {key: older(one) for key, one in value.items() if key not in YOUNGER or one != YOUNGER[key]}
    return [older(one) for one in value] if isinstance(value, list) else value


def save_archive(model: keras.Model, path: Path) -> None:
    """Save so that Keras 3.12 can load it too: without the settings of ``YOUNGER`` that stand at their defaults."""
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {one: archive.read(one) for one in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            is_config = member.filename == "config.json"
            archive.writestr(member, json.dumps(older(json.loads(content))) if is_config else content)


def write_torchscript(path: Path, program: Any, held_out: Samples, floor: float) -> Written:
    """Save, and measure what was saved."""
    with torchscript_warnings_ignored():
        program.save(str(path))
        loaded = torch.jit.load(str(path))
    measured = accuracy(predict_torch(loaded), held_out)
    return Written(path, demand(path, measured, floor), sum(one.numel() for one in program.parameters()))


def write_twins(archive: Path, held_out: Samples, floor: float) -> list[Written]:
    """The weights of a Keras archive in a PyTorch network, exported and as ONNX, beside it."""
    weights = {one.path: np.asarray(one) for one in keras.models.load_model(archive).weights}
    model = twin_of(archive.stem, weights)
    return [
        write_exported(archive.with_suffix(".pt2"), model, held_out, floor),
        write_onnx(
            archive.with_suffix(".onnx"), model, held_out, floor, outputs=OUTPUTS.get(archive.stem, ("probabilities",))
        ),
    ]


def write_exported(path: Path, model: torch.nn.Module, held_out: Samples, floor: float) -> Written:
    """Export for batches of any size, and measure what was written. Where the source stood is nobody's business."""
    example = blank_batch(held_out, 4)
    free = ({0: torch.export.Dim("batch")},) * len(example)
    program = torch.export.export(model.eval(), example, dynamic_shapes=free)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    torch.export.save(program, path)
    measured = accuracy(predict_torch(torch.export.load(path).module()), held_out)
    return Written(path, demand(path, measured, floor), sum(one.numel() for one in model.parameters()))


def write_onnx(
    path: Path, model: torch.nn.Module, held_out: Samples, floor: float, *, outputs: Sequence[str] = ("scores",)
) -> Written:
    """Export for batches of any size, and measure what was written. Where the source stood is nobody's business."""
    example = blank_batch(held_out, 2)
    free = ({0: torch.export.Dim("batch")},) * len(example)
    torch.onnx.export(
        model, example, path, input_names=list(held_out.inputs), output_names=list(outputs),
        dynamic_shapes=free, external_data=False, verbose=False,
    )  # fmt: skip
    exported = onnx.load(path)
    for node in exported.graph.node:
        kept = [entry for entry in node.metadata_props if not entry.key.endswith("stack_trace")]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.save(exported, path)
    session = onnxruntime.InferenceSession(path)
    measured = accuracy(lambda inputs: session.run(None, inputs)[0], held_out)
    return Written(path, demand(path, measured, floor), sum(one.numel() for one in model.parameters()))


def blank_batch(samples: Samples, count: int) -> tuple[torch.Tensor, ...]:
    """As many samples of zeros, which is all that an export needs to see."""
    return tuple(torch.zeros_like(torch.from_numpy(one)) for one in samples.first(count).inputs.values())


def predict_keras(model: Any) -> Predict:
    """The first output of a Keras 3 or Keras 2 model."""

    def predict(inputs: dict[str, np.ndarray]) -> np.ndarray:
        outputs = model(as_keras_wants(model, inputs), training=False)
        return np.asarray(outputs[0] if isinstance(outputs, (list, tuple)) else outputs)

    return predict


def as_keras_wants(model: Any, inputs: dict[str, np.ndarray]) -> Any:
    """A lone input by itself, several as the list in which the model was built."""
    arrays = [inputs[tensor.name] for tensor in model.inputs]
    return arrays[0] if len(arrays) == 1 else arrays


def predict_savedmodel(model: Any) -> Predict:
    """The first output of a SavedModel's default signature."""

    def predict(inputs: dict[str, np.ndarray]) -> np.ndarray:
        outputs = model.signatures["serving_default"](**{name: tf.constant(array) for name, array in inputs.items()})
        return np.asarray(outputs[min(outputs)])

    return predict


def predict_torch(model: Any) -> Predict:
    """The first output of a TorchScript program."""

    def predict(inputs: dict[str, np.ndarray]) -> np.ndarray:
        with torch.inference_mode():
            outputs = model(*map(torch.from_numpy, inputs.values()))
        return np.asarray(outputs[0] if isinstance(outputs, tuple) else outputs)

    return predict


def accuracy(predict: Predict, samples: Samples) -> float:
    """The share of samples whose class is predicted right, or is among the recommended indices."""
    outputs = predict(samples.inputs)
    if np.issubdtype(outputs.dtype, np.integer):
        return float(np.mean((outputs == samples.label[:, np.newaxis]).any(axis=1)))
    predicted = outputs[:, 0] > 0.5 if outputs.shape[1] == 1 else outputs.argmax(axis=1)
    return float(np.mean(predicted == samples.label))


def demand(path: Path, measured: float, floor: float) -> float:
    """The accuracy, if it is good enough.

    Raises:
        SystemExit: it is not.
    """
    if measured < floor:
        raise SystemExit(f"{path.name}: {measured:.2%} of the held-out samples are right, at least {floor:.0%} must be")
    return measured


def save_batch(path: Path, samples: Samples) -> None:
    """Write the first held-out samples as a compressed .npz."""
    np.savez_compressed(path, **samples.first(BATCH_SIZE).arrays())


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(one.stat().st_size for one in ([path] if path.is_file() else path.rglob("*")) if one.is_file())


@contextmanager
def torchscript_warnings_ignored() -> Iterator[None]:
    """TorchScript is on its way out of PyTorch and says so on every use; the files remain, and they are the point."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        yield


def main() -> None:
    """Parse the command line, train, and print what was written."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", choices=list(JOBS), help="train this one; may be repeated")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent, help="where to write (default: here)")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    tf.get_logger().setLevel("ERROR")
    logging.getLogger("absl").setLevel("ERROR")  # Keras calls its .h5 files legacy; the files remain
    tf.config.experimental.enable_op_determinism()
    torch.use_deterministic_algorithms(True)

    written: list[Written] = []
    for name in arguments.only or JOBS:
        started = time.monotonic()
        print(f"{name} …", end=" ", flush=True)
        written += JOBS[name](arguments.folder)
        print(f"{time.monotonic() - started:.0f} s")
    print("snapshots …", end=" ", flush=True)
    write_snapshots(arguments.folder, [one.path.name for one in written])
    print("written")

    print(f"\n{'file':<22} {'size':>11} {'held-out accuracy':>18} {'parameters':>11}")
    for one in written:
        print(f"{one.path.name:<22} {size_of(one.path):>9,} B {one.accuracy:>18.2%} {one.parameters:>11,}")
    total = sum(size_of(one) for one in arguments.folder.iterdir() if one.name.endswith(ENDINGS))
    print(f"{'all, with the data':<22} {total:>9,} B")
    if total >= LIMIT:
        raise SystemExit(f"{arguments.folder}: {total:,} bytes together, must stay below {LIMIT:,}")


if __name__ == "__main__":
    main()
