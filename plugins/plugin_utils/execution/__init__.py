"""One running pass of a sweep: orders for the hosts, what they reply, and the records that this makes."""
