"""``kmr-inspect rules``: what the codes mean."""

from __future__ import annotations

import click

from kmr_cli.cli import options


@click.command("rules")
@click.argument("code", metavar="[CODE]", required=False)
@options.debug
def command(code: str | None, debug: bool) -> None:  # noqa: ARG001  (read where errors are shown)
    """List the rules, or explain one.

    \b
    Examples:
      kmr-inspect rules
      kmr-inspect rules KMR101
    """
    from kmr_cli.errors import KmrError
    from kmr_cli.rules import RULES

    if code is None:
        for rule in RULES.values():
            click.echo(f"{rule.code}  {rule.name:<22} {rule.severity}")
            click.echo(click.wrap_text(rule.found_when, 78, " " * 8, " " * 8))
        return
    rule_ = RULES.get(code.upper())
    if rule_ is None:
        raise KmrError(f"no rule {code!r}", "kmr-inspect rules lists them")
    click.echo(click.style(f"{rule_.code} {rule_.name}", bold=True) + f" ({rule_.severity})")
    for title, text in (("found when", rule_.found_when), ("why it matters", rule_.why), ("fix", rule_.remedy)):
        click.echo(click.wrap_text(f"{title}: {text}", 78, "  ", "    "))
