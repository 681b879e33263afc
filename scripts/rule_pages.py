"""Write docs/rules/ from what `kmr-inspect rules` says and from docs/rules/examples/, or check that it is up to date.

An example is one file of Python with two parts, `# %% found: COMMAND` and `# %% fixed: COMMAND`. Where a command names
a file, the whole example is run first, and writes it. The pages show what the commands print: with ``--check`` (lint
does) that is taken from the pages as they stand, and nothing is run; a test runs the examples of all rules.
"""

from __future__ import annotations

import re
import shlex
import sys
import tempfile
from pathlib import Path

from kmr_cli.rules import RULES, Rule

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "rules"
PART = re.compile(r"^# %% (?P<name>found|fixed): (?P<command>kmr-inspect .*)$", re.MULTILINE)
SCREEN = re.compile(r"^```console\n(\$ [^\n]*\n.*?)^```$", re.MULTILINE | re.DOTALL)
CHAPTERS = {
    "KMR1": ("Do samples stay apart?", "check-batch-axis"),
    "KMR2": ("Is padding left out?", "check-batch-axis"),
    "KMR3": ("Are results repeatable and finite?", "check-batch-axis"),
    "KMR4": ("Has the model changed?", "compare"),
    "KMR5": ("Is the file safe to load?", "scan"),
}


def example_of(code: str) -> tuple[str, dict[str, tuple[str, str]]]:
    """An example's first words, and of each part the command and the code."""
    text = (FOLDER / "examples" / f"{code.lower()}.py").read_text(encoding="utf-8")
    said, *parts = PART.split(text)
    parts = [part.strip() for part in parts]
    found = {
        name: (command, source) for name, command, source in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    }
    if list(found) != ["found", "fixed"]:
        raise SystemExit(f"{code}: an example has a part that is found and one that is fixed")
    return said.strip().strip('"').strip(), found


def screens_of(code: str) -> list[str]:
    """What the two commands of an example print, as far as the page shows it."""
    sys.path.insert(0, str(ROOT / "tests"))
    from zoo.samples import command as run_command
    from zoo.samples import python

    _, parts = example_of(code)
    file = FOLDER / "examples" / f"{code.lower()}.py"
    screens = []
    with tempfile.TemporaryDirectory() as folder:
        source = file.read_text(encoding="utf-8")
        (Path(folder) / file.name).write_text(source, encoding="utf-8")
        if not all("--layer-class" in command for command, _ in parts.values()):
            written = python("-c", f"import runpy; runpy.run_path({file.name!r}, run_name='__main__')", cwd=folder)
            if written.returncode:
                raise SystemExit(f"{file.name}: {written.stderr}")
        for command, _ in parts.values():
            run = run_command(shlex.split(command)[1:], cwd=folder, NO_COLOR="1", COLUMNS="80")
            if run.returncode not in (0, 1):
                raise SystemExit(f"{command}: exit {run.returncode}\n{run.stdout}{run.stderr}")
            screens.append(f"$ {command}\n{shown(run.stdout, code)}")
    return screens


def shown(output: str, code: str) -> str:
    """The verdict and what is said of the rule; all else is what every report says."""
    paragraphs = [[line.rstrip() for line in part.splitlines()] for part in output.strip().split("\n\n")]
    title, *rest = paragraphs[0]
    verdict = [title]
    for line in rest:
        if line.startswith("  "):
            break
        verdict.append(line)
    kept = ["\n".join(verdict)]
    kept += ["\n".join(part) for part in paragraphs[1:] if re.match(rf"(error|warning|note) {code}\b", part[0])]
    return "\n…\n".join(kept) + "\n…\n"


def page(rule: Rule, screens: list[str]) -> str:
    """The page of one rule."""
    said, parts = example_of(rule.code)
    lines = [
        f"# {rule.code} {rule.name}",
        f"**{rule.severity}** of `kmr-inspect {rule.command}`: {rule.found_when}.",
        *(f"**{severity}** where {when}." for severity, when in rule.others),
        f"**Why it matters.** {sentence(rule.why)}",
        f"**What to do.** {sentence(rule.remedy)}",
        "## An example",
        said,
    ]
    titles = ("Found", "Fixed")
    for title, (_, source), screen in zip(titles, parts.values(), screens, strict=True):
        lines += [f"### {title}", f"```python\n{source}\n```", f"```console\n{screen}```"]
    lines.append(
        f"[All rules](README.md) · the example as a file: [{rule.code.lower()}.py](examples/{rule.code.lower()}.py)"
    )
    return "\n\n".join(lines) + "\n"


def sentence(text: str) -> str:
    """Its first letter large, a full stop at the end. A text that begins with code stays as it is."""
    return f"{text[0].upper()}{text[1:].rstrip('.')}."


def severities(rule: Rule) -> list[str]:
    """All that its findings may have, the usual one first."""
    return [rule.severity, *(severity for severity, _ in rule.others)]


def index() -> str:
    """The list of all."""
    parts = [
        "# Rules",
        "What `check-batch-axis`, `compare` and `scan` find. A code never changes its meaning; `--select` and"
        " `--ignore` take it, or how it begins. Each page shows a model in which the rule is found and one in which it"
        " is not.",
    ]
    for start, (title, command) in CHAPTERS.items():
        rows = [
            f"| [{rule.code}]({rule.code}.md) | {rule.name} | {', '.join(severities(rule))} | {rule.found_when} |"
            for rule in RULES.values()
            if rule.code.startswith(start)
        ]
        parts.append(f"## {title}\n\nFound by `kmr-inspect {command}`.")
        parts.append("\n".join(["| code | name | severity | found when |", "| --- | --- | --- | --- |", *rows]))
    if sum(part.count("](KMR") for part in parts) != len(RULES):
        raise SystemExit("CHAPTERS leaves rules out")
    return "\n\n".join(parts) + "\n"


def recorded(code: str) -> list[str]:
    """The screens that the page shows now."""
    file = FOLDER / f"{code}.md"
    return SCREEN.findall(file.read_text(encoding="utf-8")) if file.exists() else []


def main() -> None:
    """Write all pages, or those of the rules that are named, or check all."""
    check = "--check" in sys.argv[1:]
    named = [argument for argument in sys.argv[1:] if argument in RULES]
    pages = {"README.md": index()}
    for code in named or RULES:
        screens = recorded(code) if check else screens_of(code)
        if len(screens) != 2:
            raise SystemExit(f"docs/rules/{code}.md is missing or damaged: run python scripts/rule_pages.py {code}")
        pages[f"{code}.md"] = page(RULES[code], screens)
    stale = [
        name
        for name, text in pages.items()
        if not (FOLDER / name).exists() or (FOLDER / name).read_text(encoding="utf-8") != text
    ]
    if check and stale:
        raise SystemExit(f"docs/rules/: {', '.join(stale)} out of date: run python scripts/rule_pages.py")
    if not check:
        for name in stale:
            (FOLDER / name).write_text(pages[name], encoding="utf-8")


if __name__ == "__main__":
    main()
