"""Measuring without root, in a user namespace."""
