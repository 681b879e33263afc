"""Which failures mean that the memory ran out, under a limit or without one."""

from __future__ import annotations

import errno
import os

MORE_MEMORY = "allow this process more memory (ulimit -v shows the limit of the shell, in kB)"

_SAID = ("failed to map segment from shared object", os.strerror(errno.ENOMEM), "std::bad_alloc",
         "OOM when allocating tensor", "Failed to allocate memory for requested buffer")  # fmt: skip
"""What the loader of libraries says of it, the system, C++, TensorFlow and onnxruntime."""


def lacks_memory(exc: BaseException) -> bool:
    """Whether an exception, or one that led to it, tells that there was no more memory."""
    seen: set[int] = set()
    link: BaseException | None = exc
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        if isinstance(link, MemoryError) or any(said in str(link) for said in _SAID):
            return True
        link = link.__cause__ or link.__context__
    return False
