"""What a live eager module keeps between passes: buffers, and attributes of its modules' own."""

from __future__ import annotations

from typing import Any

from kmr_cli.formats.common.attributes import Attributes
from kmr_cli.formats.common.torch_state import TensorState, equal


class LiveState:
    """See :class:`kmr_cli.formats.interface.State`. Parameters aren't part of it.

    Args:
        module: in eval mode.
    """

    def __init__(self, module: Any) -> None:
        import torch

        self._module = module
        # A buffer may be written to, or another tensor may take its place.
        self._buffers = [
            (inner, name, buffer)
            for inner in module.modules()
            for name, buffer in inner._buffers.items()
            if buffer is not None
        ]
        self._values = TensorState(buffer for _, _, buffer in self._buffers)
        self._attributes = Attributes(
            module.modules(),
            set(vars(torch.nn.Module())),
            lambda value: isinstance(value, torch.Tensor),
            equal,
            lambda tensor: tensor.detach().clone(),
        )

    def changed(self) -> bool:
        """See :class:`kmr_cli.formats.interface.State`."""
        moved = any(inner._buffers[name] is not buffer for inner, name, buffer in self._buffers)
        return moved or self._values.changed() or self._attributes.changed()

    def restore(self) -> None:
        """See :class:`kmr_cli.formats.interface.State`."""
        for inner, name, buffer in self._buffers:
            inner._buffers[name] = buffer
        self._values.restore()
        self._attributes.restore()
