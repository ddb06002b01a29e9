"""The benchmarks: how a case becomes two commands, and what its values may be.

A third benchmark is a module here with the names of ``Benchmark``, a role that installs it, and a parser.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .benchmark import Benchmark, CaseError, Commands
from .cases import build_cases
from .iperf3 import case as iperf3
from .sockperf import case as sockperf

BENCHMARKS: Mapping[str, Benchmark] = {"iperf3": iperf3.BENCHMARK, "sockperf": sockperf.BENCHMARK}

__all__ = ["BENCHMARKS", "Benchmark", "CaseError", "Commands", "build_cases", "commands_of"]


def commands_of(benchmark: str, parameters: Mapping[str, Any], server: str, client: str, port: int) -> Commands:
    """The two commands of one case between two data addresses."""
    return BENCHMARKS[benchmark].commands(parameters, server, client, port)
