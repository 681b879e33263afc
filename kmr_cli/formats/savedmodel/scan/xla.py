"""What a program of XLA in a graph calls by name: functions of the process, which XLA keeps under such names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from kmr_cli.records.scan import HazardKind

HARMLESS: Mapping[str, str] = {
    "Sharding": "says how a tensor is split among devices",
    "SPMDFullToShardShape": "the same",
    "SPMDShardToFullShape": "the same",
    "xla.sdy.FuncResultSharding": "the same",
    "xla.sdy.LocalToGlobalShape": "the same",
    "xla.sdy.GlobalToLocalShape": "the same",
    "shape_assertion": "checks a size",
    "dynamic_iota": "computes, as XLA's own operation",
    "tf.call_tf_function": "calls a function of the file, which is looked at where it stands",
    "TopK": "picks the largest values",
    "mhlo.topk": "the same",
    "ApproxTopK": "the same",
    "mhlo.erf": "computes, as an operation of its own",
    "annotate_device_placement": "says where a tensor is kept",
    "LayoutConstraint": "says how a tensor lies in memory",
    "Qr": "takes a matrix apart",
    "ProductOfElementaryHouseholderReflectors": "puts a matrix together",
    "Eigh": "takes a matrix apart",
    "LuDecomposition": "takes a matrix apart",
}
"""Names that programs may call -> what that does, and nothing else."""
_OF_THE_PROCESS = re.compile(
    r"__\w+|xla_(ffi_)?python\w*|mem(cpy|move|set)|\w*[Cc]allback\w*|mosaic\w*|tpu_custom_call"
)
"""Names of what runs Python, or moves memory as it is told to."""
_BYTECODE = b"ML\xefR"
_CALLS = b"custom_call"
_IN_TEXT = re.compile(rb'custom_call\s*@(?:"([^"\n]*)"|([\w.$]+))|call_target_name\s*=\s*"([^"\n]*)"')
_IN_BYTECODE = re.compile(rb"[\x20-\x7e]+(?=\0)")


def hazards(module: bytes) -> Iterator[tuple[HazardKind, str]]:
    """What kinds of harm the calls of a program could do and how.

    In its binary form the names that are called stand in a list with all others, those of places in somebody's code
    too: any of them may be called.

    Args:
        module: StableHLO, as text or in its binary form.
    """
    if _CALLS not in module:
        return
    is_text = not module.startswith(_BYTECODE)
    found = list((_IN_TEXT if is_text else _IN_BYTECODE).finditer(module))
    names = {one[one.lastindex or 0].decode(errors="replace") for one in found}
    forbidden = sorted(name for name in names if _OF_THE_PROCESS.fullmatch(name))
    known = names & HARMLESS.keys()
    if forbidden:
        yield "code", f"calls {forbidden[0][:200]!r}, a function of the process"
    elif not known or (is_text and (len(found) < module.count(_CALLS) or known < names)):
        other = repr(min(names - known)[:200]) if is_text and names - known else "a function by a name"
        yield "foreign", f"calls {other}, which isn't known as one of XLA's own"
