"""Everything that knows iperf3."""

from .benchmark import BENCHMARK

__all__ = ["BENCHMARK"]
