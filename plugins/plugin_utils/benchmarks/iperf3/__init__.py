"""Everything that knows iperf3."""
