"""What the graphs of a SavedModel could do beside computing: every operation of every function, called or not.

May import: what reads the file's bytes (``describe/``), ``formats/common``, errors, records. No framework.
"""
