"""What in a Keras file could do harm when Keras loads it: names in the config, links in the HDF5, the archive around.

May import: what reads the file's bytes (``describe/``), ``formats/common``, errors, records. No framework.
"""
