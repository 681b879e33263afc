"""What the two Keras formats share: reading configs and weight headers statically, loading, and tapping a live model."""
