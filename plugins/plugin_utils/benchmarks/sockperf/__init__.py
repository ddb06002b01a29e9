"""Everything that knows sockperf."""

from .benchmark import BENCHMARK

__all__ = ["BENCHMARK"]
