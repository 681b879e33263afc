"""Keras models: ``.keras`` archives and ``.h5`` files. Two formats that share how they are read, loaded and tapped.

``archive`` and ``hdf5`` are the two formats; ``describe`` reads the file's bytes; ``run`` loads Keras. Here stands what
is true of both.

May import: the interface of formats, ``formats/common``, errors, records.
"""

FAMILY = "keras"
EXTRA = "tensorflow"
SEPARATOR = "/"
FREE_DIMS = True
OPTIONS = frozenset({"custom"})
WITHOUT_INPUTS = (
    "save a subclassed Keras model as .keras (not .h5) after calling it on data; where Keras cannot trace its call,"
    " let it define build(self, input_shape) too"
)
FRAMEWORKS = ("keras", "tensorflow", "torch", "jax")
