"""What in a ``.pt2`` file could do harm: its operators, its size expressions, its payloads, the archive around them.

May import: what reads the file's bytes (``describe/``), ``formats/common``, errors, records. No framework.
"""
