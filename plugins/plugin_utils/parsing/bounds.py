"""What a figure can be at all: one table of physical bounds.

A figure beyond them is a fault of a tool, a line that was damaged, or a host that lies. The bounds are wide: what they
let through may still be wrong, what they keep out is certainly no measurement.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from ..model import Sample, SyscallCount
from .finding import CallCount, Finding

LARGEST_COUNT = 2.0**63 - 1
"""What the counters of the tools and of the kernel hold."""
LONGEST_SECONDS = 366 * 86400.0
MOST_CPUS = 8192
"""What Linux can be built for; the number of CPUs is not in every output."""
LARGEST_RATE = 1e14
"""bit/s. The fastest network cards carry 1.6e12, and loopback no more than memory can copy, which is below 1e13."""

BOUNDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "bit/s": (0.0, LARGEST_RATE),
        # Datagrams of 46 bytes, the smallest, at the fastest rate.
        "1/s": (0.0, LARGEST_RATE / (8 * 46)),
        "B": (0.0, LARGEST_COUNT),
        "count": (0.0, LARGEST_COUNT),
        "us": (0.0, LONGEST_SECONDS * 1e6),
        "s": (0.0, LONGEST_SECONDS),
        "%": (0.0, 100.0),
    }
)
"""The least and the most that a figure can be, by its unit."""

METRIC_BOUNDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"cpu_server": (0.0, 100.0 * MOST_CPUS), "cpu_client": (0.0, 100.0 * MOST_CPUS)}
)
"""The same for metrics that have bounds of their own: the CPU of a process is counted in percent of one CPU."""


def beyond(samples: Iterable[Sample], measured: Mapping[str, float] | None = None) -> str:
    """Say which figure cannot be; empty where all can. ``measured`` has the names of ``Finding.measured``.

    Nothing takes longer than the run in which it was seen, nor is more counted than the fastest network carries in it.
    """
    known = measured or {}
    seconds = known.get("seconds")
    if seconds is not None and not 0 <= seconds <= LONGEST_SECONDS:
        return f"A run of {seconds:g} s cannot be."
    moved = known.get("bytes_received")
    if moved is not None and not 0 <= moved <= LARGEST_RATE / 8 * (LONGEST_SECONDS if seconds is None else seconds):
        return f"{moved:g} B cannot have arrived" + ("." if seconds is None else f" in {seconds:g} s.")
    for sample in samples:
        least, most = METRIC_BOUNDS.get(sample.metric) or BOUNDS.get(sample.unit) or (-math.inf, math.inf)
        if sample.unit == "us" and seconds is not None:
            # The window of a run may be shorter than the run: what was under way at its borders took longer.
            most = min(most, 1e6 * (seconds + 1))
        if not (math.isfinite(sample.value) and least <= sample.value <= most):
            return f"{sample.metric} is {sample.value:g} {sample.unit}, which cannot be."
    return ""


def beyond_calls(calls: Iterable[CallCount | SyscallCount]) -> str:
    """The same for rows of system calls."""
    for call in calls:
        for name, value in (("calls", call.calls), ("ns", call.time_ns)):
            if value is not None and not 0 <= value <= LARGEST_COUNT:
                return f"{value:g} {name} of one system call cannot be."
    return ""


def bounded(finding: Finding) -> Finding:
    """The finding itself where its figures can be; otherwise an invalid one that says which cannot, without figures."""
    sentence = beyond(finding.samples, finding.measured) or beyond_calls(finding.calls)
    if not sentence:
        return finding
    if finding.status == "valid":
        finding = replace(finding, status="invalid", reason="out_of_bounds", detail=sentence)
    return replace(finding, samples=(), calls=(), measured={}, stalled="")
