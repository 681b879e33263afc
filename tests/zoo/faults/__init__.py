"""Models that mix, lose, reorder or poison samples, one module per framework. Each says which layer does it."""
