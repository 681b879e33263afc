"""What to say about a path that no format claims: by its first bytes, what it probably is."""

from __future__ import annotations

import difflib
import stat
import zipfile
from pathlib import Path

from kmr_cli.errors import ModelFileError

KNOWN = "a .keras or .h5 file, a SavedModel directory or a TorchScript .pt file"


def refuse_missing(path: Path) -> None:
    """Refuse what is not there, or is neither a regular file nor a directory (a FIFO hangs every loader).

    Raises:
        ModelFileError: with the nearest name in the same folder, if there is one.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise ModelFileError(f"{path}: no such file or directory", _nearest(path)) from None
    except (OSError, ValueError) as exc:  # ValueError: a NUL byte in the name
        raise ModelFileError(f"{path}: {getattr(exc, 'strerror', None) or exc}") from exc
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ModelFileError(f"{path}: neither a regular file nor a directory", f"give {KNOWN}")
    if stat.S_ISREG(mode):
        try:
            with path.open("rb"):
                pass
        except OSError as exc:
            raise ModelFileError(f"{path}: cannot be read ({exc.strerror})") from exc


def diagnose(path: Path) -> ModelFileError:
    """The error for an existing path that no format claims."""
    if path.is_dir():
        return _directory(path)
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        return ModelFileError(f"{path}: the file is empty", "copy or save the model again")
    if head.startswith(b"PK"):
        return _zip(path)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return ModelFileError(
            f"{path}: an HDF5 file, but not a saved Keras model",
            "save the whole model with model.save('model.keras'), not its weights alone",
        )
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return ModelFileError(
            f"{path}: a pickled state dict or model (torch.save), not a TorchScript file",
            "save the model with torch.jit.save(torch.jit.script(model), 'model.pt')",
        )
    if head.startswith(b"\x93NUMPY"):
        return ModelFileError(f"{path}: a NumPy array, not a model", "give arrays with --input")
    if path.suffix == ".pb":
        return ModelFileError(f"{path}: one file of a SavedModel", f"give its directory: {path.parent}")
    if path.suffix == ".onnx":
        return ModelFileError(f"{path}: ONNX models cannot be opened", f"give {KNOWN}")
    return ModelFileError(f"{path}: not a model file ({path.suffix or 'no suffix'}, unknown content)", f"give {KNOWN}")


def _directory(path: Path) -> ModelFileError:
    inside = sorted(child for child in path.iterdir() if (child / "saved_model.pb").is_file())
    if inside:
        return ModelFileError(f"{path}: not a SavedModel itself, but it holds one", f"give {inside[-1]}")
    if (path / "config.json").is_file() and (path / "metadata.json").is_file():
        return ModelFileError(f"{path}: an unpacked .keras archive", "give the .keras file itself")
    return ModelFileError(f"{path}: a directory without saved_model.pb, so not a SavedModel", f"give {KNOWN}")


def _zip(path: Path) -> ModelFileError:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError):  # ValueError: a name that is no UTF-8
        return ModelFileError(
            f"{path}: the archive is cut short or damaged (its table of contents cannot be read)",
            "copy or save the model again",
        )
    if any(name.endswith(("archive_format", "serialized_exported_program.json")) for name in names):
        return ModelFileError(
            f"{path}: written by torch.export, not a TorchScript file",
            "save the model with torch.jit.save(torch.jit.script(model), 'model.pt')",
        )
    if any(name.endswith("data.pkl") for name in names):
        return ModelFileError(
            f"{path}: a pickled state dict or model (torch.save), not a TorchScript file",
            "save the model with torch.jit.save(torch.jit.script(model), 'model.pt')",
        )
    if names and all(name.endswith(".npy") for name in names):
        return ModelFileError(f"{path}: NumPy arrays, not a model", "give arrays with --input")
    return ModelFileError(f"{path}: a zip archive, but neither a .keras model nor TorchScript", f"give {KNOWN}")


def _nearest(path: Path) -> str | None:
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return None
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    return f"did you mean {path.parent / near[0]}?" if near else None
