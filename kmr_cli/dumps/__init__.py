"""Files that hold the values of a whole data set, written batch by batch: what is in them once, they need not do again.

``zarr`` and ``hdf5`` write them, ``place`` finds out what stands at a place already, ``about`` whether that is the same
dump, and ``keys`` gives every value a name in the file. A batch is done once its rows of ``index`` are there, which are
written last.

May import: what ``batch`` may; no model is run here.
"""

import sys

EXTRA = "dump"
"""The extra of this package that brings :data:`LIBRARIES`."""
LIBRARIES = {"distributed": "distributed", **({"zarr": "zarr"} if sys.version_info >= (3, 11) else {})}
"""Distribution -> module: what runs a dump on a cluster, and what reads a ``.zarr``; Zarr 3 needs Python 3.11."""
