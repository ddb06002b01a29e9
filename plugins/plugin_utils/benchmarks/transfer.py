"""What a run received over time: the figures of its intervals, and when they began."""

from __future__ import annotations

from dataclasses import dataclass

Span = tuple[float, float]
"""Start and end, in seconds since 1970 UTC."""


@dataclass(frozen=True)
class Interval:
    """Bytes that arrived between two times, in seconds since the measurement began (after any omitted seconds)."""

    start: float
    end: float
    received: float


@dataclass(frozen=True)
class Transfer:
    """What one run received, and between which times of day (seconds since 1970 UTC) its measurement began."""

    earliest: float
    latest: float
    intervals: tuple[Interval, ...]

    @property
    def certain(self) -> Span:
        """When the run was transferring, whichever of the possible starts is the true one."""
        return self.latest + self.intervals[0].start, self.earliest + self.intervals[-1].end

    def rate(self, window: Span) -> float:
        """Mean received bit/s within a window, which lies in `certain`.

        An interval that lies in it partly counts with that share of its bytes, the start taken halfway between the
        possible ones.
        """
        begin = (self.earliest + self.latest) / 2
        start, end = window[0] - begin, window[1] - begin
        received = sum(
            part.received * max(0.0, min(end, part.end) - max(start, part.start)) / (part.end - part.start)
            for part in self.intervals
        )
        return 8 * received / (end - start)
