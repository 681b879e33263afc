"""Keras files: configs that name what no model needs, weights that lie elsewhere, archives that are two things."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from bad_files import SAMPLES, collector

CASES, bad = collector()
_SOURCE = SAMPLES / "digits.keras"


def archive(
    folder: Path, change: Callable[[dict[str, Any]], None] | None = None, weights: Callable[[Path], None] | None = None,
    more: dict[str, bytes] | None = None,
) -> Path:  # fmt: skip
    """A copy of a real archive.

    Args:
        folder: where to.
        change: of its config.
        weights: changes the HDF5 file of its weights.
        more: members besides.
    """
    path = folder / "model.keras"
    with zipfile.ZipFile(_SOURCE) as source, zipfile.ZipFile(path, "w") as copy:
        for name in source.namelist():
            data = source.read(name)
            if name == "config.json" and change is not None:
                config = json.loads(data)
                change(config)
                data = json.dumps(config).encode()
            if name == "model.weights.h5" and weights is not None:
                inner = folder / "weights.h5"
                inner.write_bytes(data)
                weights(inner)
                data = inner.read_bytes()
            copy.writestr(name, data)
        for name, data in (more or {}).items():
            copy.writestr(name, data)
    return path


def _layer(config: dict[str, Any], kind: str) -> dict[str, Any]:
    """The config entry of the first layer of a class."""
    found: dict[str, Any] = next(layer for layer in config["config"]["layers"] if layer["class_name"] == kind)
    return found


def _activation(value: Any) -> Callable[[dict[str, Any]], None]:
    def change(config: dict[str, Any]) -> None:
        _layer(config, "Dense")["config"]["activation"] = value

    return change


def _instead(kind: str, module: str | None = "keras.layers", registered: str | None = None, **arguments: Any) -> Any:
    def change(config: dict[str, Any]) -> None:
        layer = _layer(config, "Dense")
        layer.update(class_name=kind, module=module, registered_name=registered)
        layer["config"] = {"name": layer["config"]["name"], **arguments}

    return change


def _units(number: int) -> Callable[[dict[str, Any]], None]:
    """A layer as the file has it, and far larger."""

    def change(config: dict[str, Any]) -> None:
        _layer(config, "Dense")["config"]["units"] = number

    return change


def _of(kind: str, **changed: Any) -> Callable[[dict[str, Any]], None]:
    """A layer with other arguments; ``build_config`` is what it was built for."""

    def change(config: dict[str, Any]) -> None:
        layer = _layer(config, kind)
        layer.update({key: value for key, value in changed.items() if key == "build_config"})
        layer["config"].update({key: value for key, value in changed.items() if key != "build_config"})

    return change


_LAMBDA = {"class_name": "__lambda__", "config": {"value": "4wEAAAA" + "A" * 80, "defaults": None, "closure": None}}
_OLD_LAMBDA = {"value": ["4wEAAAA" + "A" * 80, None, None]}


_COLUMN = {
    "class_name": "VocabularyFileCategoricalColumn",
    "config": {"key": "word", "vocabulary_file": "/etc/passwd", "vocabulary_size": 4, "num_oov_buckets": 0},
}


def _function(name: str, module: str) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


for _case, _rule, _change in (
    ("lambda_layer", "KMR501", _instead("Lambda", function=_LAMBDA)),
    ("lambda_as_activation", "KMR501", _activation(_LAMBDA)),
    ("lambda_of_keras_2", "KMR501", _activation(_OLD_LAMBDA)),
    ("another_savedmodel", "KMR501", _instead("TFSMLayer", filepath="/tmp/other", call_endpoint="serve")),
    ("pickled_module", "KMR501", _instead("TorchModuleWrapper", module_="gASV")),
    ("jax_layer", "KMR501", _instead("JaxLayer", call_fn=_LAMBDA)),
    ("get_file", "KMR503", _activation(_function("get_file", "keras.utils"))),
    ("remote_monitor", "KMR503", _instead("RemoteMonitor", "keras.callbacks", root="http://localhost")),
    ("data_set", "KMR503", _activation(_function("load_data", "keras.datasets.mnist"))),
    ("unsafe_mode", "KMR501", _activation(_function("enable_unsafe_deserialization", "keras.config"))),
    ("loads_a_model", "KMR501", _activation(_function("load_model", "keras.saving"))),
    ("deserializes", "KMR501", _activation(_function("deserialize", "keras.activations"))),
    ("csv_logger", "KMR501", _instead("CSVLogger", "keras.callbacks", filename="canary")),
    ("model_checkpoint", "KMR501", _instead("ModelCheckpoint", "keras.callbacks", filepath="canary")),
    ("export_archive", "KMR501", _instead("ExportArchive", "keras.export")),
    ("private_module", "KMR501", _activation(_function("func_load", "keras.src.utils.python_utils"))),
    ("of_python", "KMR506", _activation(_function("system", "os"))),
    ("imported_by_name", "KMR506", _instead("Anything", "keras_hub.canary", "Anything")),
    ("custom_class", "KMR506", _instead("Attention2", "my_layers", "mine>Attention2")),
    ("vocabulary_in_a_file", "KMR502", _instead("StringLookup", vocabulary="/etc/passwd")),
    ("text_vocabulary_in_a_file", "KMR502", _instead("TextVectorization", vocabulary="/etc/passwd")),
    ("writes_a_file", "KMR502", _instead("TFOpLambda", None, function="io.write_file")),
    ("raw_operation", "KMR501", _instead("TFOpLambda", None, function="raw_ops.WriteFile")),
    ("python_function", "KMR501", _instead("TFOpLambda", None, function="numpy_function")),
    ("saved_model_load", "KMR501", _instead("TFOpLambda", None, function="saved_model.load")),
    ("writes_a_file_as_a_slice", "KMR502", _instead("SlicingOpLambda", None, function="io.write_file")),
    ("loads_a_model_as_a_slice", "KMR501", _instead("SlicingOpLambda", None, function="saved_model.load")),
    ("unsafe_mode_marked_as_registered", "KMR501",
     _activation({**_function("enable_unsafe_deserialization", "keras.config"), "registered_name": "keras>relu"})),
    ("loads_a_model_marked_as_ours", "KMR501",
     _instead("load_model", "keras.saving", "kmr.layers>WeightedSum")),
    ("class_as_the_type_of_a_tensor", "KMR501",
     _activation({"class_name": "__typespec__", "spec_name": "TFSMLayer", "module": "keras.layers", "config": [],
                  "registered_name": None})),
    ("registered_as_the_type_of_a_tensor", "KMR501",
     _activation({"class_name": "__typespec__", "spec_name": "TensorSpec", "module": "keras.layers", "config": [],
                  "registered_name": "keras>Lambda"})),
    ("sampler_reads_its_vocabulary", "KMR501",
     _instead("TFOpLambda", None, function="nn.fixed_unigram_candidate_sampler")),
    ("vocabulary_of_a_sampler", "KMR502", _activation({"vocab_file": "/etc/passwd"})),
    ("vocabulary_of_a_column", "KMR502", _instead("DenseFeatures", None, feature_columns=[_COLUMN])),
    ("weights_of_a_column", "KMR502", _activation({"ckpt_to_load_from": "/tmp/other"})),
    ("method_of_a_data_set", "KMR501", _instead("ClassMethod", None, cls_ref="data.Dataset", fn_name="load")),
    ("units_beyond_all_weights", "KMR504", _units(10**7)),
    ("rank_beyond_all_weights", "KMR504", _of("Dense", lora_rank=10**8)),
    ("kernel_beyond_all_weights", "KMR504", _of("Conv2D", kernel_size=[20_000, 20_000])),
    ("built_for_more_than_all_weights", "KMR504", _of("Dense", build_config={"input_shape": [None, 10**8]})),
    ("absurd_units", "KMR504", _instead("Dense", registered=None, units=10**15)),
):  # fmt: skip

    @bad(_rule, _case)
    def _(folder: Path, change: Callable[[dict[str, Any]], None] = _change) -> Path:
        return archive(folder, change)


@bad("KMR504")
def nested(folder: Path) -> Path:
    """A config so deep that readers which call themselves give up."""

    def change(config: dict[str, Any]) -> None:
        inner: Any = {}
        for _ in range(400):
            inner = {"inner": inner}
        config["config"]["deep"] = inner

    return archive(folder, change)


@bad("KMR505")
def two_configs(folder: Path) -> Path:
    """One is examined, the other may be loaded."""
    path = archive(folder)
    with zipfile.ZipFile(path) as opened:
        config = opened.read("config.json")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile says itself that the name is taken
        with zipfile.ZipFile(path, "a") as opened:
            opened.writestr("config.json", config)
    return path


@bad("KMR505")
def python_beside(folder: Path) -> Path:
    """Code that Keras doesn't write."""
    return archive(folder, more={"keras_hub.py": b"open('canary', 'w')"})


