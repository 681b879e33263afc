"""Data files: values for other programs, one file per format; written whole or not at all."""
