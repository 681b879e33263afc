"""What comes of holding a certificate against a model: one line for each thing that it states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Standing: TypeAlias = Literal["recomputed", "differs", "note", "stated", "unsigned"]


@dataclass(frozen=True)
class CertificateLine:
    """One statement of a certificate.

    Attributes:
        standing: ``recomputed``: found to be so here and now. ``differs``: found to be otherwise. ``note``: worth
            knowing, and no contradiction. ``stated``: said by the certificate alone. ``unsigned``: only a signature can
            vouch for it.
        text: one line.
    """

    standing: Standing
    text: str
