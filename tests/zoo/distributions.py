"""Distributions as an installer leaves them: a folder with modules and metadata, to be put on PYTHONPATH."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from zoo import toy_format


def install(home: Path, name: str, entry: str, modules: dict[str, str] | None = None) -> Path:
    """Install a distribution of version 1.0 that registers one format.

    Args:
        home: the folder that stands for site-packages.
        name: of the distribution.
        entry: the line of its entry point, ``toy = kmr_toy_format``.
        modules: source text by module name.
    """
    metadata = home / f"{name.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[kmr_inspect.formats]\n{entry}\n")
    for module, text in (modules or {}).items():
        (home / f"{module}.py").write_text(text)
    return home


def install_toy(home: Path) -> Path:
    """Install the toy format: its one folder, and its one registered name."""
    folder = Path(toy_format.__file__).parent
    shutil.copytree(folder, home / "kmr_toy_format", ignore=shutil.ignore_patterns("__pycache__"))
    return install(home, "kmr-toy", "toy = kmr_toy_format")


def environment(home: Path) -> dict[str, str]:
    """Of a process in which what is installed there can be imported."""
    return {**os.environ, "PYTHONPATH": str(home)}
