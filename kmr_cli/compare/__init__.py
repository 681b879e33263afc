"""Two runs of one model, or of two: what differs, where it begins, for which samples and by how much.

May import: snapshot, evidence, config, and what stands below them.
"""
