"""Arrays in, arrays out: no units, no files."""
