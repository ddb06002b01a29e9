"""Whether data stopped moving for a while inside a run, from what its intervals carried.

An interval that carried next to nothing is a stall by itself. One that falls across the border of two intervals leaves
two neighbours that together lack what an interval carries; that is told from a network that is merely uneven by the
other intervals, which must all be alike. A sender that is held to a rate makes up for what it missed: then an
interval that lacks much is followed by one that has too much, and a receiver of datagrams misses many at once while it
misses none before and after. The first intervals of a run may be low because TCP has just begun, so they
are a stall only where nothing at all came, or where more had come before.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

EMPTY_SHARE = 0.05
"""An interval with less than this share of the usual carried next to nothing."""
LACKING_SHARE = 0.9
"""Two neighbours that together lack this share of one interval hold a stall across their border ..."""
EVEN_SHARE = 0.8
"""... where every other interval carried at least this share of the usual."""
STEADY_SHARE = 0.9
"""In a stream held to a rate every other interval carries at least this share of the usual, and no more above it."""
MISSED_SHARE = 0.4
"""What one interval of such a stream lacks, or loses at once, where it stood still ..."""
MADE_UP_SHARE = 0.15
"""... and what the next one has too much."""
FEWEST_OTHERS = 3
STUB_SHARE = 0.5
"""An interval shorter than this share of the usual is the rest of a run and proves nothing."""


@dataclass(frozen=True)
class Interval:
    """What moved from ``start`` to ``end`` (seconds of the run)."""

    start: float
    end: float
    transferred_bytes: float
    lost: float = 0.0
    """Datagrams lost in it, where the receiver of datagrams tells."""
    packets: float = 0.0
    """Datagrams sent in it, the lost ones among them."""

    @property
    def rate(self) -> float:
        """Bytes a second."""
        return self.transferred_bytes / (self.end - self.start) if self.end > self.start else 0.0


def stall_sentence(directions: Iterable[tuple[str, Sequence[Interval]]]) -> str:
    """Say when data stood still and for how long, for each direction and its words; empty where it did not."""
    found = [
        f"no data moved for about {seconds:.1f} s between {start:g} s and {end:g} s of the run{words}"
        for words, intervals in directions
        for start, end, seconds in stalls(intervals)
    ]
    return "; ".join(found[:5]) + (f"; and {len(found) - 5} times more" if len(found) > 5 else "")


def stalls(intervals: Sequence[Interval]) -> list[tuple[float, float, float]]:
    """Each stall: the seconds of the run between which it lies, and how long it was at least."""
    measured = _without_stubs(intervals)
    if len(measured) < 2:
        return []
    rates = [one.rate for one in measured]
    usual = median(rates)
    if usual <= 0:
        usual = max(rates)
    if usual <= 0:
        return []
    shares = [rate / usual for rate in rates]
    empty = [share < EMPTY_SHARE for share in shares]
    for index in range(_beginning(shares)):
        empty[index] = shares[index] == 0
    found = _empty_stretches(measured, empty)
    return found or _across_a_border(measured, shares) or _made_up_for(measured, shares) or _lost_at_once(measured)


def _without_stubs(intervals: Sequence[Interval]) -> list[Interval]:
    lengths = [one.end - one.start for one in intervals]
    usual = median(lengths) if lengths else 0.0
    return [one for one, length in zip(intervals, lengths, strict=True) if length >= STUB_SHARE * usual and length > 0]


def _beginning(shares: Sequence[float]) -> int:
    """How many intervals at the start rise one after another, as TCP does until it has found its rate."""
    rising = itertools.takewhile(lambda pair: pair[0] < min(pair[1], 1.0), itertools.pairwise(shares))
    return sum(1 for _ in rising)


def _empty_stretches(measured: Sequence[Interval], empty: Sequence[bool]) -> list[tuple[float, float, float]]:
    """Empty intervals that follow one another are one stall."""
    found = []
    for is_empty, group in itertools.groupby(range(len(measured)), key=lambda index: empty[index]):
        if not is_empty:
            continue
        indices = list(group)
        seconds = measured[indices[-1]].end - measured[indices[0]].start
        found.append((measured[indices[0]].start, measured[indices[-1]].end, seconds))
    return found


def _across_a_border(measured: Sequence[Interval], shares: Sequence[float]) -> list[tuple[float, float, float]]:
    first = _beginning(shares)
    if len(shares) < FEWEST_OTHERS + 2:
        return []
    lowest = min(range(len(shares) - 1), key=lambda index: shares[index] + shares[index + 1])
    others = [share for index, share in enumerate(shares) if index not in (lowest, lowest + 1) and index >= first]
    lacking = 2 - shares[lowest] - shares[lowest + 1]
    if lowest < max(first, 1) or lacking < LACKING_SHARE or len(others) < FEWEST_OTHERS or min(others) < EVEN_SHARE:
        return []
    start, end = measured[lowest].start, measured[lowest + 1].end
    return [(start, end, lacking * (end - start) / 2)]


def _made_up_for(measured: Sequence[Interval], shares: Sequence[float]) -> list[tuple[float, float, float]]:
    if len(shares) < FEWEST_OTHERS + 2:
        return []
    steady = [abs(1 - share) <= 1 - STEADY_SHARE for share in shares]
    unsteady = steady.count(False)
    for index in range(1, len(shares) - 1):
        others_are_steady = steady[index : index + 2].count(False) == unsteady
        if others_are_steady and shares[index] <= 1 - MISSED_SHARE and shares[index + 1] >= 1 + MADE_UP_SHARE:
            length = measured[index].end - measured[index].start
            return [(measured[index].start, measured[index + 1].end, length * (1 - shares[index]))]
    return []


def _lost_at_once(measured: Sequence[Interval]) -> list[tuple[float, float, float]]:
    usual = median(one.packets for one in measured)
    worst = max(range(len(measured)), key=lambda index: measured[index].lost)
    others = [one for index, one in enumerate(measured) if abs(index - worst) > 1]
    if usual <= 0 or len(others) < FEWEST_OTHERS or measured[worst].lost < MISSED_SHARE * usual:
        return []
    if any(one.lost > (1 - STEADY_SHARE) ** 2 * usual for one in others):
        return []
    lost = sum(one.lost for one in measured[max(worst - 1, 0) : worst + 2])
    start, end = measured[worst].start, measured[worst].end
    return [(start, end, (end - start) * min(1.0, lost / usual))]
