"""Sessions of onnxruntime, all with the same settings: nothing is optimised away, and nothing depends on chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from kmr_cli.errors import ModelLoadError
from kmr_cli.formats.common.frameworks import import_user_modules, require
from kmr_cli.formats.onnx.describe import external, messages
from kmr_cli.formats.onnx.describe.graph import Graph
from kmr_cli.formats.onnx.run import failures

EXTRA = "onnx"
_LIBRARY_SUFFIXES = (".so", ".dylib", ".dll")
_FATAL = 4
"""Severity of what onnxruntime logs: its errors reach us as exceptions."""


class Runtime:
    """onnxruntime, with libraries of custom operators.

    Optimisation is off: with it on, a value that is observed can change others in their last bits. So is threading:
    sums come out in one order.

    Args:
        path: the model's file, for messages and for weights beside it.
        imports: Python modules to import first. One that has a ``get_library_path`` (onnxruntime_extensions) brings
            a library of custom operators; a path of such a library can stand here as well.
        graph: the model's, for messages.
        links: names of files of weights -> those that they have beside the file that the model's name is a link to.

    Raises:
        MissingFrameworkError: onnxruntime is not installed.
        ModelLoadError: a module or library cannot be loaded.
    """

    def __init__(self, path: Path, imports: Sequence[str], graph: Graph, links: Mapping[str, str]) -> None:
        self._path, self._graph, self._links = path, graph, links
        self._ort: ModuleType = require("onnxruntime", EXTRA)
        libraries = [name for name in imports if name.endswith(_LIBRARY_SUFFIXES)]
        modules = [name for name in imports if name not in libraries]
        import_user_modules(modules)
        self._libraries = libraries + [found for name in modules if (found := _library_of(name)) is not None]
        self._check_libraries()

    def session(self, model: bytes, weights: Mapping[str, Any] | None = None) -> Any:
        """An ``InferenceSession`` on a serialized model.

        Args:
            model: its bytes.
            weights: what takes the place of the content of initializers; has to outlive the session.

        Raises:
            ModelLoadError, ModelFileError: onnxruntime refuses it.
        """
        options = self._options()
        for name, value in (weights or {}).items():
            options.add_initializer(name, value)
        if self._links:
            model = self._relinked(model)
        try:
            return self._ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise failures.while_loading(self._path.name, error, self._graph) from error

    def value(self, array: Any, number: int) -> Any:
        """An ``OrtValue`` of a dtype that NumPy does not have, by ONNX's number."""
        return self._ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array, number)

    def plain_value(self, array: Any) -> Any:
        """An ``OrtValue``."""
        return self._ort.OrtValue.ortvalue_from_numpy(array)

    def _relinked(self, model: bytes) -> bytes:
        """A model that names its weights as onnxruntime wants them: without links that lead out of the folder."""
        message = messages.ModelProto.FromString(model)
        for tensor in external.all_tensors(message):
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = self._links.get(entry.value, entry.value)
        changed: bytes = message.SerializeToString()
        return changed

    def _options(self) -> Any:
        options = self._ort.SessionOptions()
        options.graph_optimization_level = self._ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.execution_mode = self._ort.ExecutionMode.ORT_SEQUENTIAL
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = _FATAL
        folder = str(self._path.resolve().parent)
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
        for library in self._libraries:
            options.register_custom_ops_library(library)
        return options

    def _check_libraries(self) -> None:
        for library in self._libraries:
            try:
                self._ort.SessionOptions().register_custom_ops_library(library)
            except Exception as error:
                raise ModelLoadError(
                    f"--import {library}: it cannot be loaded as a library of custom operators "
                    f"({failures.meaningful_line(error)})"
                ) from error


def _library_of(module: str) -> str | None:
    import sys

    find = getattr(sys.modules.get(module), "get_library_path", None)
    return str(find()) if callable(find) else None
