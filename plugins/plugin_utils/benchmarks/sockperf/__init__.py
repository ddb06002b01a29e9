"""Everything that knows sockperf."""
