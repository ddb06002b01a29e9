# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""What the whole host did during one run: raw readings, which the controller interprets."""

from __future__ import annotations


def cpu_jiffies():
    """The first line of /proc/stat as integers: user nice system idle iowait irq softirq steal ..."""
    with open("/proc/stat") as handle:
        return [int(field) for field in handle.readline().split()[1:]]


def memory_bytes():
    """(total, available) memory in bytes from /proc/meminfo."""
    found = {}
    with open("/proc/meminfo") as handle:
        for line in handle:
            name, value = line.split(":", 1)
            if name in ("MemTotal", "MemAvailable"):
                found[name] = int(value.split()[0]) * 1024
    return found.get("MemTotal"), found.get("MemAvailable")


class HostFigures:
    """Readings at the start and the end of a run."""

    def __init__(self):
        self._before = cpu_jiffies()

    def finish(self):
        """The ``figures`` part of an END (docs/data.md)."""
        total, available = memory_bytes()
        return {
            "cpu_jiffies_before": self._before,
            "cpu_jiffies_after": cpu_jiffies(),
            "memory_total_bytes": total,
            "memory_available_bytes": available,
        }
