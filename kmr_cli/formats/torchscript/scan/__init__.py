"""What in a TorchScript archive could do harm: its code, its pickles, and the archive around them.

Loading runs code already (``__setstate__``), so that nothing depends on what is called.

May import: what reads the file's bytes (``describe/``), ``formats/common``, errors, records. No framework.
"""
