"""A model's behaviour on one batch, small enough to be kept beside the code: taking, reading and writing it.

May import: evidence, batch, config, the interface of formats, and what stands below them.
"""
