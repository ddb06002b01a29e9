"""What the hosts of a run were busy with, and whether their clocks were set."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Sample
from ..records.record import End, Figures

CLOCK_SECONDS = 1.0
CLOCK_SHARE = 0.001
"""What two clocks may differ by without one being set: NTP slews by half of this share at most."""


def set_clock(end: End) -> str:
    """By how much an end's time of day moved against the clock that nobody sets; empty where it did not."""
    if end.wall_seconds is None or end.seconds is None:
        return ""
    moved = end.wall_seconds - end.seconds
    if abs(moved) <= CLOCK_SECONDS + CLOCK_SHARE * abs(end.seconds):
        return ""
    way = "forward" if moved > 0 else "back"
    return f"the clock of {end.host or end.side} was set {way} by {abs(moved):.1f} s during the run"


def host_samples(end: End) -> Iterator[Sample]:
    """CPU and memory of the host around the run, of all processes on it."""
    if end.figures is None:
        return
    shares = cpu_shares(end.figures)
    if shares is not None:
        yield Sample(f"host_cpu_busy_{end.side}", "%", shares[0])
        yield Sample(f"host_cpu_steal_{end.side}", "%", shares[1])
    total, available = end.figures.memory_total_bytes, end.figures.memory_available_bytes
    if total is not None and available is not None and 0 <= available <= total and total > 0:
        yield Sample(f"host_memory_used_{end.side}", "B", float(total - available))


def cpu_shares(figures: Figures) -> tuple[float, float] | None:
    """Busy and stolen time between two readings of /proc/stat, in percent of all CPUs' time.

    The fields are user nice system idle iowait irq softirq steal guest guest_nice; guest time is in user
    already.
    ``None`` when there are not two readings, or the counters ran backwards.
    """
    before, after = figures.cpu_before, figures.cpu_after
    if before is None or after is None or min(len(before), len(after)) < 8:
        return None
    spent = [later - earlier for earlier, later in zip(before[:8], after[:8], strict=True)]
    total = sum(spent)
    # iowait may run backwards by a little (proc(5)); anything else may not.
    if total <= 0 or any(part < 0 for index, part in enumerate(spent) if index != 4):
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = spent
    busy = user + nice + system + irq + softirq
    return 100.0 * busy / total, 100.0 * steal / total
