"""Everything that a file says about its graph, worked out once and kept for the next question."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from kmr_cli.formats.onnx.describe import limits, reader, types
from kmr_cli.formats.onnx.describe.bodies import Body, Place, find_bodies
from kmr_cli.formats.onnx.describe.external import External, external_files
from kmr_cli.formats.onnx.describe.graph import Graph
from kmr_cli.formats.onnx.describe.layers import NodeLayer, find_layers
from kmr_cli.formats.onnx.describe.reader import Source
from kmr_cli.formats.onnx.describe.scopes import Scopes, find_scopes
from kmr_cli.formats.onnx.describe.weights import Weights
from kmr_cli.records import Presumable, TensorSpec


@dataclass(frozen=True)
class Analysis:
    """One file, understood."""

    source: Source
    graph: Graph
    scopes: Scopes
    weights: Weights
    layers: tuple[NodeLayer, ...]
    bodies: tuple[Body, ...]
    external: tuple[External, ...]

    @property
    def path(self) -> Path:
        """The file."""
        return self.source.path

    @cached_property
    def narrow(self) -> bool:
        """Whether half precision is at work, as far as the file tells: float16 or bfloat16."""
        graph = self.graph
        declared = any(kind.dtype in ("float16", "bfloat16") for kind in graph.types.values())
        held = any(weight.dtype in types.NARROW for weight in self.weights)
        casts = (node.attribute("to") for node in graph.nodes if node.op == "Cast")
        return declared or held or any(to is not None and to.i in types.NARROW for to in casts)

    def body(self, place: Place) -> Body:
        """The body that stands there."""
        return self._bodies[place]

    @cached_property
    def _bodies(self) -> dict[Place, Body]:
        return {body.place: body for body in self.bodies}

    def inputs(self) -> tuple[TensorSpec, ...]:
        """What the model wants."""
        return tuple(self._input(name) for name in self.graph.inputs)

    def _input(self, name: str) -> TensorSpec:
        kind = self.graph.type(name)
        use = limits.use(self.graph, self.weights, name)
        presumed: tuple[Presumable, ...] = () if use.certain or use.rows is None else ("limit",)
        return TensorSpec(name, kind.shape, kind.dtype, use.rows, presumed=presumed, whole=use.whole)


def analyse(path: Path) -> Analysis:
    """Read a file and understand it; the last few results are kept while the file is unchanged.

    Raises:
        ModelFileError: it is damaged, or contradicts itself.
    """
    try:
        status = path.stat()
        stamp = (status.st_mtime_ns, status.st_size)
    except OSError:
        stamp = (0, 0)
    return _analyse(path, stamp)


@lru_cache(maxsize=4)
def _analyse(path: Path, _stamp: tuple[int, int]) -> Analysis:
    source = reader.read(path)
    graph = Graph(source)
    scopes = find_scopes(graph)
    weights = Weights(graph)
    layers = tuple(find_layers(graph, scopes, weights))
    bodies = find_bodies(graph, scopes, weights, layers)
    return Analysis(source, graph, scopes, weights, layers, bodies, external_files(source))
