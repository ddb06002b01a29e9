"""What arrived in each interval of a run of iperf3, and when the first one began.

iperf3 says what arrived in each interval, in seconds since its own start, and a host says when the process began and
ended. So the start of the first interval is known to lie between two times of day (`Transfer`): it cannot be before
the process began, nor so late that the last interval would end after the process did. Untraced, these are some
hundredths of a second apart; traced, about half a second, which is what the tracer adds.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from ...records.record import Record, number_of
from ..transfer import Interval, Transfer
from .json_output import load

SAME_MOMENT_SECONDS = 0.001
"""What interval borders may differ by and still be one border: iperf3 prints microseconds of a moment read twice."""


def transfer_of(record: Record) -> Transfer | None:
    """What a run received and when, from the JSON of the receiving end; ``None`` where the record does not tell."""
    if record.server is None or record.client is None:
        return None
    receiver = record.client if record.parameters.get("reverse") else record.server
    document, problems = load(receiver.stdout or "")
    if document is None or problems:
        return None
    omitted, intervals = _intervals(document)
    begins = [end.began for end in record.ends if end.began is not None]
    finishes = [end.ended for end in record.ends if end.ended is not None]
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
