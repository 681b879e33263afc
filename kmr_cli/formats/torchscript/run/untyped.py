"""Arguments with the default None, which ``torch.jit.script`` compiles only with a type.

Without one it takes such an argument for a tensor, compiles it, and then fails to save the module.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection
from typing import Any

UNTYPED = "an argument has the default None and no type"
TYPE_IT = "give it one, such as mask: Optional[torch.Tensor] = None"


def is_untyped(error: Exception) -> bool:
    """Whether this is how torch fails on such an argument: when it saves the module, or compiles a call without it."""
    return any(words in str(error) for words in ("undefined Tensor", "Unsupported value kind: Tensor"))


def left_out(module: Any, fed: Collection[str]) -> set[str]:
    """Arguments among ``fed`` that have the default None, so that scripting would leave them out."""
    parameters = inspect.signature(module.forward).parameters
    return {name for name in fed if name in parameters and parameters[name].default is None}
