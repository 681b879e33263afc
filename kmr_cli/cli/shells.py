"""The shells themselves: click's scripts, and what they lack, a value that follows ``--option=`` at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

if TYPE_CHECKING:
    _Shell = ShellComplete
else:
    _Shell = object


def register() -> None:
    """Have click answer in these ways."""
    for shell in (_Bash, _Zsh, _Fish):
        add_completion_class(shell)


class _Bash(BashComplete):
    """Bash takes ``--option=value`` for three words, and replaces the last of them."""

    def get_completion_args(self) -> tuple[list[str], str]:
        words, incomplete = super().get_completion_args()
        joined: list[str] = []
        for word in words:
            if joined and joined[-1].startswith("--") and (word == "=" or joined[-1].endswith("=")):
                joined[-1] += word
            else:
                joined.append(word)
        if joined and joined[-1].startswith("--") and joined[-1].endswith("="):
            incomplete = joined.pop() + incomplete
        return joined, incomplete


class _WholeWords(_Shell):
    """Others replace the whole word."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        option, sign, _ = incomplete.partition("=")
        found = super().get_completions(args, incomplete)
        if sign and option.startswith("--"):
            for item in found:
                if item.type == "plain":
                    item.value = f"{option}={item.value}"
        return found


class _Zsh(_WholeWords, ZshComplete):
    """Of a file it is told that the beginning of the word stays."""

    source_template = ZshComplete.source_template.replace("_path_files -", "compset -P 1 '--*='; _path_files -")


class _Fish(_WholeWords, FishComplete):
    pass
