"""Everything that knows qperf."""

from .benchmark import BENCHMARK

__all__ = ["BENCHMARK"]
