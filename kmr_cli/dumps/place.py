"""What stands where a dump is to be written: nothing, the same dump begun, or what must not be touched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from kmr_cli.dumps.about import About
from kmr_cli.dumps.store import Store
from kmr_cli.errors import OutputError
from kmr_cli.formats.common.frameworks import first_line
from kmr_cli.process.scratch import TEMPORARY, remove_orphans
from kmr_cli.process.writing import refuse_folder
from kmr_cli.records import DumpedValue

KINDS = {".zarr": "kmr_cli.dumps.zarr", ".h5": "kmr_cli.dumps.hdf5", ".hdf5": "kmr_cli.dumps.hdf5"}
"""What writes a file, by its suffix."""


def reason(exc: OSError) -> str:
    """Why the system refused, in its own words; libhdf5 has a paragraph of them."""
    return os.strerror(exc.errno) if exc.errno else first_line(exc)


class Place:
    """Where a dump goes.

    Args:
        path: as the user gave it.
        overwrite: begin again, whatever dump stands there.

    Raises:
        OutputError: nothing can be written there: another suffix, no folder, or something else than a dump.
    """

    def __init__(self, path: str | Path, *, overwrite: bool = False) -> None:
        self.path = Path(path)
        self._overwrite = overwrite
        suffix = self.path.suffix.lower()
        if suffix not in KINDS:
            raise OutputError(f"{path}: a whole data set is written to a .zarr or an .h5", f"-o {self.path.stem}.zarr")
        self._module: Any = import_module(KINDS[suffix])
        self.divisible = suffix == ".zarr"
        """Whether several machines may write it."""
        refuse_folder(self.path, self.path.parent)
        if os.path.lexists(self.path):
            self._known()

    def _known(self) -> About | None:
        """What the dump that stands there says of itself; None where that is of no interest."""
        try:
            found: About | None = self._module.read_about(self.path)
        except OutputError:
            if self._overwrite:
                return None
            raise
        if found is None or self.path.is_symlink():
            raise OutputError(f"{self.path}: exists already, and is no dump", "give another name")
        return found

    def store(self, about: About, values: Sequence[DumpedValue], names: Sequence[str]) -> Store:
        """Go on with the dump that stands there, or begin one.

        Raises:
            OutputError: the one that stands there is another one, or the system refuses.
        """
        try:
            remove_orphans(self.path.parent, TEMPORARY)
            if os.path.lexists(self.path):
                if not self._overwrite:
                    there = self._known()
                    assert there is not None
                    about.refuse_other(there, str(self.path))
                else:
                    self._remove()
            if not os.path.lexists(self.path):
                self._module.create(self.path, about, values, names)
            found: Store = self._module.open_store(self.path, about, values, names)
        except OSError as exc:
            raise OutputError(f"{self.path}: cannot be written ({reason(exc)})") from exc
        return found

    def _remove(self) -> None:
        """The dump that stands there."""
        if self.path.is_dir():
            shutil.rmtree(self.path)
        else:
            self.path.unlink()
