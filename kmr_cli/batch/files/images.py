"""Images, read by Pillow: each is a sample of one input, in the size, channels and layout that the model takes.

Nothing is changed that nobody asked for: an image of another size is an error, and what becomes of colours is said.
"""

from __future__ import annotations

import contextlib
import os
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kmr_cli.batch.files import IMAGES
from kmr_cli.batch.files.source import library, refuse_large, some
from kmr_cli.batch.fit import declared_shape
from kmr_cli.batch.given_input import GivenInput, Notice
from kmr_cli.batch.words import show_shape
from kmr_cli.config.reading import IMAGENET, Reading, Size
from kmr_cli.errors import BatchError
from kmr_cli.formats.common.frameworks import first_line
from kmr_cli.records import TensorSpec

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_COLOURS = {"L": "grey", "LA": "grey with transparency", "RGB": "RGB", "RGBA": "RGB with transparency"}
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_ORIENTATION = 0x0112
_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error, IndexError, TypeError)


class _Wanted(NamedTuple):
    """What an input takes of each image; None where it takes any."""

    height: int | None
    width: int | None
    channels: int | None
    channels_first: bool
    axis: bool
    """There is an axis of channels."""


def images(name: str | None, places: Sequence[Path], reading: Reading, *, channels_first: bool) -> GivenInput:
    """See :func:`kmr_cli.batch.files.read_images`."""
    files: list[Path] = []
    for place in places:
        files.extend(images_in(place) if place.is_dir() else [place])
    files = files[reading.chosen.within(len(files), _told(places))]
    library("PIL.Image", files[0])
    inside = {file.parent for file in files} - {place if place.is_dir() else place.parent for place in places}
    others = [other for place in places if place.is_dir() for other in _others_in(place)]
    maker = _Maker(files, _told(places), reading, channels_first=channels_first, folders=len(inside), others=others)
    return GivenInput(name, _told(places), maker)


