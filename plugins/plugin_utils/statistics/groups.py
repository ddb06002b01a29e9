"""Estimates of many groups of values at once, in time and memory that a sort of all values takes.

Values stand in one array, and beside each in another one the number of its group: whole numbers from 0, of which every one
has a value. Results are arrays by group, with NaN where there are too few values for a bound.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .ranks import MOST_COUNTED, interval_ranks, signed_rank_cut

Floats = NDArray[np.float64]
Numbers = NDArray[np.integer]
AVERAGES_AT_ONCE = 1 << 20
"""Walsh averages that are in memory at the same time (8 MiB)."""
FEW_AVERAGES = 4
"""For each value: so many Walsh averages are sorted where most are only counted."""


@dataclass(frozen=True)
class Medians:
    """By group: how many values, their median with its interval, their median absolute deviation from it, their ends."""

    counts: Numbers
    centre: Floats
    low: Floats
    high: Floats
    mad: Floats
    smallest: Floats
    largest: Floats


@dataclass(frozen=True)
class Shifts:
    """By group: the Hodges-Lehmann estimate and its interval."""

    centre: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class _Segments:
    """Values sorted within their groups, one group after another."""

    ordered: Floats
    counts: Numbers
    starts: Numbers

    @classmethod
    def of(cls, groups: Numbers, values: Floats) -> _Segments:
        counts = np.bincount(groups)
        return cls(values[np.lexsort((values, groups))], counts, np.cumsum(counts) - counts)

    @property
    def medians(self) -> Floats:
        below = self.ordered[self.starts + (self.counts - 1) // 2]
        middle: Floats = (below + self.ordered[self.starts + self.counts // 2]) / 2
        return middle


def medians(groups: Numbers, values: Floats) -> Medians:
    """Medians with order-statistic intervals (`interval_ranks`) and the unscaled median absolute deviations."""
    found = _Segments.of(groups, values)
    centre = found.medians
    deviations = np.abs(found.ordered - np.repeat(centre, found.counts))
    spread = _Segments.of(np.repeat(np.arange(len(centre), dtype=np.int32), found.counts), deviations)
    low, high = _intervals(found)
    ends = found.starts + found.counts - 1
    return Medians(found.counts, centre, low, high, spread.medians, found.ordered[found.starts], found.ordered[ends])


def _intervals(found: _Segments) -> tuple[Floats, Floats]:
    sizes, size_of = np.unique(found.counts, return_inverse=True)
    ranks = np.array([interval_ranks(int(size)) or (0, 0) for size in sizes]).reshape(-1, 2)[size_of]
    known = ranks[:, 0] > 0
    bounds = found.ordered[np.where(known, found.starts + ranks.T - 1, 0)]
    low, high = np.where(known, bounds, np.nan)
    return low, high


def shifts(groups: Numbers, differences: Floats) -> Shifts:
    """Shift of paired differences: median of the Walsh averages, with the interval that inverts the signed-rank test.

    Hollander, Wolfe, Chicken: Nonparametric Statistical Methods, 3.2 and 3.3. A group of n pairs has n (n + 1) / 2 Walsh
    averages. Those of small groups are sorted, many groups at once; in groups of more than `MOST_COUNTED` pairs they are
    counted without being made, and only those next to the wanted ones are sorted: the estimate is the same, in memory
    that grows with n.
    """
    found = _Segments.of(groups, differences)
    results = np.empty((3, len(found.counts)))
    for size in np.unique(found.counts):
        at = np.flatnonzero(found.counts == size)
        estimate = _of_large_groups if size > MOST_COUNTED else _of_small_groups
        a_time = max(1, 2 * AVERAGES_AT_ONCE // int(size * (size + 1)))
        for part in np.split(at, range(a_time, len(at), a_time)):
            results[:, part] = estimate(found.ordered[found.starts[part][:, None] + np.arange(size)])
    return Shifts(*results)


def _of_small_groups(differences: Floats) -> Floats:
    """Centre, low and high of groups of one size, a row each, sorted."""
    size, end = differences.shape[1], 0
    sums = np.empty((len(differences), size * (size + 1) // 2))
    for number in range(size):
        begin, end = end, end + size - number
        np.add(differences[:, number:], differences[:, number : number + 1], out=sums[:, begin:end])
    wanted = _wanted(size)
    sums.partition(sorted(set(wanted)), axis=1)
    return _chosen(sums[:, wanted] / 2)


def _of_large_groups(differences: Floats) -> Floats:
    wanted = _wanted(differences.shape[1])
    return _chosen(np.array([_walsh_averages(row, wanted) for row in differences]))


def _wanted(size: int) -> list[int]:
    """Ranks (0-based) of the Walsh averages that are asked for: the middle two, and the bounds where there are any."""
    averages, cut = size * (size + 1) // 2, signed_rank_cut(size)
    bounds = [] if cut is None else [cut, averages - 1 - cut]
    return [(averages - 1) // 2, averages // 2, *bounds]


def _chosen(averages: Floats) -> Floats:
    """Rows of centre, low and high, from columns of the wanted averages."""
    unknown = np.full((2, len(averages)), np.nan)
    return np.vstack(((averages[:, 0] + averages[:, 1]) / 2, averages[:, 2:].T if averages.shape[1] > 2 else unknown))


def _walsh_averages(ordered: Floats, ranks: Iterable[int]) -> list[float]:
    """The Walsh averages of some ranks (0-based)."""
    partners = functools.cache(lambda limit: _partners(ordered, limit))  # the ranges of all ranks begin alike
    return [_walsh_average(ordered, rank, partners) for rank in ranks]


def _walsh_average(ordered: Floats, rank: int, partners: Callable[[float], Numbers]) -> float:
    """The Walsh average of a rank, by halving the range in which it lies until few are left in it."""
    low, high = float(np.nextafter(ordered[0], -np.inf)), float(ordered[-1])
    while (partners(high) - partners(low)).sum() > FEW_AVERAGES * len(ordered):
        middle = low + (high - low) / 2
        if not low < middle < high:
            return high  # so many are equal
        low, high = (middle, high) if partners(middle).sum() <= rank else (low, middle)
    between = _averages_between(ordered, partners(low), partners(high))
    return float(np.sort(between)[rank - partners(low).sum()])


def _partners(ordered: Floats, limit: float) -> Numbers:
    """For each value, with how many values from itself on it has an average of at most ``limit``."""
    own = np.arange(len(ordered))
    found: Numbers = np.maximum(np.searchsorted(ordered, 2 * limit - ordered, side="right") - own, 0)
    return found


def _averages_between(ordered: Floats, below: Numbers, upto: Numbers) -> Floats:
    """Averages of each value with its partners from the ``below``-th on, before the ``upto``-th."""
    many = upto - below
    first = np.repeat(np.arange(len(ordered)), many)
    place = np.arange(len(first)) - np.repeat(np.cumsum(many) - many, many)
    averages: Floats = (ordered[first] + ordered[first + below[first] + place]) / 2
    return averages
