"""What a .pt2 file says of itself: archive, program, sizes, layers. Bytes only: no framework, nothing run."""
