"""Open any saved model, put a tap on any layer, and know which part of every tensor belongs to which sample."""
