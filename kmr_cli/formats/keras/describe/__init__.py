"""Reads a Keras file's own description: config, shapes, weight headers. Imports no framework, nothing of ``run``."""
