"""What ``import kmr_cli`` offers: an opened model, layer classes under development, comparisons.

May import: process, and what stands below it.
"""
