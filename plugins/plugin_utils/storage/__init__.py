"""Files and locks of a sweep on the controller."""
