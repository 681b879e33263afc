"""Models in which no sample touches another, one module per family."""
