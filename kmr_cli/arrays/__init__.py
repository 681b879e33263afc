"""Arithmetic on NumPy arrays that knows nothing of models: which elements changed, how far apart, digests, rows.

May import: NumPy, and the records.
"""
