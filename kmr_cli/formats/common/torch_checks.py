"""What torch checks only where it is asked to."""

from __future__ import annotations

from kmr_cli.formats.common.frameworks import require


def require_checked_torch(extra: str) -> None:
    """Import torch, and have it check the indices of sparse tensors, which a file may give: it reads and writes there.

    For processes of our own alone: the setting is that of the whole process.

    Raises:
        MissingFrameworkError, LimitError: as for ``require``.
    """
    require("torch", extra).sparse.check_sparse_tensor_invariants.enable()
