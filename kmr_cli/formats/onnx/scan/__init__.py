"""What in an ONNX file could do harm: files that it names, operators of other libraries, sizes that it claims.

May import: what reads the file's bytes (``describe/``), ``formats/common``, errors, records. No framework.
"""
