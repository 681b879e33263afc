"""Are the samples of a batch independent at every layer? ``probes`` run passes and gather, ``rules`` judge.

May import: evidence, batch, config, the interface of formats, and what stands below them.
"""
