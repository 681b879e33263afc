"""Options that several commands share, and how all of them talk to the user while they work."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from kmr_cli.cli import completion
from kmr_cli.cli.kept import kept, together, typed_values
from kmr_cli.cli.messages import Messages as Messages

if TYPE_CHECKING:
    from rich.console import Console

    from kmr_cli.config.limits import Limits
    from kmr_cli.config.per_model import ModelSettings
    from kmr_cli.config.project_file import Decided
    from kmr_cli.config.pyproject import Settings
    from kmr_cli.config.reading import InputFiles, InputFunction, Reading
    from kmr_cli.formats.interface import OpenOptions
    from kmr_cli.records import SampleShape

F = TypeVar("F", bound=Callable[..., Any])

debug = click.option("--debug", is_flag=True, help="Show tracebacks and all that the framework prints.")

layers = click.option(
    "-l", "--layer", "layers", metavar="PATH", multiple=True, required=True, shell_complete=completion.layers,
    help="Layer: its path, the unique end of it, or a glob; repeatable. '*' is all.",
)  # fmt: skip

call = click.option(
    "--call", type=int, metavar="N", help="Only the N-th call of a layer that runs several times, from 0."
)


def side(default: str) -> Callable[[F], F]:
    """``--side`` of layers; without it ``default``."""
    return click.option(
        "--side", type=click.Choice(["in", "out", "both"]), default=default, show_default=True,
        help="What goes in, what comes out, or both.",
    )  # fmt: skip


_TRUST = "Load MODEL whatever a scan finds in it, code of Lambda layers included: you trust its author."
trust = click.option("--trust", is_flag=True, help=_TRUST)

limits = together(
    kept(
        "--timeout", type=float, metavar="SECONDS",
        help="End the model's process if reading the file, or running the model, takes longer; exit code 4.",
    ),
    kept(
        "--memory", metavar="SIZE",
        help="End the model's process if it holds more memory than SIZE, as in 4G or 500M; exit code 4.",
    ),
    kept(
        "--require-sandbox/--no-sandbox", "sandbox", default=None,
        help="Refuse to load the model without a sandbox that keeps it from files and the network, or use none."
        "  [default: as far as this machine can]",
    ),
)  # fmt: skip
"""``--timeout``, ``--memory`` and ``--require-sandbox``; :func:`typed_limits` says what they are."""


def decided() -> Decided:
    """What ``[tool.kmr-inspect]`` says of limits, for commands that ask it for nothing else."""
    from pathlib import Path

    from kmr_cli.config.project_file import decided_limits

    return decided_limits(Path.cwd())


def typed_limits(decided: Settings | Decided | None = None) -> Limits:
    """What the model's process may take: as typed, else as ``[tool.kmr-inspect]`` says."""
    from kmr_cli.config.limits import limits_of

    typed = typed_values()
    said = {name: getattr(decided, name, None) for name in ("timeout", "memory")}
    decided_on = getattr(decided, "sandbox", "") or "offered"
    sandbox = {None: decided_on, True: "required", False: "off"}[typed.get("sandbox")]
    timeout, memory = (said[name] if typed.get(name) is None else typed[name] for name in said)
    return limits_of(timeout, memory, sandbox)


reading = together(
    kept(
        "--rows", metavar="START:STOP",
        help="Only these samples of each file, as in 100:132; the rest of a large file is not read.",
    ),
    kept(
        "--resize", metavar="HxW",
        help="Stretch images to H x W pixels, as in 224x224; 224x224:crop keeps their proportions.",
    ),
    kept(
        "--scale", metavar="LOW:HIGH",
        help="Map the values of images to LOW..HIGH, as in 0:1 or -1:1, or normalize them as for imagenet.",
    ),
    kept(
        "--input-from", metavar="MODULE:FUNCTION",
        help="Get the batch from a function without arguments: an array, or a mapping from input names to arrays.",
    ),
)  # fmt: skip
"""``--rows``, ``--resize``, ``--scale`` and ``--input-from``; :func:`typed_data` says what they are."""

