"""What names tell: that of an input, of what it holds. And names of layers as keys in a file."""

from __future__ import annotations

import re
from urllib.parse import quote

_MASK = re.compile(r"mask|(^|[_./])(valid|pad|padding|is_pad)($|[_./:])", re.IGNORECASE)
_LENGTHS = re.compile(
    r"len(s|gth|gths)?($|[_./:\d])|(^|[_./])(frame|step|token|word)_?counts?($|[_./:])", re.IGNORECASE
)
_IDS = re.compile(r"(^|[_./])(input_?)?(ids|tokens?|words)($|[_./:\d])", re.IGNORECASE)
_OTHER = re.compile(r"type|segment|label|target", re.IGNORECASE)
_OF_MASKS = frozenset(
    {"mask", "masks", "attention", "attn", "key", "pad", "padding", "valid", "is", "not", "input", "inputs"}
)


def tells_mask_by_name(name: str) -> bool:
    """``attention_mask``, ``valid``; but not ``masked_labels``."""
    return bool(_MASK.search(name)) and not tells_other_by_name(name)


def speaks_of_padding(name: str) -> bool:
    """``key_padding_mask``, ``is_pad``: True stands for padding in torch, and for what counts elsewhere."""
    return "pad" in name.lower()


def tells_lengths_by_name(name: str) -> bool:
    """``lengths``, ``src_len``, ``frame_count``."""
    return bool(_LENGTHS.search(name)) and not tells_other_by_name(name)


def names_of(mask: str) -> frozenset[str]:
    """What a mask's name speaks of besides masks: ``memory`` of ``memory_key_padding_mask``."""
    words = frozenset(re.split(r"[^a-z0-9]+", mask.lower())) - {""}
    return words if _OF_MASKS.isdisjoint(words) else words - _OF_MASKS


def tells_ids_by_name(name: str) -> bool:
    """``input_ids``, ``tokens``."""
    return bool(_IDS.search(name))


def tells_other_by_name(name: str) -> bool:
    """``token_type_ids``, ``segments``, ``labels``: what may look like a mask, and is none."""
    return bool(_OTHER.search(name))


def names_of_splits(values: str) -> tuple[str, ...]:
    """What the row splits of a ragged input may be called whose values are: of ``steps_2`` it is ``steps_3``."""
    stem, _, number = values.rpartition("_")
    following = (f"{stem}_{int(number) + 1}",) if stem and number.isdecimal() else ()
    stem = values.removesuffix(".values")
    return f"{values}_1", f"{stem}.row_splits", f"{stem}_row_splits", *following


def for_key(layer: str, call: int) -> str:
    """A key for one call of a layer that can be an archive member or an HDF5 group: ``tower%2Fconv1#0``.

    The layer's name is percent-encoded, so it never makes a path; ``urllib.parse.unquote`` gives it back.
    """
    return f"{_quoted(layer)}#{call}"


def _quoted(name: str) -> str:
    text = quote(name, safe="", errors="surrogatepass")
    return text.replace(".", "%2E") if set(text) <= {"."} else text
