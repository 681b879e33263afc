"""What in a model file could do harm, told without loading it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from kmr_cli.api.grounds import Digests
from kmr_cli.api.versions import versions_of
from kmr_cli.config.limits import NONE, Limits
from kmr_cli.config.policy import rules_of
from kmr_cli.formats.files import Seen, inside
from kmr_cli.process.place import Apart
from kmr_cli.records import Grounds, ScanReport


def scan_model(
    path: str | os.PathLike[str], *, fork: bool = True, debug: bool = False, limits: Limits = NONE
) -> ScanReport:
    """Look for what loading or running a model file could do beside computing: rules KMR501 and up.

    The file's bytes are read in a child process; no framework is imported, and nothing that the file names. A pass
    means that nothing known to be dangerous was found.

    Args:
        path: a model file, or a pickle as ``torch.save`` writes it.
        fork: fork the child where that is possible.
        debug: let the child's errors through.
        limits: what the child may take.

    Raises:
        ModelFileError: nothing there, nothing that is a model, or a damaged one; or it changed meanwhile.
        KmrError: a format that cannot be scanned.
    """
    place = Path(path)
    seen = Seen(place)
    files = dict(sorted(inside(place))) if place.is_dir() else {place.name: place}
    apart = Apart(fork=fork, debug=debug, limits=limits)
    try:
        found: ScanReport = apart.run("scan", {"path": str(place)}, lambda _kind, _text: None)
    finally:
        apart.close()
    with Digests({"model": files}) as digests:  # a thread, beside which no child can be forked
        model = digests.of("model")
    seen.refuse_changed()
    return replace(found, grounds=Grounds(model=model, rules=rules_of("scan"), versions=versions_of()))