batch = together(
    click.option(
        "--input", "inputs", metavar="[NAME=]FILE[:KEY]", multiple=True, shell_complete=completion.files,
        help="The batch, samples along axis 0: .npy, .npz, .csv, .json, .h5, .parquet, .safetensors, an image or"
        " a folder of them; repeatable. Without it: synthetic data.",
    ),
    reading,
    click.option(
        "--batch-size", type=int, metavar="B", help="Size of the synthetic batch, or only the first B samples."
    ),
    click.option(
        "--shape", "shapes", metavar="[NAME=]N,N,…[:DTYPE]", multiple=True,
        help="Shape of ONE sample, and its dtype, for synthetic data where the model does not declare them.",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Seed of all random data."),
)  # fmt: skip
"""``--input``, ``--batch-size``, ``--shape``, ``--seed``, and :func:`reading`: the data that the model runs on."""

opening = together(
    kept("--import", "imports", metavar="MODULE", multiple=True, help="Import MODULE first, for custom layers."),
    kept("--signature", metavar="NAME", help="SavedModel: signature to run."),
    kept("--tag", "tags", metavar="TAG", multiple=True, help="SavedModel: tag set to open; repeatable."),
    kept("--method", metavar="NAME", help="TorchScript: exported method to run in place of forward."),
    kept(
        "--constant",
        "constants",
        metavar="NAME=VALUE",
        multiple=True,
        help="Argument that is the same for the whole batch, as in sr=16000; repeatable.",
    ),
    kept("--trust", is_flag=True, help=_TRUST),
)
"""``--import``, ``--signature``, ``--tag``, ``--method``, ``--constant`` and ``--trust``; :func:`typed_opening`."""


def typed_opening() -> OpenOptions:
    """How the model is to be opened, as typed."""
    from kmr_cli.formats.interface import OpenOptions

    typed = typed_values()
    fixed = None
    if typed["constants"]:
        from kmr_cli.config.constants import parse_constants
        from kmr_cli.errors import BatchError

        try:
            fixed = parse_constants(typed["constants"])
        except BatchError as exc:
            raise click.BadParameter(exc.message, param_hint="--constant") from None
    return OpenOptions(
        typed["imports"], typed["signature"], typed["tags"] or None, method=typed["method"], constants=fixed,
        trust=typed["trust"],
    )  # fmt: skip


def parse_shapes(texts: Sequence[str]) -> dict[str | None, SampleShape]:
    """:func:`kmr_cli.config.shapes.parse_shapes` for ``--shape``."""
    from kmr_cli.config import shapes
    from kmr_cli.errors import BatchError

    try:
        return shapes.parse_shapes(texts)
    except BatchError as exc:
        raise click.BadParameter(exc.message, param_hint="--shape") from None


def trusted(opening: OpenOptions, said: ModelSettings, path: str, notify: Callable[[str, str], None]) -> OpenOptions:
    """How a model is opened: trusted also where ``[tool.kmr-inspect.models]`` says so, which is told."""
    if said.trust and not opening.trust:
        notify("notice", f"{path}: pyproject.toml says that it is trusted, whatever a scan finds in it")
    return opening.trusting(said.trust)


class TypedData(NamedTuple):
    """What the command line says of the data.

    Attributes:
        files: of ``--input``.
        reading: rows, size and scale.
        function: of ``--input-from``.
    """

    files: tuple[str, ...]
    reading: Reading
    function: str | None

    def __bool__(self) -> bool:
        """Whether it says anything."""
        return bool(self.files or self.reading.option or self.function)

    def given(self, said: ModelSettings | None = None) -> InputFiles | InputFunction | None:
        """The data of a model; None for synthetic data.

        Args:
            said: what ``[tool.kmr-inspect.models]`` says of the model: of data only where none is typed, of the size
                and scale of images always.

        Raises:
            click.UsageError: it says how files are read, and there are none.
        """
        from kmr_cli.config.reading import InputFiles, InputFunction

        if self.function is not None:
            return InputFunction(self.function)
        if self.files:
            return InputFiles.of(
                self.files, self.reading if said is None else self.reading.or_else(said.reading, rows=False)
            )
        if self.reading.option and (said is None or not said.input):
            raise click.UsageError(f"{self.reading.option} says how --input is read: give --input FILE too")
        return None if said is None else said.data(self.reading)


def typed_data(inputs: tuple[str, ...]) -> TypedData:
    """What the command line says of the data, ``inputs`` being those of ``--input``.

    Raises:
        click.UsageError: options that exclude each other.
        BatchError: one of them isn't what it should be.
    """
    from kmr_cli.config.reading import Reading

    typed = typed_values()
    found = TypedData(inputs, Reading(typed["rows"], typed["resize"], typed["scale"]), typed["input_from"])
    if found.function is not None and (other := "--input" if inputs else found.reading.option):
        raise click.UsageError(f"--input-from gives the batch: leave out {other}")
    return found


def data(
    said: ModelSettings, typed: TypedData, shapes: dict[str | None, SampleShape]
) -> tuple[InputFiles | InputFunction | None, dict[str | None, SampleShape]]:
    """The data and shapes for a model: as typed, else as ``[tool.kmr-inspect.models]`` says of it.

    Raises:
        click.UsageError: as :meth:`TypedData.given`.
    """
    if typed.files or typed.function or shapes:
        return typed.given(said if typed else None), shapes
    return typed.given(said), parse_shapes(said.shape)


def console() -> Console:
    """Standard output for people. 80 columns and no colour when it is not a terminal.

    Printing raises BrokenPipeError where nobody reads any more; rich itself would end the program.
    """
    from rich.console import Console

    class Quiet(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    width = None if sys.stdout.isatty() else 80
    plain = bool(os.environ.get("NO_COLOR"))  # rich alone would still write bold
    return Quiet(width=width, highlight=False, markup=False, emoji=False, color_system=None if plain else "auto")