def images_in(folder: Path) -> list[Path]:
    """The images of a folder, in the order of their names; where it has none, those of the folders in it, one a class.

    These come in the order of their paths; hidden folders, and links to folders, are left out.

    Raises:
        BatchError: it holds none.
    """
    found: list[Path] = []
    for here, folders, files in os.walk(folder, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = (Path(here, name) for name in sorted(files))
        found.extend(path for path in paths if path.suffix.lower() in IMAGES and path.is_file())
        if found and Path(here) == folder:
            break
    if not found:
        raise BatchError(f"{folder}: a folder without images", "give a file, or a folder of .png or .jpg files")
    return found


def _others_in(folder: Path) -> list[str]:
    """The names of the files in a folder that are no images; hidden ones are not worth a word."""
    files = (file.name for file in folder.iterdir() if file.is_file() and file.suffix.lower() not in IMAGES)
    return sorted(name for name in files if not name.startswith("."))


def _unreadable(exc: OSError) -> None:
    raise BatchError(f"{exc.filename}: cannot be read ({exc.strerror})") from exc


def _told(places: Sequence[Path]) -> str:
    return str(places[0]) if len(places) == 1 else f"{places[0]} and {len(places) - 1} more"


class _Maker:
    """Reads the images for an input."""

    def __init__(
        self,
        files: list[Path],
        label: str,
        reading: Reading,
        *,
        channels_first: bool,
        folders: int = 0,
        others: Sequence[str] = (),
    ) -> None:
        self._files, self._label, self._reading, self._channels_first = files, label, reading, channels_first
        self._folders, self._others = folders, others

    def __call__(self, spec: TensorSpec, notice: Notice) -> np.ndarray:
        wanted = _wanted(spec, channels_first=self._channels_first)
        said: Counter[str] = Counter()
        arrays: list[np.ndarray] = []
        for file in self._files:
            array = self._read(file, wanted, spec, said)
            if arrays and array.shape != arrays[0].shape:
                raise _other_size(file, array, self._files[0], arrays[0])
            arrays.append(array)
            if len(arrays) == 1:
                refuse_large(array.nbytes * 4 * len(self._files), self._label)
        if self._folders:
            where = "a folder" if self._folders == 1 else f"{self._folders} folders"
            notice(f"{self._label}: {len(self._files)} images, those of {where} in it, in the order of their paths")
        if self._others:
            what = "isn't an image" if len(self._others) == 1 else "aren't images"
            notice(f"{self._label}: left out {some(self._others)}, which {what}")
        for what, number in said.items():
            many = f"{number} of {len(self._files)} " if len(self._files) > 1 else ""
            notice(f"{self._label}: {many}{what}")
        batch = self._scaled(np.stack(arrays), spec, notice)
        if wanted.axis and wanted.channels_first:
            batch = np.ascontiguousarray(np.moveaxis(batch, -1, 1))
        if not wanted.axis:
            batch = batch[..., 0]
        if spec.shape is None or spec.dtype is None or spec.presumed:
            float_ = "" if batch.dtype.kind == "f" else "; --scale 0:1 makes them float32"
            shape = show_shape((None, *batch.shape[1:]))
            notice(f"{self._label}: given to input {spec.name!r} as {shape} {batch.dtype}{float_}")
        return batch

    def _read(self, file: Path, wanted: _Wanted, spec: TensorSpec, said: Counter[str]) -> np.ndarray:
        """One image: height, width, channels."""
        image = _open(file)
        if _rotated(image):
            said["is stored turned, which EXIF tells and is not undone"] += 1
        was, image = image.mode, _converted(image, wanted.channels, file)
        if was != image.mode and (was in _COLOURS or was not in ("1", "P", "PA")):
            what = f"converted from {_COLOURS.get(was, was)} to {_COLOURS.get(image.mode, image.mode)}"
            said[what] += 1
        size = self._reading.size
        if size is not None and (image.height, image.width) != size[:2]:
            how = "cut and resized" if size.crop else "stretched"
            what = f"{how} from {image.height}x{image.width} to {size}"
            said[what] += 1
            image = _resized(image, size)
        for have, want in ((image.height, wanted.height), (image.width, wanted.width)):
            if want is not None and have != want:
                raise _wrong_size(file, image, wanted, spec, size)
        array = np.asarray(image)
        return array[..., None] if array.ndim == 2 else array

    def _scaled(self, batch: np.ndarray, spec: TensorSpec, notice: Notice) -> np.ndarray:
        reading = self._reading
        integers = spec.dtype is not None and "int" in spec.dtype
        if reading.scale is None:
            if spec.dtype in ("float16", "float32", "float64", "bfloat16"):
                if batch.dtype.kind == "u":
                    most = np.iinfo(batch.dtype).max
                    notice(f"{self._label}: the values are 0 to {most}, as stored; --scale 0:1 maps them to 0 to 1")
                return batch.astype(spec.dtype)
            return batch
        if integers or batch.dtype.kind != "u":
            why = f"input {spec.name!r} takes {spec.dtype}" if integers else f"its values are {batch.dtype}"
            raise BatchError(f"{self._label}: cannot be scaled: {why}", "leave out --scale")
        unit = batch.astype(np.float32) / np.float32(np.iinfo(batch.dtype).max)
        if reading.scale == IMAGENET:
            if unit.shape[-1] != len(_MEAN):
                raise BatchError(
                    f"{self._label}: not three channels, for which alone {IMAGENET} stands",
                    "--scale 0:1 takes any number of channels",
                )
            normal: np.ndarray = (unit - np.asarray(_MEAN, np.float32)) / np.asarray(_DEVIATION, np.float32)
            return normal
        assert reading.ends is not None
        low, high = map(np.float32, reading.ends)
        return unit if reading.ends == (0, 1) else np.asarray(low + (high - low) * unit)


def _wanted(spec: TensorSpec, *, channels_first: bool) -> _Wanted:
    """What an input takes.

    Raises:
        BatchError: no image can be that.
    """
    shape = declared_shape(spec, 4)
    if shape is None:
        return _Wanted(None, None, None, channels_first, axis=True)
    if len(shape) == 3:
        return _Wanted(shape[1], shape[2], 1, channels_first=False, axis=False)
    if len(shape) == 4:
        layouts = {True: (shape[2], shape[3], shape[1]), False: (shape[1], shape[2], shape[3])}
        fitting = [first for first, (_, _, channels) in layouts.items() if channels in _MODES]
        if not fitting:
            fitting = [first for first, (_, _, channels) in layouts.items() if channels is None]
        if fitting:
            first = channels_first if len(fitting) == 2 else fitting[0]
            return _Wanted(*layouts[first], channels_first=first, axis=True)
    raise BatchError(
        f"input {spec.name!r}: takes {show_shape(spec.shape)}, which an image cannot be",
        "make the array in Python: --input-from MODULE:FUNCTION, or --input FILE.npy",
    )


def _open(file: Path) -> Any:
    """The image, decoded.

    Raises:
        BatchError: it cannot be.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with file.open("rb") as content:
                image = Image.open(content, formats=_FORMATS)
                if (number := getattr(image, "n_frames", 1)) > 1:
                    raise BatchError(f"{file}: holds {number} images, where one is a sample", "save one of them")
                image.load()
            return image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise BatchError(
            f"{file}: has more pixels than an image of a sample should ({Image.MAX_IMAGE_PIXELS:,} at most)",
            "make it smaller first",
        ) from exc
    except MemoryError as exc:
        raise BatchError(f"{file}: doesn't fit into memory") from exc
    except _UNREADABLE as exc:
        why = "" if type(exc).__name__ == "UnidentifiedImageError" else f" ({first_line(exc)})"  # tells of a handle
        raise BatchError(f"{file}: damaged, or no image{why}") from exc


def _rotated(image: Any) -> bool:
    with contextlib.suppress(*_UNREADABLE):
        return image.getexif().get(_ORIENTATION, 1) not in (0, 1)
    return False


def _converted(image: Any, channels: int | None, file: Path) -> Any:
    """With as many channels as are wanted; without a wish, those that it has."""
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode in ("P", "PA"):
        image = image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    deep = image.mode in ("I", "F") or image.mode.startswith("I;16")
    if deep and channels in (None, 1):
        return image
    if deep:
        raise BatchError(
            f"{file}: one channel of more than 8 bits ({image.mode}), where {channels} channels are wanted"
        )
    mode = _MODES[channels] if channels is not None else image.mode if image.mode in _COLOURS else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _resized(image: Any, size: Size) -> Any:
    from PIL import Image, ImageOps

    to = (size.width, size.height)
    if size.crop:
        return ImageOps.fit(image, to, Image.Resampling.BILINEAR)
    return image.resize(to, Image.Resampling.BILINEAR)


def _wrong_size(file: Path, image: Any, wanted: _Wanted, spec: TensorSpec, size: Size | None) -> BatchError:
    takes = "x".join("any" if one is None else str(one) for one in (wanted.height, wanted.width))
    to = "x".join(str(want or have) for want, have in ((wanted.height, image.height), (wanted.width, image.width)))
    if size is not None:
        return BatchError(f"input {spec.name!r} takes {takes} (height x width), not {size}", f"--resize {to}")
    return BatchError(
        f"{file}: {image.height}x{image.width} (height x width), but input {spec.name!r} takes {takes}",
        f"--resize {to} stretches it, --resize {to}:crop keeps its proportions",
    )


def _other_size(file: Path, array: np.ndarray, first: Path, other: np.ndarray) -> BatchError:
    if array.shape[2] != other.shape[2]:
        return BatchError(f"{file}: has {array.shape[2]} channels, and {first} has {other.shape[2]}")
    return BatchError(
        f"{file}: {array.shape[0]}x{array.shape[1]} (height x width), and {first} {other.shape[0]}x{other.shape[1]}",
        "--resize HEIGHTxWIDTH makes them the same size",
    )
