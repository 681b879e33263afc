"""The rules of a scan, KMR501 and up: one kind of hazard a file.

Each has texts and a severity, and nothing to compute: where a hazard is, and what it does, is for the formats to tell.

May import: the table of rules, records.
"""
