"""Which tensors the calls of two layers take and return."""

from __future__ import annotations

from kmr_cli.compare.alignment import Call
from kmr_cli.compare.case import Case
from kmr_cli.compare.outputs import counterpart


def ports_of(case: Case, call: Call, other: Call) -> tuple[str, str] | None:
    """The tensors of two calls, (now, before), of the ends that both snapshots kept; None where they correspond."""
    sides = ("out", *(side for side in case.model.sides if side in case.baseline.sides))
    now, before = (
        [port for port in ports.get(which, ()) if port.startswith(sides)]
        for ports, which in zip(case.ports, (call, other), strict=True)
    )
    if call[0]:
        same = set(now) == set(before)
    else:
        same = {counterpart(port, case.model, case.baseline) for port in now} == set(before)
    return None if same else (", ".join(sorted(now)) or "nothing", ", ".join(sorted(before)) or "nothing")
