"""Large weights, read once into memory that all graphs of a model share.

In a serialized graph such a weight says where its elements stand in the model's file, as one does whose elements are in
a file of their own; onnxruntime is given the memory, and reads nothing there. As part of the graph they would be in
memory three times: there, in what onnxruntime parses it into, and in the tensors that it makes of that.
"""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.common.aligned import aligned_empty
from kmr_cli.formats.onnx.describe import messages, types, wire
from kmr_cli.formats.onnx.describe.analysis import Analysis
from kmr_cli.formats.onnx.run.rewrite import is_large
from kmr_cli.formats.onnx.run.runtime import Runtime

_RAW_DATA = 9
"""The field of TensorProto that holds elements as they are in memory."""
_IN_A_FILE = 1
"""TensorProto.DataLocation.EXTERNAL."""


class LargeWeights:
    """The weights of a file whose elements were left out when it was read, as far as they stand there as in memory.

    Args:
        analysis: of the file.
        runtime: that makes values of them.
    """

    def __init__(self, analysis: Analysis, runtime: Runtime) -> None:
        self._analysis, self._runtime = analysis, runtime
        self._path = analysis.path.resolve()
        self._places: dict[str, tuple[int, int] | None] = {}
        self._values: dict[str, Any] = {}

    def places(self, names: Iterable[str]) -> Mapping[str, bytes]:
        """Serialized TensorProtos that say where the elements stand, of those of these initializers that are such.

        Raises:
            ModelFileError: the file cannot be read any more.
        """
        if sys.byteorder != "little" or not self._path.name.isascii():
            return {}
        new = [name for name in names if name not in self._places]
        if new:
            with self._opened() as file:
                data = wire.FileBytes(file)
                self._places.update((name, self._place(data, name)) for name in new)
        found = {name: place for name in names if (place := self._places[name]) is not None}
        return {name: self._reference(name, *place) for name, place in found.items()}

    def values(self, names: Iterable[str]) -> Mapping[str, Any]:
        """An ``OrtValue`` of each, for names that :meth:`places` knows; they have to outlive the sessions.

        Raises:
            ModelFileError: the file cannot be read any more, became shorter, or its weights do not fit into memory.
        """
        new = [name for name in names if name not in self._values]
        if new:
            with self._opened() as file:
                for name in new:
                    self._values[name] = self._runtime.plain_value(self._read(file, name))
        return {name: self._values[name] for name in names}

    def close(self) -> None:
        """Free them; no session that was given them may be left."""
        self._values.clear()

    @contextmanager
    def _opened(self) -> Iterator[io.BufferedReader]:
        name = self._analysis.path.name
        try:
            with self._path.open("rb") as file:
                yield file
        except OSError as error:
            raise ModelFileError(f"{name}: it cannot be read any more ({error.strerror})") from error
        except wire.WireError as error:
            raise ModelFileError(f"{name}: the file was changed while it was open") from error
        except MemoryError as error:
            raise ModelFileError(f"{name}: its weights do not fit into memory") from error

    def _place(self, data: wire.FileBytes, name: str) -> tuple[int, int] | None:
        """Where the elements of an initializer stand, from and to; None where they don't, or not as in memory."""
        message = self._analysis.graph.initializers[name]
        dtype = _dtype(message)
        if not is_large(self._analysis, name) or name not in self._analysis.source.places or dtype is None:
            return None
        raw = [field for field in wire.fields(data, *self._analysis.source.places[name]) if field.number == _RAW_DATA]
        if len(raw) != 1 or raw[0].end - raw[0].value != math.prod(message.dims) * dtype.itemsize:
            return None
        return raw[0].value, raw[0].end

    def _reference(self, name: str, start: int, end: int) -> bytes:
        message = messages.TensorProto()
        message.CopyFrom(self._analysis.graph.initializers[name])
        message.data_location = _IN_A_FILE
        for key, value in (("location", self._path.name), ("offset", str(start)), ("length", str(end - start))):
            message.external_data.add(key=key, value=value)
        reference: bytes = message.SerializeToString()
        return reference

    def _read(self, file: io.BufferedReader, name: str) -> np.ndarray:
        place, message = self._places[name], self._analysis.graph.initializers[name]
        dtype = _dtype(message)
        assert place is not None
        assert dtype is not None
        array = aligned_empty(tuple(message.dims), dtype)
        file.seek(place[0])
        if file.readinto(array.reshape(-1).view(np.uint8).data) < array.nbytes:
            raise wire.WireError("the file became shorter")
        return array


def _dtype(message: Any) -> np.dtype | None:
    """NumPy's, where it has one that is stored as it is in memory."""
    name = types.dtype_name(message.data_type)
    plain = name in types.INTEGERS or name in ("float16", "float32", "float64", "bool")
    return np.dtype(name) if plain else None
