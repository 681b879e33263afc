"""``kmr-inspect rules``: what the codes mean."""

from __future__ import annotations

import click

from kmr_cli.cli import options
from kmr_cli.cli.complaint import styled


@click.command("rules")
@click.argument("code", metavar="[CODE]", required=False)
@options.debug
def command(code: str | None, debug: bool) -> None:  # noqa: ARG001  (read where errors are shown)
    """List the rules, or explain some.

    CODE is a rule, or the beginning of several.

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
    chosen = [rule for rule in RULES.values() if code and rule.code.startswith(code.upper())]
    if not chosen:
        raise KmrError(f"no rule {code!r}", "kmr-inspect rules lists them")
    for number, rule in enumerate(chosen):
        if number:
            click.echo()
        click.echo(styled(f"{rule.code} {rule.name}", bold=True) + f" ({rule.severity})")
        when = [(f"{severity} where", text) for severity, text in rule.others]
        lines = [("found when", rule.found_when), *when, ("why it matters", rule.why), ("fix", rule.remedy)]
        for title, text in lines:
            click.echo(click.wrap_text(f"{title}: {text}", 78, "  ", "    "))
