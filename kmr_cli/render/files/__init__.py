"""Values written to files: one file a format, whole or not at all."""
