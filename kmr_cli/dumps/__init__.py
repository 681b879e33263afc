"""Files that hold the values of a whole data set, written batch by batch: what is in them once, they need not do again.

``zarr`` and ``hdf5`` write them, ``place`` finds out what stands at a place already, ``about`` whether that is the same
dump, and ``keys`` gives every value a name in the file. A batch is done once its rows of ``index`` are there, which are
written last.

May import: what ``batch`` may; no model is run here.
"""
