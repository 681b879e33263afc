"""``kmr-inspect rules``: what the codes mean."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import click

from kmr_cli.cli import completion, options
from kmr_cli.cli.complaint import styled

if TYPE_CHECKING:
    from kmr_cli.rules import Rule


def _chosen(code: str) -> list[Rule]:
    """The rules that a code, the beginning of one, its number alone or a name stands for."""
    from kmr_cli.rules import PREFIX, RULES

    start = f"{PREFIX}{code}" if code.isdecimal() else code.upper()
    return [rule for rule in RULES.values() if code and (rule.code.startswith(start) or rule.name == code.lower())]


@click.command("rules")
@click.argument("code", metavar="[CODE]", required=False, shell_complete=completion.rules)
@options.debug
def command(code: str | None, debug: bool) -> None:  # noqa: ARG001  (read where errors are shown)
    """List the rules, or explain some.

    CODE is a rule, or the beginning of several: KMR101, 101, KMR2, or a name.

    \b
    Examples:
      kmr-inspect rules
      kmr-inspect rules KMR101
      kmr-inspect rules KMR2
    """
    from kmr_cli.errors import KmrError
    from kmr_cli.rules import RULES

    if code is None:
        for rule in RULES.values():
            others = "".join(f", {severity}" for severity, _ in rule.others)
            click.echo(f"{rule.code}  {rule.name:<22} {rule.severity}{others}")
            click.echo(click.wrap_text(rule.found_when, 78, " " * 8, " " * 8))
        return
    chosen = _chosen(code)
    if not chosen:
        names = {rule.name: rule.code for rule in RULES.values()}
        near = difflib.get_close_matches(code.lower(), names, 1) or difflib.get_close_matches(code.upper(), RULES, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise KmrError(f"no rule {code!r}", f"{hint}kmr-inspect rules lists them")
    for number, rule in enumerate(chosen):
        if number:
            click.echo()
        click.echo(styled(f"{rule.code} {rule.name}", bold=True) + f" ({rule.severity})")
        when = [(f"{severity} where", text) for severity, text in rule.others]
        lines = [("found when", rule.found_when), *when, ("why it matters", rule.why), ("fix", rule.remedy)]
        for title, text in lines:
            click.echo(click.wrap_text(f"{title}: {text}", 78, "  ", "    "))
