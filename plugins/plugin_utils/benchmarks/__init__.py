"""The benchmarks, and the one place that lists them.

A benchmark is a folder here and a role, both of its name: docs/adding-a-benchmark.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module

from .benchmark import Benchmark, CaseError
from .cases import build_cases

NAMES = (
    "iperf3",
    "sockperf",
    "qperf",
)
"""The folders, in the order in which their recognisers read a text. A further benchmark is a further line."""
STATED = ("fields", "recognisers", "units", "headlines", "decisive", "result_lines")
"""What a benchmark cannot do without: where it is missing, runs would be measured and nothing made of them."""

__all__ = [
    "BENCHMARKS", "Benchmark", "CaseError", "build_cases", "headlines_of", "in_words", "make_processes", "version_arguments",
]  # fmt: skip


def _benchmark_in(folder: str) -> Benchmark:
    """The benchmark of a folder. Raises TypeError where it lacks something."""
    benchmark: Benchmark = import_module(f".{folder}", __name__).BENCHMARK
    missing = [name for name in STATED if not getattr(benchmark, name, None)]
    if missing:
        raise TypeError(f"the benchmark {folder} does not say its {', '.join(missing)}")
    return benchmark


BENCHMARKS: Mapping[str, Benchmark] = {name: _benchmark_in(name) for name in NAMES}


def headlines_of(benchmark: str) -> list[tuple[str, str]]:
    """The metrics that a summary shows of one benchmark, each with its label: its own, then its system calls."""
    known = BENCHMARKS.get(benchmark)
    if known is None:
        return []
    calls = [
        (f"{prefix}syscalls_per_{unit.name}_{side}", f"{words}{unit.label}, {side}")
        for prefix, words in (("", ""), ("vmm_", "VMM "))
        for unit in known.units
        for side in ("server", "client")
    ]
    return [*known.headlines, *calls]


def version_arguments(tools: Iterable[str]) -> dict[str, list[str]]:
    """How each of these tools that is a benchmark is asked for its version."""
    return {name: list(BENCHMARKS[name].version_arguments) for name in tools if name in BENCHMARKS}


def make_processes(tools: Iterable[str]) -> bool:
    """Whether a benchmark among these tools has its work done by processes that it makes."""
    return any(BENCHMARKS[name].makes_processes for name in tools if name in BENCHMARKS)


def in_words(conjunction: str, *others: str) -> str:
    """The names of all benchmarks, and others behind them, as a list in a sentence: ``one, two and three``."""
    return listed([*BENCHMARKS, *others], conjunction)


def listed(items: Iterable[str], conjunction: str) -> str:
    """Items as a list in a sentence."""
    *first, last = items
    return f"{', '.join(first)} {conjunction} {last}" if first else last
