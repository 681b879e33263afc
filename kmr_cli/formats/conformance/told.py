"""What a format tells of itself and of its files: facts, names, shapes."""

from __future__ import annotations

import re
from types import ModuleType

from kmr_cli.errors import LayerError
from kmr_cli.formats import OPTIONS
from kmr_cli.formats.conformance.compare import ConformanceError, demand
from kmr_cli.formats.conformance.example import SIDES, Opened
from kmr_cli.formats.conformance.interpreter import INTERPRETER
from kmr_cli.formats.conformance.rule import Rule, rule
from kmr_cli.formats.facts import frameworks
from kmr_cli.formats.interface import REQUIRED, Session, Taps, optional

TOLD: list[Rule] = []


@rule(TOLD)
def has_every_part(found: Opened) -> None:
    """The format has the facts and functions that every format has, of the right kinds."""
    format_ = found.example.format
    missing = [name for name in REQUIRED if not hasattr(format_, name)]
    demand(not missing, f"no {', '.join(missing)}")
    for name in ("NAME", "TITLE", "FILE", "SEPARATOR"):
        demand(bool(getattr(format_, name)) and isinstance(getattr(format_, name), str), f"{name} is not a text")
    unknown = set(format_.OPTIONS) - set(OPTIONS)
    demand(not unknown, f"OPTIONS names unknown options: {', '.join(sorted(unknown))}")
    demand(found.info.format == format_.NAME, f"describe calls the format {found.info.format!r}")
    separators = optional(format_, "SEPARATORS") or (format_.SEPARATOR,)
    demand(found.info.separator in separators, f"describe joins paths by {found.info.separator!r}")


@rule(TOLD, lambda example: example.path is not None and isinstance(example.format, ModuleType))
def describe_imports_no_framework(found: Opened) -> None:
    """In an interpreter of its own, describing the file imports none of the frameworks."""
    example = found.example
    known = frameworks() | set(example.format.FRAMEWORKS)
    assert isinstance(example.format, ModuleType)
    assert example.path is not None
    loaded = INTERPRETER.describe(example.format.__name__, example.path, example.options, known)
    demand(not loaded, f"describe imports {', '.join(loaded)}")


@rule(TOLD, lambda example: example.path is None or example.path.exists())
def described_inputs_are_those_of_the_session(found: Opened) -> None:
    """The session has the inputs that ``describe`` tells (of a layer class the caller tells more)."""
    demand(found.session.inputs == found.info.inputs, "the session has different inputs than describe declares")


@rule(TOLD)
def described_paths_are_found_again(found: Opened) -> None:
    """The session has every layer that ``describe`` tells, under the same path."""
    demand(isinstance(found.session, Session), "open returns something that isn't a Session")
    lost = {layer.path for layer in found.info.layers} - {layer.path for layer in found.session.layers}
    demand(not lost, f"describe lists layers that the session does not have: {', '.join(sorted(lost))}")


@rule(TOLD)
def listed_layers_give_values(found: Opened) -> None:
    """Every layer that can be tapped gives values, as many calls as are listed, counted from 0.

    A layer that may be passed over says so: its number of calls is None.
    """
    values, _ = found.whole
    ran: dict[str, list[int]] = {}
    for layer, call, _ in values:
        if call not in ran.setdefault(layer, []):
            ran[layer].append(call)
    for layer, calls in ran.items():
        demand(layer in found.everything.layers, f"a value of {layer!r}, which was not asked for")
        demand(calls == list(range(len(calls))), f"calls of {layer!r} are counted {calls}")
    for info in found.info.layers:
        if info.untappable is None and info.calls is not None:
            demand(len(ran.get(info.path, ())) == info.calls, f"{info.path!r} ran {len(ran.get(info.path, ()))} times")


@rule(TOLD)
def listed_shapes_are_those_of_the_values(found: Opened) -> None:
    """Shapes and dtypes that ``describe`` tells are those of the values."""
    values, _ = found.whole
    for layer in found.info.layers:
        for spec in (*layer.inputs, *layer.outputs):
            value = values.get((layer.path, 0, spec.name))
            if value is None:
                continue
            if spec.shape is not None:
                fits = len(spec.shape) == value.ndim and all(
                    told in (None, real) for told, real in zip(spec.shape, value.shape, strict=True)
                )
                demand(fits, f"{layer.path} {spec.name} is declared as {spec.shape} and is {value.shape}")
            name = "string" if value.dtype.hasobject else value.dtype.name
            demand(spec.dtype in (None, name), f"{layer.path} {spec.name} is declared as {spec.dtype}")


@rule(TOLD, lambda example: bool(example.ports))
def ports_keep_their_numbers(found: Opened) -> None:
    """Ports are numbered by what they are: what is None is left out and shifts no other."""
    values, _ = found.whole
    for layer, ports in found.example.ports.items():
        seen = tuple(port for path, call, port in values if (path, call) == (layer, 0))
        demand(seen == tuple(ports), f"{layer!r} has the ports {', '.join(seen)}, not {', '.join(ports)}")


@rule(TOLD)
def port_names_are_valid(found: Opened) -> None:
    """Ports are ``in0``, ``out1`` and the like; parts of a tensor have their own name behind a dot."""
    for layer, _, port in found.whole[0]:
        demand(re.fullmatch(r"(in|out)[0-9]+(\.\w+)?", port) is not None, f"{layer!r} has a port {port!r}")


@rule(TOLD)
def unknown_layers_are_refused(found: Opened) -> None:
    """A tap on a layer that there is not raises LayerError."""
    _refused(found, "no such layer, surely")


@rule(TOLD)
def untappable_layers_are_listed_and_refused(found: Opened) -> None:
    """A layer that cannot be tapped is listed with the reason, by the session too; a tap on it raises LayerError."""
    there = {layer.path: layer for layer in found.session.layers}
    for layer in found.info.layers:
        if layer.untappable is not None:
            demand(bool(layer.untappable), f"{layer.path!r} gives no reason")
            mine = there.get(layer.path)
            demand(mine is not None and bool(mine.untappable), f"the session says that {layer.path!r} can be tapped")
            _refused(found, layer.path)


def _refused(found: Opened, path: str) -> None:
    try:
        found.capture(Taps((path,), None, SIDES))
    except LayerError:
        return
    except Exception as exc:
        raise ConformanceError(f"a tap on {path!r} raises {type(exc).__name__}, not LayerError") from exc
    raise ConformanceError(f"a tap on {path!r} is not refused")
