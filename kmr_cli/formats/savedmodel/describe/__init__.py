"""Reads a SavedModel's graph from its bytes. Imports no framework, and nothing of ``run``."""
