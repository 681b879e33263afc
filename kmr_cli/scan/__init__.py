"""What in a model file is dangerous when it is loaded. Nothing stands here yet: this is its place.

``scan/rules/`` will hold the rules KMR501 and up, one family a file, as ``check/rules/`` does. What a format has to
look at (the classes that a Keras config names, the operations of a SavedModel, the code of a TorchScript file) will
stand in ``formats/<format>/scan/`` and be offered by the format as ``scan``, which it may leave out: see
:class:`kmr_cli.formats.interface.OptionalParts`. A scan reads bytes as ``describe`` does: it loads no framework.

May import: the interface of formats, arrays, config, and the ground. May not import: what runs models, and proof.
"""
