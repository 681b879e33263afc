"""What ``import kmr_cli`` offers: an opened model, layer classes under development, comparisons.

``model`` is what a user holds, ``opened`` what stands behind it; ``batches`` and ``snapshots`` work on the latter.

May import: process, and what stands below it.
"""
