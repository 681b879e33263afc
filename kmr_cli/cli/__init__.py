"""One file per command; each parses, calls, renders and chooses the exit code, nothing else.

What commands share stands in files of its own: ``options``, ``target`` (where the result goes), ``outcomes``, ``jobs``,
``messages``. May import: everything but the pytest plugin.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import click

from kmr_cli.cli.complaint import complain, silence_stdout
from kmr_cli.cli.exit_codes import ExitCode, of_errors
from kmr_cli.errors import KmrError
from kmr_cli.version import __version__

COMMANDS = {
    "layers": "List the layers of MODEL.",
    "sample": "Show one sample's values at any layer of MODEL.",
    "trace": "Show where values of MODEL go wrong, for every sample.",
    "dump": "Write what layers of MODEL hold for a whole data set.",
    "check-batch-axis": "Check that the samples of a batch do not mix.",
    "snapshot": "Save shapes, batch axes and values of MODEL to a file.",
    "compare": "Compare MODEL with a snapshot or another model.",
    "scan": "Scan MODEL for what could do harm, without loading it.",
    "verify": "Check a certificate against MODEL.",
    "rules": "List the rules, or explain some.",
    "doctor": "Show what is installed, and how models are sandboxed.",
}
"""Modules of this package with a click command of the same name, in the order of the help.

The first sentence of each stands here too, so that ``kmr-inspect --help`` need not load them all.
"""


class _NobodyReadsError(Exception):
    """Nobody reads what goes to stdout any more.

    No OSError, of which click would make an exit code of its own, another one in every release.
    """


@contextlib.contextmanager
def _seen() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise _NobodyReadsError from None


class _Group(click.Group):
    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _seen():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _seen():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"kmr_cli.cli.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(__version__, "-V", "--version", prog_name="kmr-inspect")
def cli() -> None:
    """Open a saved model, tap any layer, and see what belongs to which sample.

    MODEL is a .keras or .h5 file, a SavedModel directory, a TorchScript .pt
    file, a .pt2 file or an .onnx file.

    \b
    Examples:
      kmr-inspect layers model.keras
      kmr-inspect sample model.keras --layer conv1 --index 4 --input batch.npz
      kmr-inspect check-batch-axis model.keras
    """


def run(arguments: list[str]) -> int:
    """Run one command; every expected failure becomes one line on stderr and an exit code."""
    if sorted(arguments) in (["--verbose", "--version"], ["--verbose", "-V"]):
        arguments = ["doctor"]
    if "_KMR_INSPECT_COMPLETE" in os.environ:  # a shell asks
        from kmr_cli.cli.shells import register

        register()
    try:
        code = cli.main(arguments, prog_name="kmr-inspect", standalone_mode=False)
        sys.stdout.flush()
        return int(code or ExitCode.CLEAN)
    except KmrError as exc:
        ending = _what_ended_it(exc)
        if ending is not None:
            raise ending from None
        if "--debug" in arguments:
            import traceback

            traceback.print_exc()
        complain(exc.message, exc.hint)
        return of_errors([exc])
    except click.exceptions.NoArgsIsHelpError as exc:
        click.echo(exc.format_message())
        return ExitCode.COULD_NOT
    except click.ClickException as exc:
        context = getattr(exc, "ctx", None)
        hint = f"see {context.command_path} --help" if context else None
        if isinstance(exc, click.MissingParameter) and isinstance(exc.param, click.Option) and hint:
            hint = f"{exc.param.opts[-1]} {exc.param.metavar or ''}: {_sentence(exc.param.help)}; {hint}"
        typed = "" if context is None or context.parent else _command_of(arguments)
        if typed and os.path.exists(typed):  # noqa: PTH110  (pathlib takes longer to import than the help to print)
            import shlex

            complain(f"{typed}: give a command before the model", f"kmr-inspect layers {shlex.quote(typed)}")
            return ExitCode.COULD_NOT
        import difflib

        near = difflib.get_close_matches(typed, COMMANDS, 1)
        complain(exc.format_message().rstrip("."), f"did you mean {near[0]}? See kmr-inspect --help" if near else hint)
        return ExitCode.COULD_NOT
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return ExitCode.INTERRUPTED
    except (BrokenPipeError, _NobodyReadsError):
        silence_stdout()  # the reader has seen enough
        return ExitCode.CLEAN
    except OSError as exc:
        if "--debug" in arguments or exc.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
            return _unexpected(exc, arguments)
        silence_stdout()
        complain(f"the result cannot be written ({exc.strerror})", None)
        return ExitCode.COULD_NOT
    except Exception as exc:
        return _unexpected(exc, arguments)


def _sentence(text: str | None) -> str:
    """The first sentence of an option's help."""
    first = (text or "").split(". ")[0].split("; ")[0].rstrip(".")
    return first[:1].lower() + first[1:]


def _command_of(arguments: list[str]) -> str:
    return next((argument for argument in arguments if not argument.startswith("-")), "")


def _what_ended_it(exc: BaseException | None) -> BaseException | None:
    """A signal's exception that a library met on its way out, and made another one of."""
    seen: set[int] = set()
    while exc is not None and id(exc) not in seen:
        if not isinstance(exc, (Exception, GeneratorExit, SystemExit)):
            return exc
        seen.add(id(exc))
        exc = exc.__cause__ or exc.__context__
    return None


def _unexpected(exc: Exception, arguments: list[str]) -> int:
    if "--debug" in arguments:
        raise exc
    ending = _what_ended_it(exc)
    if ending is not None:
        raise ending from None
    from kmr_cli.formats.common.memory import lacks_memory

    if lacks_memory(exc):
        raise MemoryError from exc  # there may be too little to say it with what shows other errors
    line = (str(exc).strip().splitlines() or [""])[0]
    complain(f"unexpected {type(exc).__name__}: {line}", "run again with --debug for the traceback")
    return ExitCode.COULD_NOT
