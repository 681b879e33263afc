"""What in a model file is dangerous when it is loaded.

A format looks for hazards in the bytes of its files (``formats/<format>/scan/``, offered as ``scan``); ``rules/``, one
kind of hazard a file, say what each means and how bad it is; ``scan.py`` puts them together. A scan reads bytes as
``describe`` does: it loads no framework, and nothing that the file names.

May import: the formats' table and interface, arrays, config, and the ground. May not import: what runs models, and
proof.
"""
