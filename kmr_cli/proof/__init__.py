"""What the operators of a graph allow at all, for every input and every batch size. Nothing stands here yet.

``proof/`` will hold the rules by which owners pass through operators, and ``proof/vocabularies/`` what the operators of
each runtime mean (aten, onnx, tensorflow): no data, no weights, no framework. The graph comes from the format, which
offers it as ``graph`` and may leave it out: see :class:`kmr_cli.formats.interface.OptionalParts`. *Proven* is the word
for what it shows; what perturbed passes confirm is *verified*.

May import: the interface of formats, arrays, config, and the ground. May not import: what runs models, and scan.
"""
