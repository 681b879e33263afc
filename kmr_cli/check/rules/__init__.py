"""The rules of the check: one file a rule, or a family of rules that exclude each other.

A file holds the texts of its rules, what is true of them alone, and the functions that judge what probes saw. A rule
runs no pass; where judging needs one more to find the layer, it asks a probe for it (``probes.trace``).
"""
