"""Concurrent levels: what all pairs of a level carried together while all of them were running.

iperf3 says what arrived in each interval, in seconds since its own start, and a host says when the process began and
ended. So the start of the first interval is known to lie between two times of day (`Transfer`): it cannot be before
the process began, nor so late that the last interval would end after the process did. Untraced, these are some
hundredths of a second apart; traced, about half a second, which is what the tracer adds. The window of a level is
when every pair was *certainly* transferring, whichever of these times is the true one.

Times of day are those of each host: the clocks of the lab must agree (NTP) to a small part of a run. Where the two ends
of a run contradict each other, either may be right, so the possible starts lie further apart and the window is shorter.

sockperf gives no figures per interval, and a mean over a window of its own is not a rate over the time that pairs
overlapped, so there is no total of message rates: a level's rows are about throughput.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from ..benchmarks.iperf3.json_output import load
from ..model import Plan
from ..records.record import number_of
from .results import JudgedRun, Row

Record = Mapping[str, Any]
Span = tuple[float, float]
"""Start and end, in seconds since 1970 UTC."""

METRIC, UNIT = "throughput_received_total", "bit/s"
SAME_MOMENT_SECONDS = 0.001
"""What interval borders may differ by and still be one border: iperf3 prints microseconds of a moment read twice."""
LEVEL_COLUMNS = (
    "sweep", "configuration", "block", "level", "benchmark", "case", "traced", "pairs", "overlap_seconds", "metric", "unit",
    "value",
)  # fmt: skip


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


@dataclass(frozen=True)
class Total:
    """What ``pairs`` pairs received together, in bit/s, over the ``overlap_seconds`` in which all were transferring."""

    bits_per_second: float
    overlap_seconds: float
    pairs: int


def overlap(spans: Iterable[Span]) -> Span | None:
    """The time that lies in every span; ``None`` when there is none, or no span."""
    kept = list(spans)
    if not kept:
        return None
    start, end = max(span[0] for span in kept), min(span[1] for span in kept)
    return (start, end) if start < end else None


def total_throughput(runs: Sequence[JudgedRun]) -> Total | None:
    """The sum of what the runs of one step received while all of them were running.

    ``None`` when a run is not valid, gives no intervals (sockperf, text output, ``--bidir``) or had a clock set in it, and
    when the runs did not all overlap, or overlapped for less time than their starts are uncertain by. Never 0 for what
    was not measured.
    """
    transfers = []
    for item in runs:
        placed = item.judgement.status == "valid" and "clock_set" not in item.judgement.checks
        transfer = transfer_of(item.record.document) if placed and item.record is not None else None
        if transfer is None:
            return None
        transfers.append(transfer)
    window = overlap(transfer.certain for transfer in transfers)
    if window is None or window[1] - window[0] < max(transfer.latest - transfer.earliest for transfer in transfers):
        return None
    rate = sum(transfer.rate(window) for transfer in transfers)
    return Total(rate, window[1] - window[0], len(transfers))


def level_rows(plan: Plan, runs: Iterable[JudgedRun]) -> list[Row]:
    """One row with `LEVEL_COLUMNS` for each step of concurrent iperf3 runs, in the order of block, level and case.

    A run belongs to a level when it has one and there is a record of it. ``pairs`` is how many such runs there are; the
    total and the overlap are ``None`` when that is not the level, or when `total_throughput` gives none. ``traced`` is what
    was done, not what was planned.
    """
    groups: dict[tuple[Any, ...], list[JudgedRun]] = {}
    for item in runs:
        run = item.run
        if item.record is not None and run.level is not None and run.benchmark == "iperf3":
            key = (plan.sweep, plan.configuration, run.block, run.level, run.benchmark, run.case)
            groups.setdefault((*key, run.traced, run.round), []).append(item)
    return [_row(key, step) for key in sorted(groups) for step in _steps(groups[key])]


def _row(key: tuple[Any, ...], step: Sequence[JudgedRun]) -> Row:
    complete = len(step) == key[LEVEL_COLUMNS.index("level")]
    total = total_throughput(step) if complete else None
    *shared, _round = key
    return dict(zip(LEVEL_COLUMNS, shared, strict=False)) | {
        "traced": any(item.traced for item in step),
        "pairs": len(step),
        "overlap_seconds": None if total is None else total.overlap_seconds,
        "metric": METRIC,
        "unit": UNIT,
        "value": None if total is None else total.bits_per_second,
    }


def _steps(runs: Sequence[JudgedRun]) -> list[list[JudgedRun]]:
    """Runs of one case cut where a host comes again: both directions of a pair are two steps of one level.

    Runs whose start is not known cannot be put into one of several steps; they stay together, which gives no total.
    """
    started = [(_begin(item), number) for number, item in enumerate(runs)]
    if not _shares_host(runs) or any(begin is None for begin, _number in started):
        return [list(runs)]
    steps: list[list[JudgedRun]] = []
    for _begun, number in sorted(started, key=lambda item: (item[0] or 0.0, item[1])):
        if not steps or _shares_host([*steps[-1], runs[number]]):
            steps.append([])
        steps[-1].append(runs[number])
    return steps


def _shares_host(runs: Sequence[JudgedRun]) -> bool:
    hosts = [host for item in runs for host in (item.run.server, item.run.client)]
    return len(set(hosts)) < len(hosts)


def _begin(item: JudgedRun) -> float | None:
    ends = (item.record.client, item.record.server) if item.record is not None else ()
    return next((begin for end in ends if end and (begin := _moment(end.started_at)) is not None), None)


def transfer_of(record: Record) -> Transfer | None:
    """What a run received and when, from the JSON of the receiving end; ``None`` where the record does not tell."""
    server, client = record.get("server"), record.get("client")
    if not isinstance(server, Mapping) or not isinstance(client, Mapping):
        return None
    receiver = client if record["run"]["parameters"].get("reverse") else server
    document, problems = load(str(receiver.get("stdout") or ""))
    if document is None or problems:
        return None
    omitted, intervals = _intervals(document)
    begins = [begin for end in (server, client) if (begin := _moment(end.get("started_at"))) is not None]
    finishes = [finish for end in (server, client) if (finish := _moment(end.get("ended_at"))) is not None]
    if not intervals or len(begins) < 2 or len(finishes) < 2:
        return None
    one = max(*begins, _connected(document)) + omitted
    other = min(finishes) - intervals[-1].end
    return Transfer(min(one, other), max(one, other), intervals)


def _intervals(document: Mapping[str, Any]) -> tuple[float, tuple[Interval, ...]]:
    """Seconds omitted at the beginning, and the intervals that count; none when one is unlike what it should be."""
    omitted, found = 0.0, []
    entries = document.get("intervals")
    for entry in entries if isinstance(entries, list) else ():
        both = entry if isinstance(entry, Mapping) else {}
        whole = both.get("sum")
        if not isinstance(whole, Mapping) or "sum_bidir_reverse" in both or whole.get("sender") is True:
            return 0.0, ()
        start, end, received = (number_of(whole, name) for name in ("start", "end", "bytes"))
        if start is None or end is None or received is None or end < start:
            return 0.0, ()
        if whole.get("omitted"):
            omitted += end - start
        elif end > start:
            found.append(Interval(start, end, received))
    gaps = any(abs(after.start - before.end) > SAME_MOMENT_SECONDS for before, after in pairwise(found))
    return (0.0, ()) if gaps else (omitted, tuple(found))


def _connected(document: Mapping[str, Any]) -> float:
    """When the two ends met, as iperf3 prints it, in seconds since 1970; 0, which bounds nothing, when it does not."""
    start = document.get("start")
    stamp = start.get("timestamp") if isinstance(start, Mapping) else None
    if not isinstance(stamp, Mapping):
        return 0.0
    milliseconds = number_of(stamp, "timemillisecs")
    return (number_of(stamp, "timesecs") or 0.0) if milliseconds is None else milliseconds / 1000


def _moment(value: Any) -> float | None:
    """An ISO 8601 time of day as seconds since 1970; ``None`` when it is none, or says no time zone."""
    try:
        # Python 3.10 does not know the Z.
        moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo is not None else None
