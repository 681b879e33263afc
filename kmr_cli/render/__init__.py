"""One file per output format; each turns frozen records into text or a file, and knows nothing of models."""
