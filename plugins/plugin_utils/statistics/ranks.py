"""Which order statistics bound an interval, by the number of values alone: no assumption on their distribution."""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy import special

CONFIDENCE = 0.95
MOST_COUNTED = 400
"""Up to so many pairs the signed-rank distribution is counted out; above, its normal approximation is as good."""


@functools.cache
def interval_ranks(count: int, confidence: float = CONFIDENCE) -> tuple[int, int] | None:
    """1-based ranks (low, high) of the order statistics that enclose the median, or None where there are too few values.

    The number of values below the median is binomial(n, 1/2); the narrowest symmetric pair of ranks with at least the
    wanted coverage is taken. At 95 % there is none below six values; n = 6: 1 and 6 (96.9 %), n = 10: 2 and 9 (97.9 %).
    """
    tail = (1 - confidence) / 2
    low = max(0, math.ceil(special.bdtrik(tail, count, 0.5)))
    # The inverse is of a continuous function: rounding may put it one above the smallest whole number that will do.
    if low > 0 and special.bdtr(low - 1, count, 0.5) >= tail:
        low -= 1
    return (low, count + 1 - low) if low > 0 else None


@functools.cache
def signed_rank_cut(count: int, confidence: float = CONFIDENCE) -> int | None:
    """Largest k with P(W+ <= k) <= (1 - confidence) / 2 for n untied pairs; None where even k = 0 is more likely.

    Walsh averages k and M-1-k (0-based, of M) are the bounds of the shift.
    """
    tail = (1 - confidence) / 2
    return _counted_cut(count, tail) if count <= MOST_COUNTED else _approximate_cut(count, tail)


def _counted_cut(count: int, tail: float) -> int | None:
    ways = np.zeros(count * (count + 1) // 2 + 1)
    ways[0] = 1.0
    for rank in range(1, count + 1):
        ways[rank:] = ways[rank:] + ways[:-rank]
    below = np.flatnonzero(np.cumsum(ways) / 2.0**count <= tail)
    return int(below[-1]) if len(below) else None


def _approximate_cut(count: int, tail: float) -> int:
    """Hollander, Wolfe, Chicken, 3.1: W+ is nearly normal; with a correction for continuity."""
    deviation = math.sqrt(count * (count + 1) * (2 * count + 1) / 24)
    return math.floor(count * (count + 1) / 4 + float(special.ndtri(tail)) * deviation - 0.5)
