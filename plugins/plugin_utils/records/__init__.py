"""One run as it is kept: reading and writing it."""
