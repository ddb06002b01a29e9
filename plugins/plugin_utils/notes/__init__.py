"""Notes that people kept by hand, made into records."""