@bad("KMR505")
def member_leads_out(folder: Path) -> Path:
    """Unpacking puts it elsewhere."""
    return archive(folder, more={"assets/../../canary": b""})


@bad("KMR505")
def link_as_member(folder: Path) -> Path:
    """Unpacking makes a link, and the next member writes through it."""
    path = archive(folder)
    info = zipfile.ZipInfo("assets/link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a") as opened:
        opened.writestr(info, "/tmp")
    return path


@bad("KMR505")
def something_before(folder: Path) -> Path:
    """A zip is read from its end, other formats from their beginning."""
    path = archive(folder)
    path.write_bytes(b"PK\x03\x04" + b"\0" * 60 + path.read_bytes())
    return path


@bad("KMR505")
def something_behind(folder: Path) -> Path:
    """And the other way round."""
    path = archive(folder)
    with zipfile.ZipFile(path, "a") as opened:
        opened.comment = b"#!/bin/sh"
    return path


@bad("KMR504")
def unpacks_to_much(folder: Path) -> Path:
    """A thousandfold."""
    path = archive(folder)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("assets/big", b"\0" * (1 << 26))
    return path


def _weights(change: Callable[[h5py.File], None]) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        def edit(path: Path) -> None:
            with h5py.File(path, "a") as file:
                change(file)

        return archive(folder, weights=edit)

    return build


