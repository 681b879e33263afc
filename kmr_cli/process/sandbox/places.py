"""What the process of a model may open: the model, Python, the frameworks, and what of the system these need."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from glob import glob
from pathlib import Path

_SYSTEM = (
    "/usr", "/lib", "/lib32", "/lib64", "/opt", "/nix/store", "/gnu/store", "/sys",
    *(f"/etc/{name}" for name in (
        "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ld.so.preload", "localtime", "timezone", "nsswitch.conf",
        "alternatives", "os-release", "OpenCL", "vulkan", "nvidia",
    )),
    *(f"/proc/{name}" for name in (
        "self", "cpuinfo", "meminfo", "stat", "version", "sys", "filesystems", "driver", "devices", "cgroups",
        "loadavg", "uptime",
    )),
)  # fmt: skip
"""Libraries, and what they ask of the machine; no home, no users, no secrets of services."""
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/kfd", "/dev/dri")
_NAMED = ("LD_LIBRARY_PATH", "CUDA_HOME", "CUDA_PATH", "KERAS_HOME")
"""What the environment says of where libraries and settings are."""


def readable(model: Sequence[Path], *, here: bool) -> Iterator[str]:
    """Files and folders that may be read.

    Args:
        model: its files or its folder, and libraries that the user loads with it.
        here: the current folder too, since the user imports from it.
    """
    yield from _SYSTEM
    yield from (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)
    yield from (sys.executable, str(Path(__file__).parents[2]))
    yield from sys.path
    if sys.pycache_prefix:
        yield sys.pycache_prefix
    for name in _NAMED:
        yield from filter(None, os.environ.get(name, "").split(os.pathsep))
    yield os.path.expanduser("~/.keras")  # noqa: PTH111  (text is all that is needed)
    if here:
        yield str(Path.cwd())
    yield from map(str, model)
    for path in model:
        yield from _blobs(path)


def _blobs(path: Path) -> Iterator[str]:
    """Where the links of a model lead that lies in the cache of Hugging Face; no other link leads out of a folder."""
    for folder in path.absolute().parents:
        if folder.name.startswith("models--"):
            yield str(folder / "blobs")


def devices() -> Iterator[str]:
    """Devices that may be used: those that give nothing away, and graphics processors."""
    yield from _DEVICES
    yield from glob("/dev/nvidia*")  # noqa: PTH207  (text is all that is needed)
