"""Names that records had before, kept for one release."""

from __future__ import annotations

import warnings
from typing import Any


def deprecated(old: str, new: str) -> Any:
    """A property that reads ``new``, and warns that ``old`` goes away."""

    def read(self: object) -> Any:
        name = type(self).__name__
        warnings.warn(
            f"{name}.{old} is now {name}.{new}, and will be removed in the next release",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(self, new)

    return property(read, doc=f"Deprecated: see ``{new}``.")
