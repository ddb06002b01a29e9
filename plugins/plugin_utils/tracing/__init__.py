"""What the tracer printed, what it proves, and the names of system calls."""