def _replace(file: h5py.File, make: Callable[[h5py.Group, str], None]) -> None:
    group = file["layers/dense/vars"] if "layers/dense/vars" in file else _first_vars(file)
    name = next(iter(group))
    del group[name]
    make(group, name)


def _groups(group: h5py.Group) -> list[h5py.Group]:
    found: list[h5py.Group] = []
    group.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Group) else None)
    return found


def _is_data(item: Any) -> bool:
    return isinstance(item, h5py.Dataset)


def _first_vars(file: h5py.File) -> h5py.Group:
    found: list[h5py.Group] = []
    file.visititems(lambda name, item: found.append(item) if name.endswith("vars") and len(item) else None)
    return found[0]


def _virtual(group: h5py.Group, name: str) -> None:
    layout = h5py.VirtualLayout((4,), dtype="f4")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "data", (4,))
    group.create_virtual_dataset(name, layout)


def _plugin(group: h5py.Group, name: str) -> None:
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((4,))
    plan.set_filter(32015, h5py.h5z.FLAG_OPTIONAL)
    space = h5py.h5s.create_simple((4,))
    h5py.h5d.create(group.id, name.encode(), h5py.h5t.NATIVE_FLOAT, space, plan).write(
        h5py.h5s.ALL, h5py.h5s.ALL, np.ones(4, "f4")
    )


def _many_claims(group: h5py.Group, _: str) -> None:
    for number in range(30):
        group.create_dataset(f"claim{number}", (1 << 22,), "f4", chunks=(1024,))


for _case, _rule, _make in (
    ("many_that_claim_little", "KMR504", _many_claims),
    ("texts_for_weights", "KMR505",
     lambda group, name: group.create_dataset(name, data=["x" * 999] * 9, dtype=h5py.string_dtype())),
    ("lists_for_weights", "KMR505", lambda group, name: group.create_dataset(name, (9,), h5py.vlen_dtype("f4"))),
    ("references_for_weights", "KMR505", lambda group, name: group.create_dataset(name, (9,), h5py.ref_dtype)),
    ("external_link", "KMR502", lambda group, name: group.__setitem__(name, h5py.ExternalLink("/etc/passwd", "/data"))),
    ("soft_link", "KMR505", lambda group, name: group.__setitem__(name, h5py.SoftLink("/layers"))),
    ("external_storage", "KMR502",
     lambda group, name: group.create_dataset(name, (4,), "u1", external=[("/etc/passwd", 0, 4)])),
    ("virtual_data_set", "KMR502", _virtual),
    ("claims_much", "KMR504", lambda group, name: group.create_dataset(name, (10**10,), "f4", chunks=(1024,))),
    ("filter_of_a_library", "KMR501", _plugin),
):  # fmt: skip

    @bad(_rule, _case)
    def _(folder: Path, make: Callable[[h5py.Group, str], None] = _make) -> Path:
        return _weights(lambda file: _replace(file, make))(folder)

    @bad(_rule, f"{_case}_in_hdf5")
    def _(folder: Path, make: Callable[[h5py.Group, str], None] = _make) -> Path:
        path = folder / "model.h5"
        shutil.copy(SAMPLES / "digits.h5", path)
        with h5py.File(path, "a") as file:
            group = next(one for one in _groups(file["model_weights"]) if any(_is_data(one[name]) for name in one))
            name = next(name for name in group if _is_data(group[name]))
            del group[name]
            make(group, name)
        return path


