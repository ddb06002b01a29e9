"""Concurrent levels: what all pairs of a level carried together while all of them were running.

A benchmark that says what arrived in each interval says between which two times of day the first one began (`Transfer`).
The window of a level is when every pair was *certainly* transferring, whichever of these times is the true one.

Times of day are those of each host: the clocks of the lab must agree (NTP) to a small part of a run. Where the two ends
of a run contradict each other, either may be right, so the possible starts lie further apart and the window is shorter.

A benchmark without figures per interval has no rows here: a mean over a window of its own is not a rate over the time
that pairs overlapped. So there is no total of message rates: a level's rows are about throughput.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..benchmarks import BENCHMARKS
from ..benchmarks.transfer import Span
from ..model import Plan
from .results import JudgedRun, Row

METRIC, UNIT = "throughput_received_total", "bit/s"
LEVEL_COLUMNS = (
    "sweep", "configuration", "block", "level", "benchmark", "case", "traced", "pairs", "overlap_seconds", "metric", "unit",
    "value",
)  # fmt: skip


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

    ``None`` when a run is not valid, gives no intervals (not every output has them) or had a clock set in it, and
    when the runs did not all overlap, or overlapped for less time than their starts are uncertain by. Never 0 for what
    was not measured.
    """
    transfers = []
    for item in runs:
        placed = item.judgement.status == "valid" and "clock_set" not in item.judgement.checks
        transfer = item.found.transfer if placed and item.found is not None else None
        if transfer is None:
            return None
        transfers.append(transfer)
    window = overlap(transfer.certain for transfer in transfers)
    if window is None or window[1] - window[0] < max(transfer.latest - transfer.earliest for transfer in transfers):
        return None
    rate = sum(transfer.rate(window) for transfer in transfers)
    return Total(rate, window[1] - window[0], len(transfers))


def level_rows(plan: Plan, runs: Iterable[JudgedRun]) -> list[Row]:
    """One row with `LEVEL_COLUMNS` for each step of concurrent runs, in the order of block, level and case.

    A run belongs to a level when it has one and there is a record of it; runs of benchmarks without intervals have no rows.
    ``pairs`` is how many such runs there are; the total and the overlap are ``None`` when that is not the level, or when
    `total_throughput` gives none. ``traced`` is what was done, not what was planned.
    """
    groups: dict[tuple[Any, ...], list[JudgedRun]] = {}
    for item in runs:
        run = item.run
        if item.found is not None and run.level is not None and _has_intervals(run.benchmark):
            key = (plan.sweep, plan.configuration, run.block, run.level, run.benchmark, run.case)
            groups.setdefault((*key, run.traced, run.round), []).append(item)
    return [_row(key, step) for key in sorted(groups) for step in _steps(groups[key])]


def _has_intervals(benchmark: str) -> bool:
    return benchmark in BENCHMARKS and BENCHMARKS[benchmark].has_intervals


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
    started = [(item.found and item.found.began, number) for number, item in enumerate(runs)]
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
