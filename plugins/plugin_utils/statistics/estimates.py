"""Honest statistics of few runs: what an estimate is, when it is stable, and the cost of tracing from twins.

The run is the unit: the many messages of one run say nothing about the next run. Intervals need no assumption on the
distribution, and where there are too few runs for one it is absent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .groups import Floats, Numbers, Shifts, shifts

STABLE_HALF_WIDTH = {"throughput": 0.02, "latency": 0.05, "rtt": 0.05}
OTHER_STABLE_HALF_WIDTH = 0.05

Verdict = Literal["stable", "unstable", "too few"]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Estimate:
    """A centre with its interval, in the unit of the values; ``interval`` is None where there are too few values."""

    centre: float
    interval: Interval | None


def verdict(metric: str, estimate: Estimate) -> Verdict:
    """``stable`` when the interval's half-width is within 2 % (throughput) or 5 % (latency, others) of the median."""
    if estimate.interval is None:
        return "too few"
    half_width = (estimate.interval[1] - estimate.interval[0]) / 2
    limit = STABLE_HALF_WIDTH.get(metric.partition("_")[0], OTHER_STABLE_HALF_WIDTH)
    return "stable" if half_width <= limit * abs(estimate.centre) else "unstable"


def hodges_lehmann(differences: Sequence[float]) -> Estimate:
    """Shift of paired differences with its interval (`groups.shifts`); ``differences`` must not be empty."""
    values = np.asarray(differences, dtype=float)
    return _only(shifts(np.zeros(len(values), dtype=np.intp), values))


def trace_costs(groups: Numbers, traced: Floats, untraced: Floats) -> tuple[Numbers, Shifts]:
    """How much tracing changes a figure, in %, by group: twins stand at the same place of both arrays, NaN where one is not.

    Positive means that the traced run's figure is larger: higher latency, or more throughput. The shift is that of
    log(traced / untraced), because a ratio itself is skewed: without any effect its mean lies above 1, the more so the
    more the runs scatter. Twins of which either figure is not above zero have no such ratio and are left out. Gives the
    groups that have twins, ascending, and their costs.
    """
    have = (traced > 0) & (untraced > 0)
    present, dense = np.unique(groups[have], return_inverse=True)
    logs = shifts(dense, np.log(traced[have]) - np.log(untraced[have]))
    return present, Shifts(*(100 * np.expm1(part) for part in (logs.centre, logs.low, logs.high)))


def _only(found: Shifts) -> Estimate:
    """The estimate of the only group."""
    centre, low, high = (float(part[0]) for part in (found.centre, found.low, found.high))
    return Estimate(centre, None if math.isnan(low) else (low, high))
