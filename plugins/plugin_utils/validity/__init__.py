"""What may be believed: the gate, its reasons, statuses, completeness."""
