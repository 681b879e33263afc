"""Fetch a headless Chromium and axe-core, which tests/browser run the pages in, from the npm registry.

No browser has to be installed, and nothing is installed outside the folder: the packages are unpacked there, and none
of their scripts is run. Usage: python scripts/fetch_browser.py FOLDER
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from xml.sax.saxutils import escape

import brotli

CHROMIUM = "@sparticuz/chromium@147.0.0"
AXE = "axe-core@4.14.1"
_PARTS = ("chromium", "al2023.tar", "fonts.tar", "swiftshader.tar")
"""The program, the libraries that a small machine lacks, a font, and what draws without a graphics card."""
_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{0}/fonts</dir><dir>/usr/share/fonts</dir><cachedir>{0}/fonts-cache</cachedir></fontconfig>
"""


def main(folder: Path) -> None:
    """Fill the folder, anew."""
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("make browser needs npm (Node.js), which fetches Chromium; no other target does")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as temporary:
        for package in (CHROMIUM, AXE):
            subprocess.run([npm, "pack", "--silent", package], cwd=temporary, check=True, stdout=subprocess.DEVNULL)
        chromium, axe = (next(Path(temporary).glob(f"*{word}*.tgz")) for word in ("chromium", "axe"))
        with tarfile.open(chromium) as archive:
            for part in _PARTS:
                _put(part, brotli.decompress(_member(archive, f"package/bin/{part}.br")), folder)
        with tarfile.open(axe) as archive:
            (folder / "axe.min.js").write_bytes(_member(archive, "package/axe.min.js"))
    (folder / "fonts.conf").write_text(_FONTS.format(escape(str(folder.resolve()))))


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


def _put(part: str, content: bytes, folder: Path) -> None:
    if part.endswith(".tar"):
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(folder, filter="data")
        return
    place = folder / part
    place.write_bytes(content)
    place.chmod(0o755)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
