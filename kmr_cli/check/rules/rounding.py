"""KMR303: differences in the last bits, and rounding that a model makes larger."""

from __future__ import annotations

from kmr_cli.check.observed import SizeRun
from kmr_cli.check.run import Run
from kmr_cli.evidence.sources import Source
from kmr_cli.evidence.taps import Tap, output_title
from kmr_cli.rules import Rule

BATCH_VARIANT = Rule(
    "KMR303",
    "batch-variant",
    "note",
    "the last bits differ between batch sizes, or downstream of routed rows",
    "bitwise reproducibility across batch sizes is lost; the values are the same for practical purposes",
    "nothing to fix, unless you compare bit for bit: then keep the batch size constant",
    others=(("warning", "the model amplifies rounding until different values come out"),),
    batch_statistics="meaningless",
)
RULES = (BATCH_VARIANT,)


def judge_routed(run: Run) -> None:
    """Outputs that other samples move in their last bits only, as kernels do where rows are routed."""
    for tap in run.outputs:
        if tap not in run.evidence.nondeterministic and run.rounded(tap):
            distance, (layer, call, port) = run.moved_by_others(tap), _where(run, tap)
            message = f"{run.title(tap)} differs in its last bits (at most {distance} ULP) with the rows routed here"
            run.add(BATCH_VARIANT, Source(layer, call, port), message, max_ulp=distance)


def _where(run: Run, tap: Tap) -> Tap:
    """Where rows are routed: as passes showed it, or else as code has it."""
    if run.routed:
        return run.routed[0]
    router = run.router(tap)
    if router is not None:
        return router.layer, router.call, "out0"
    source = run.sources(run.entangled)[0]
    return source.layer, source.call, source.port


def judge_amplified(run: Run, found: SizeRun) -> None:
    """Other values at another size, but for no other reason than rounding: a warning, once."""
    known = any(finding.rule == BATCH_VARIANT.code and finding.severity == "warning" for finding in run.findings)
    if found.amplified is None or found.wrong or known:
        return
    text = (
        f"{output_title(found.amplified, found.names)} differs {run.where(found)}, though no more than when the last"
        " bits of the input change: the model amplifies rounding"
    )
    run.add(BATCH_VARIANT, Source("", 0, found.amplified), text, severity="warning")


def judge_last_bits(run: Run, found: SizeRun) -> None:
    """The last bits differ at another size: once, at the first."""
    if found.ulp and not run.reported(BATCH_VARIANT):
        text = f"the last bits differ {run.where(found)} (at most {found.ulp} ULP of the largest value)"
        run.add(BATCH_VARIANT, Source("", 0, found.at or "out0"), text, max_ulp=found.ulp)
