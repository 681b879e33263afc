"""The version of this release: what ``--version`` prints and the package declares."""

__version__ = "0.1.0"
