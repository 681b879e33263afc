"""What the two Keras formats share: static reading of configs and weight headers, loading, tapping."""
