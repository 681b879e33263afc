"""What a toy's archive tells, without its weights' values."""
