"""Reads a TorchScript archive: module tree, code, signatures. Imports no framework, and nothing of ``run``."""
