"""The batch that a model runs on: given, synthetic, with samples replaced, under stress, padded.

May import: errors, records, arrays, config, the interface of formats.
"""
