"""Runs a toy on NumPy."""
