"""Runs an exported program: operators from a list, weights from the archive, taps between the operations."""