def _old(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        path = folder / "model.h5"
        shutil.copy(SAMPLES / "digits.h5", path)
        with h5py.File(path, "a") as file:
            config = json.loads(file.attrs["model_config"])
            change(config)
            file.attrs["model_config"] = json.dumps(config)
        return path

    return build


bad("KMR504", "units_beyond_all_weights_in_hdf5")(_old(_units(10**7)))
bad("KMR501", "lambda_in_hdf5")(_old(_instead("Lambda", None, function=["4wEAAAA" + "A" * 80, None, None])))
bad("KMR506", "layer_of_nobody_in_hdf5")(_old(_instead("MyLayer", None)))
bad("KMR506", "function_of_nobody_in_hdf5")(
    _old(_instead("Lambda", None, function="system", function_type="function", output_shape_type="raw"))
)
bad("KMR502", "slice_that_writes_in_hdf5")(_old(_instead("SlicingOpLambda", None, function="io.write_file")))
bad("KMR502", "write_file_in_hdf5")(_old(_instead("TFOpLambda", None, function="io.write_file")))
bad("KMR501", "method_by_name_in_hdf5")(_old(_instead("InstanceMethod", None, method_name="numpy")))


def trained(entry: dict[str, Any]) -> Callable[[Path], Path]:
    """A file whose other config, of losses and metrics, names something."""

    def build(folder: Path) -> Path:
        path = folder / "model.h5"
        shutil.copy(SAMPLES / "digits.h5", path)
        with h5py.File(path, "a") as file:
            file.attrs["training_config"] = json.dumps(
                {"optimizer_config": {"class_name": "Adam", "config": {}}, **entry}
            )
        return path

    return build


_CODE_OF_A_LAMBDA = {"class_name": "__lambda__", "config": {"value": ["4wEAAAA" + "A" * 80, None, None]}}
_DOWNLOAD = {"module": "keras.utils", "class_name": "get_file", "config": {"origin": "http://localhost/canary"}}
bad("KMR501", "lambda_as_a_loss_in_hdf5")(trained({"loss": _CODE_OF_A_LAMBDA}))
bad("KMR503", "download_as_a_metric_in_hdf5")(trained({"loss": "mse", "metrics": [[_DOWNLOAD]]}))


def _cell(kind: str, argument: str) -> Callable[[dict[str, Any]], None]:
    """A cell of a recurrent layer in a wrapper that calls a function, given as its code."""
    code = {argument: ["4wEAAAA" + "A" * 80, None, None], f"{argument}_type": "lambda", f"{argument}_module": "os"}
    cell = {"class_name": "LSTMCell", "config": {"units": 4}}
    return _instead("RNN", None, cell={"class_name": kind, "config": {"cell": cell, **code}})


bad("KMR501", "lambda_of_a_residual_cell")(_old(_cell("ResidualWrapper", "residual_fn")))
bad("KMR501", "lambda_of_a_dropout_cell")(_old(_cell("DropoutWrapper", "dropout_fn")))


def _operation(name: str, *, text: bool) -> Callable[[dict[str, Any]], None]:
    """What TensorFlow 2.0 to 2.3 made of a function of TensorFlow in a model: a layer that holds its operation."""
    node = {"op": name, "name": "bad", "input": ["a", "b"]}
    proto = f"\n\x03bad\x12{chr(len(name))}{name}\x1a\x01a\x1a\x01b"
    constants = {"0": "/tmp/canary", "1": "x"}
    return _instead("TensorFlowOpLayer", None, node_def=proto if text else node, constants=constants)


bad("KMR502", "operation_that_writes")(_old(_operation("WriteFile", text=False)))
bad("KMR502", "operation_that_writes_as_bytes")(_old(_operation("WriteFile", text=True)))
bad("KMR502", "operation_that_restores")(_old(_operation("RestoreV2", text=False)))
bad("KMR502", "operation_that_reads_a_vocabulary")(_old(_operation("InitializeTableFromTextFileV2", text=False)))
bad("KMR501", "operation_that_calls_python")(_old(_operation("PyFunc", text=True)))
bad("KMR501", "operation_of_nobody")(_old(_operation("Launch", text=False)))
bad("KMR501", "operation_that_nobody_can_read")(_old(_instead("TensorFlowOpLayer", None, node_def="\x00\xff")))
