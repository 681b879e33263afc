"""Documents: reports for machines as text, one file per format."""
