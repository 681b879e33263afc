"""Reports for machines: one file a format, from outcomes to text."""
