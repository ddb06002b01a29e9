"""Honest statistics of few runs: medians with order-statistic intervals, and the cost of tracing from twins.

The run is the unit: the many messages of one run say nothing about the next run. Intervals need no assumption on the
distribution, and where there are too few runs for one it is absent.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
STABLE_HALF_WIDTH = {"throughput": 0.02, "latency": 0.05, "rtt": 0.05}
OTHER_STABLE_HALF_WIDTH = 0.05

Verdict = Literal["stable", "unstable", "too few"]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Estimate:
    """A centre with its interval, in the unit of the values; ``interval`` is None where there are too few values."""

    centre: float
    interval: Interval | None


@functools.cache
def interval_ranks(count: int, confidence: float = CONFIDENCE) -> tuple[int, int] | None:
    """1-based ranks (low, high) of the order statistics that enclose the median, or None below six values.

    The number of values below the median is binomial(n, 1/2); the narrowest symmetric pair of ranks with at least the
    wanted coverage is taken. n = 6: 1 and 6 (96.9 %), n = 10: 2 and 9 (97.9 %).
    """
    interval: Any = stats.quantile_test(range(1, count + 1)).confidence_interval(confidence)
    return None if math.isnan(interval.low) or math.isnan(interval.high) else (int(interval.low), int(interval.high))


def median_estimate(values: Sequence[float]) -> Estimate:
    """Median and its interval. ``values`` must not be empty."""
    ordered = sorted(values)
    ranks = interval_ranks(len(ordered))
    interval = None if ranks is None else (ordered[ranks[0] - 1], ordered[ranks[1] - 1])
    return Estimate(float(np.median(ordered)), interval)


def mad(values: Sequence[float]) -> float:
    """Median absolute deviation from the median, unscaled."""
    return float(stats.median_abs_deviation(values))


def hodges_lehmann(differences: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Shift of paired differences: median of the Walsh averages, with the interval that inverts the signed-rank test.

    Hollander, Wolfe, Chicken: Nonparametric Statistical Methods, 3.2 and 3.3. The interval is absent below six pairs,
    where the test cannot reach the confidence.
    """
    values = np.asarray(differences, dtype=float)
    rows, columns = np.triu_indices(len(values))
    walsh = np.sort((values[rows] + values[columns]) / 2)
    centre = float(np.median(walsh))
    cut = _signed_rank_cut(len(values), (1 - confidence) / 2)
    return Estimate(centre, None if cut is None else (float(walsh[cut]), float(walsh[len(walsh) - 1 - cut])))


def _signed_rank_cut(count: int, tail: float) -> int | None:
    """Largest k with P(W+ <= k) <= tail for n untied pairs; Walsh averages k and M-1-k (0-based) are the bounds."""
    ways = np.zeros(count * (count + 1) // 2 + 1)
    ways[0] = 1.0
    for rank in range(1, count + 1):
        ways[rank:] = ways[rank:] + ways[:-rank]
    below = np.flatnonzero(np.cumsum(ways) / 2.0**count <= tail)
    return int(below[-1]) if len(below) else None


def verdict(metric: str, estimate: Estimate) -> Verdict:
    """``stable`` when the interval's half-width is within 2 % (throughput) or 5 % (latency, others) of the median."""
    if estimate.interval is None:
        return "too few"
    half_width = (estimate.interval[1] - estimate.interval[0]) / 2
    limit = STABLE_HALF_WIDTH.get(metric.partition("_")[0], OTHER_STABLE_HALF_WIDTH)
    return "stable" if half_width <= limit * abs(estimate.centre) else "unstable"


def trace_cost(traced: Mapping[int, float], untraced: Mapping[int, float]) -> Estimate | None:
    """How much tracing changes a figure, in %, from twins of the same block; None without a pair of twins.

    Positive means that the traced run's figure is larger: higher latency, or more throughput. The shift is that of
    log(traced / untraced), because a ratio itself is skewed: without any effect its mean lies above 1, the more so the
    more the runs scatter. A pair in which either figure is not above zero has no such ratio and is left out.
    """
    ratios = [
        math.log(traced[block]) - math.log(untraced[block])
        for block in sorted(set(traced) & set(untraced))
        if traced[block] > 0 and untraced[block] > 0
    ]
    return _in_percent(hodges_lehmann(ratios)) if ratios else None


def _in_percent(logs: Estimate) -> Estimate:
    low_high = logs.interval and (_percent(logs.interval[0]), _percent(logs.interval[1]))
    return Estimate(_percent(logs.centre), low_high)


def _percent(log_ratio: float) -> float:
    return 100 * float(np.expm1(log_ratio))
