"""How large an integer input may be: the rows of the embedding that it reaches."""

from __future__ import annotations

from kmr_cli.formats.keras.describe.config import LayerConfig, leaves

PASSES_VALUES = frozenset(
    [
        "Cast",
        "Copy",
        "ExpandDims",
        "Flatten",
        "Identity",
        "Masking",
        "Permute",
        "Ravel",
        "RepeatVector",
        "Repeat",
        "Reshape",
        "Squeeze",
        "Swapaxes",
        "Moveaxis",
        "Transpose",
        "Flip",
        "Tile",
        "Dropout",
        "BroadcastTo",
    ]
)
"""Layers and operations whose outputs hold values of their inputs and no others."""

PICKS_VALUES = frozenset(["Cropping1D", "Cropping2D", "Cropping3D", "GetItem", "Split"])
"""Those whose outputs hold some of them: the others may go elsewhere."""

TABLES = {"Embedding": "input_dim", "ReversibleEmbedding": "input_dim", "CategoryEncoding": "num_tokens"}
"""Layers that index something with their input -> the argument that says how many entries it has."""


class Limits:
    """Follows integers from the inputs of a functional or Sequential model to the tables they index.

    Args:
        model: the model's config.
        seen: how many models are around it.
        partial: follow some of an input's values too, where they part.
    """

    def __init__(self, model: LayerConfig, seen: int = 0, *, partial: bool = False) -> None:
        self.model = model
        self.depth = seen
        self.partial = partial

    def of_inputs(self) -> dict[str, int]:
        """Input name -> its values must lie in ``[0, limit)``. Inputs that reach no table are left out."""
        layers = self.model.layers or []
        if self.model.functional:
            names = [ref.layer for ref in leaves(self.model.inputs)]
            found = {name: self._functional((name, 0, 0), set()) for name in names}
        else:
            first = layers[0].name if layers and layers[0].class_name == "InputLayer" else "inputs"
            found = {first: self._sequential([la for la in layers if la.class_name != "InputLayer"])}
            if layers and layers[0].layers is not None:
                found = dict.fromkeys((la.name for la in layers[0].layers[:1]), found[first])
        return {name: limit for name, limit in found.items() if limit is not None}

    def _functional(self, tensor: tuple[str, int, int], seen: set[tuple[str, int, int]]) -> int | None:
        if tensor in seen:
            return None
        seen.add(tensor)
        limits = []
        for layer in self.model.layers or []:
            for number, call in enumerate(layer.calls):
                for position, argument in enumerate(call):
                    ref = argument.ref
                    if (ref.layer, ref.node, ref.tensor) != tensor:
                        continue
                    limits.append(self._through(layer, position))
                    if self._passes(layer):
                        limits += [self._functional((layer.name, number, out), seen) for out in range(8)]
        return _least(limits)

    def _sequential(self, layers: list[LayerConfig]) -> int | None:
        for layer in layers:
            limit = self._through(layer, 0)
            if limit is not None:
                return limit
            if not self._passes(layer):
                return None
        return None

    def _passes(self, layer: LayerConfig) -> bool:
        return layer.class_name in PASSES_VALUES or (self.partial and layer.class_name in PICKS_VALUES)

    def _through(self, layer: LayerConfig, position: int) -> int | None:
        """The limit that ``layer`` itself sets for the values of its tensor number ``position``."""
        if not layer.built_in:
            return None
        argument = TABLES.get(layer.class_name)
        if argument is not None:
            rows = layer.config.get(argument)
            return rows if isinstance(rows, int) and rows > 0 else None
        if layer.class_name == "TimeDistributed":
            inner = layer.child("layer")
            return self._through(inner, position) if inner is not None else None
        if layer.layers is not None and self.depth < 20:
            inner_limits = Limits(layer, self.depth + 1, partial=self.partial)
            if layer.functional:
                names = [ref.layer for ref in leaves(layer.inputs)]
                return inner_limits.of_inputs().get(names[position]) if position < len(names) else None
            return inner_limits._sequential([la for la in layer.layers if la.class_name != "InputLayer"])
        return None


def _least(limits: list[int | None]) -> int | None:
    found = [limit for limit in limits if limit is not None]
    return min(found) if found else None
