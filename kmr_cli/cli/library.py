"""``kmr-inspect check-batch-axis`` without a MODEL: the layers that come with this program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from kmr_cli.cli.clock import Clock

if TYPE_CHECKING:
    from kmr_cli.check.bundled import Case
    from kmr_cli.cli.messages import Messages
    from kmr_cli.config.limits import Limits
    from kmr_cli.config.policy import Policy
    from kmr_cli.records import Report
    from kmr_cli.render.contents import Run


def refuse_no_model(*, masks: bool, format_: str | None, output: str | None) -> None:
    """Refuse what shows that a model was meant: most likely a glob matched nothing, and that must not pass.

    Raises:
        click.UsageError: that.
    """
    from click.core import ParameterSource

    if masks:
        raise click.UsageError("--mask-input needs a MODEL or --layer-class")
    context = click.get_current_context()
    typed = [
        max(one.opts, key=len)
        for one in context.command.params
        if one.name in _OF_A_MODEL and context.get_parameter_source(one.name) == ParameterSource.COMMANDLINE
    ]
    meant = [
        option
        for option, given in (
            (f"--format {format_}", format_ not in (None, "terminal", "json")),
            ("-o", output is not None),
        )
        if given
    ]
    options = [*meant, *typed]
    if options:
        raise click.UsageError(f"no MODEL, and {options[0]} needs one: was a glob or a variable empty?")


_OF_A_MODEL = (
    "jobs", "inputs", "rows", "resize", "scale", "input_from", "batch_size", "shapes", "constructor", "all_methods",
    "imports", "signature", "tags", "method", "constants", "trust",
    "strict", "allow_inconclusive",
)  # fmt: skip
"""Parameters that say nothing of the bundled layers."""


def check_library(
    policy: Policy, *, seed: int, training: bool, messages: Messages, debug: bool, limits: Limits
) -> Iterator[tuple[Case, Report, Run]]:
    """Check the bundled layers, one after the other. Those that mix by design are allowed to.

    Args:
        policy: which rules count.
        seed: of all data.
        training: in training mode.
        messages: shows notices and progress.
        debug: show what the framework prints.
        limits: what each check may take.
    """
    from kmr_cli.api.layer_classes import LayerClasses
    from kmr_cli.check.bundled import CASES

    ours = replace(limits, sandbox="offered")  # code of this program needs none
    with LayerClasses(fork=True, debug=debug, report=messages, limits=ours) as classes:
        for case in CASES:
            allow = (*policy.allow, "*") if case.by_design else policy.allow
            design = replace(policy, allow=allow, masks=case.masks)
            clock = Clock()
            report = classes.check(
                case.target, case.inputs, case.arguments, policy=design, seed=seed, training=training
            )
            yield case, report, clock.run()
